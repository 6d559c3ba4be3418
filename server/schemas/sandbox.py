"""The sandbox's panel."""

from marshmallow import fields

from server.schemas.base import TRANSACTION, Count, StrictSchema, Text, about, one_of
from server.sms.faults import FAULTS, NO_FAULT

COUNT_MAX = 1000


class SandboxSet(StrictSchema):
    """`sandbox.set`: which fault the next `count` messages meet; null: all, until it is set anew."""

    fault = Text(required=True, validate=one_of(NO_FAULT, *FAULTS), metadata=about("The fault, or none.", NO_FAULT))
    count = Count(
        least=1,
        most=COUNT_MAX,
        allow_none=True,
        load_default=None,
        metadata=about("How many messages meet it; null: all, until it is set anew."),
    )


class SandboxState(StrictSchema):
    """`sandbox.state`: what the panel plays, and to how many more messages."""

    fault = fields.String(metadata=about("The fault, or none.", NO_FAULT))
    left = fields.Integer(allow_none=True, metadata=about("How many more; null: all, until it is set anew."))


class SandboxTried(StrictSchema):
    """`sandbox.tried`: one try to send, or a receipt."""

    mobile = fields.String()
    provider = fields.String()
    attempt = fields.Integer()
    fault = fields.String()
    outcome = fields.String()
    at = fields.Float()


class InboxMessage(StrictSchema):
    """`inbox.message`: an SMS as its receiver would see it, and how it came."""

    id = fields.String(metadata=about("The message."))
    mobile = fields.String(metadata=about("The number, in full: a developer's eyes only.", "15400138000"))
    text = fields.String(metadata=about("What the phone shows."))
    code = fields.String(
        metadata=about("The code in it; it is derived when it is read, and stored nowhere.", "493027")
    )
    transaction = fields.String(metadata=about("The id of the SMS.", TRANSACTION))
    at = fields.Float(metadata=about("When it came, in Unix seconds.", 1767225600.123))
    provider = fields.String(metadata=about("Who delivered it.", "sandbox"))
    attempt = fields.Integer(metadata=about("The number of the try that it came by.", 1))
    fault = fields.String(metadata=about("The fault that was played meanwhile.", NO_FAULT))

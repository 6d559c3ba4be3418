"""The sandbox's panel."""

from marshmallow import fields

from server.schemas.base import Count, StrictSchema, Text, one_of
from server.sms.faults import FAULTS, NO_FAULT

COUNT_MAX = 1000


class SandboxSet(StrictSchema):
    """`sandbox.set`: which fault the next `count` messages meet; null: all, until it is set anew."""

    fault = Text(required=True, validate=one_of(NO_FAULT, *FAULTS))
    count = Count(least=1, most=COUNT_MAX, allow_none=True, load_default=None)


class SandboxState(StrictSchema):
    """`sandbox.state`: what the panel plays, and to how many more messages."""

    fault = fields.String()
    left = fields.Integer(allow_none=True)


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

    id = fields.String()
    mobile = fields.String()
    text = fields.String()
    code = fields.String()
    transaction = fields.String()
    at = fields.Float()
    provider = fields.String()
    attempt = fields.Integer()
    fault = fields.String()

"""A number that has left its holder."""

from marshmallow import fields

from server.schemas.base import Code, KnownPassword, Mobile, StrictSchema, about, captcha_field, transaction_field


class MobileClaim(StrictSchema):
    """`mobile.claim`."""

    mobile = Mobile(required=True)
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    captcha = captcha_field()


class MobileClaimed(StrictSchema):
    """`mobile.claimed`: when the number will be free, if nobody refuses."""

    due_at = fields.Float(metadata=about("When the number will be free, in Unix seconds.", 1767484800.0))


class MobileRecover(StrictSchema):
    """`mobile.recover`: the code of an SMS to the new number only."""

    password = KnownPassword(required=True)
    new_mobile = Mobile(required=True, metadata=about("The new number, in any usual notation.", "15400138001"))
    new_sms_code = Code(required=True)
    new_transaction = transaction_field(required=True)
    captcha = captcha_field()


class MobileRecovering(StrictSchema):
    """`mobile.recovering`: `mobile` is the new one, masked; `due_at` is None if the account has moved already."""

    mobile = fields.String(metadata=about("The new number, masked.", "154****8001"))
    due_at = fields.Float(
        allow_none=True, metadata=about("When the account moves, in Unix seconds; null: it has.", 1767484800.0)
    )


class Claim(StrictSchema):
    """A claim that waits: `mobile`, masked, is the number that would leave (release) or come (change)."""

    kind = fields.String(metadata=about("What it would do.", "release", enum=["release", "change"]))
    mobile = fields.String(metadata=about("The number, masked.", "154****8000"))
    asked_at = fields.Float(metadata=about("When it was asked for, in Unix seconds.", 1767225600.123))
    due_at = fields.Float(metadata=about("When it will be done, in Unix seconds.", 1767484800.0))


class ClaimShown(StrictSchema):
    """`claim.shown`, also as a push (then without `server_now`): how it stands now."""

    claim = fields.Nested(Claim, allow_none=True, metadata=about("What waits; null: nothing does."))
    server_now = fields.Float(metadata=about("The server's time.", 1767225600.123))
    sometimes = ("server_now",)

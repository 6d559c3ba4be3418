"""A number that has left its holder."""

from marshmallow import fields

from server.schemas.base import Code, KnownPassword, Mobile, StrictSchema, captcha_field, transaction_field


class MobileClaim(StrictSchema):
    """`mobile.claim`."""

    mobile = Mobile(required=True)
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    captcha = captcha_field()


class MobileClaimed(StrictSchema):
    """`mobile.claimed`: when the number will be free, if nobody refuses."""

    due_at = fields.Float()


class MobileRecover(StrictSchema):
    """`mobile.recover`: the code of an SMS to the new number only."""

    password = KnownPassword(required=True)
    new_mobile = Mobile(required=True)
    new_sms_code = Code(required=True)
    new_transaction = transaction_field(required=True)
    captcha = captcha_field()


class MobileRecovering(StrictSchema):
    """`mobile.recovering`: `mobile` is the new one, masked; `due_at` is None if the account has moved already."""

    mobile = fields.String()
    due_at = fields.Float(allow_none=True)


class Claim(StrictSchema):
    """A claim that waits: `mobile`, masked, is the number that would leave (release) or come (change)."""

    kind = fields.String()
    mobile = fields.String()
    asked_at = fields.Float()
    due_at = fields.Float()


class ClaimShown(StrictSchema):
    """`claim.shown`, also as a push (then without `server_now`): how it stands now."""

    claim = fields.Nested(Claim, allow_none=True)
    server_now = fields.Float()

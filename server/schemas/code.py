"""Captcha challenges and SMS codes."""

from marshmallow import fields

from server.schemas.base import Count, Mobile, StrictSchema, Text, captcha_field, one_of, transaction_field

SMS_PURPOSES = ("register", "login", "reset", "change-old", "change-new", "claim")
POLL_MAX_S = 25  # proxies commonly give a request 30 s or 60 s
CAPTCHA_PURPOSES = (*SMS_PURPOSES, "check")


class CaptchaNew(StrictSchema):
    """`captcha.new`."""

    purpose = Text(required=True, validate=one_of(*CAPTCHA_PURPOSES))
    provider = Text(load_default="", validate=one_of("image"))


class CaptchaChallenge(StrictSchema):
    """`captcha.challenge`. `challenge` is as the altcha widget or GeeTest's script takes it, `url` that of a picture;
    what has an `id` is answered under it. Provider "none" has no more."""

    provider = fields.String()
    id = fields.String()
    url = fields.String()
    challenge = fields.Dict()
    expires_at = fields.Float()


class CaptchaCheck(StrictSchema):
    """`captcha.check`."""

    purpose = Text(required=True, validate=one_of(*CAPTCHA_PURPOSES))
    captcha = captcha_field()


class CaptchaPassed(StrictSchema):
    """`captcha.passed`: a pass, sent as `captcha` once."""

    captcha_token = fields.String()
    expires_at = fields.Float()


class SmsSend(StrictSchema):
    """`sms.send`; a resend names its transaction."""

    mobile = Mobile(required=True)
    purpose = Text(required=True, validate=one_of(*SMS_PURPOSES))
    captcha = captcha_field()
    transaction = transaction_field()


class SmsWatch(StrictSchema):
    """`sms.watch`; `after` is the last `seq` the page has seen, `wait` how many seconds a poll would like to wait."""

    transaction = transaction_field(required=True)
    after = Count(load_default=0)
    wait = Count(most=POLL_MAX_S, load_default=0)


class SmsReason(StrictSchema):
    """Why an SMS failed."""

    code = fields.String()
    message = fields.String()


class SmsState(StrictSchema):
    """`sms.queued`, `sms.state` and the REST poll. Times in Unix seconds; `mobile` masked."""

    transaction = fields.String()
    seq = fields.Integer()
    mobile = fields.String()
    purpose = fields.String()
    status = fields.String()
    attempt = fields.Integer()
    reason = fields.Nested(SmsReason, allow_none=True)
    can_resend = fields.Boolean()
    server_now = fields.Float()
    resend_at = fields.Float()
    expires_at = fields.Float()
    attempts_left = fields.Integer()


class CountdownTick(StrictSchema):
    """`countdown.tick`: `remaining` in whole seconds, the last one 0."""

    transaction = fields.String()
    remaining = fields.Integer()
    resend_at = fields.Float()
    server_now = fields.Float()

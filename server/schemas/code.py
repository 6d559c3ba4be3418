"""Captcha challenges and SMS codes."""

from marshmallow import fields

from server.errors import SMS_REASONS
from server.schemas.base import (
    TRANSACTION,
    Count,
    Mobile,
    StrictSchema,
    Text,
    about,
    captcha_field,
    one_of,
    transaction_field,
)

SMS_PURPOSES = ("register", "login", "reset", "change-old", "change-new", "claim")
POLL_MAX_S = 25  # proxies commonly give a request 30 s or 60 s
CAPTCHA_PURPOSES = (*SMS_PURPOSES, "check")
_PURPOSE = about("What it is for.", "register")
_EXPIRES_AT = about("When it ends, in Unix seconds.", 1767225900)
_SERVER_NOW = about(
    "The server's time of this. Count down from the difference, never from your own clock.", 1767225600.123
)
_RESEND_AT = about("From when this number may be sent the next SMS, in Unix seconds.", 1767225660)


class CaptchaNew(StrictSchema):
    """`captcha.new`."""

    purpose = Text(required=True, validate=one_of(*CAPTCHA_PURPOSES), metadata=_PURPOSE)
    provider = Text(
        load_default="",
        validate=one_of("image"),
        metadata=about("A picture instead, for a browser that cannot run the usual one: without HTTPS."),
    )


class CaptchaChallenge(StrictSchema):
    """`captcha.challenge`. `challenge` is as the altcha widget or GeeTest's script takes it, `url` that of a picture;
    what has an `id` is answered under it. Provider "none" has no more."""

    provider = fields.String(
        metadata=about("Which kind it is.", "altcha", enum=["none", "altcha", "image", "geetest3", "geetest4"])
    )
    id = fields.String(metadata=about("Under which it is answered, where it has one."))
    url = fields.String(metadata=about("The address of the picture."))
    challenge = fields.Dict(
        metadata=about("What the widget or script takes.", {"algorithm": "PBKDF2/SHA-256", "cost": 5000, "…": "…"})
    )
    expires_at = fields.Float(metadata=_EXPIRES_AT)
    sometimes = ("id", "url", "challenge", "expires_at")


class CaptchaCheck(StrictSchema):
    """`captcha.check`."""

    purpose = Text(required=True, validate=one_of(*CAPTCHA_PURPOSES), metadata=_PURPOSE)
    captcha = captcha_field()


class CaptchaPassed(StrictSchema):
    """`captcha.passed`: a pass, sent as `captcha` once."""

    captcha_token = fields.String(metadata=about("The pass.", "pass_0f1e2d3c4b5a69788796a5b4c3d2e1f0"))
    expires_at = fields.Float(metadata=_EXPIRES_AT)


class SmsSend(StrictSchema):
    """`sms.send`; a resend names its transaction."""

    mobile = Mobile(required=True)
    purpose = Text(required=True, validate=one_of(*SMS_PURPOSES), metadata=_PURPOSE)
    captcha = captcha_field()
    transaction = transaction_field(about("Of a resend: the SMS that is to be sent again."))


class SmsWatch(StrictSchema):
    """`sms.watch`; `after` is the last `seq` the page has seen, `wait` how many seconds a poll would like to wait."""

    transaction = transaction_field(required=True)
    after = Count(load_default=0, metadata=about("The last `seq` that is known already.", 0))
    wait = Count(
        most=POLL_MAX_S,
        load_default=0,
        metadata=about("REST: for how many seconds the answer may wait for a newer `seq`.", 0),
    )


class SmsReason(StrictSchema):
    """Why an SMS failed."""

    code = fields.String(metadata=about("For programs.", "undelivered", enum=[*SMS_REASONS]))
    message = fields.String(metadata=about("For people, in their language.", "手机未收到短信"))


class SmsState(StrictSchema):
    """`sms.queued` and `sms.state`: where an SMS stands. Times in Unix seconds."""

    transaction = fields.String(
        metadata=about("Its id. Keep it for a resend, for `sms.watch` and for whatever uses the code.", TRANSACTION)
    )
    seq = fields.Integer(metadata=about("Grows with each change; a state with a lower one is older.", 2))
    mobile = fields.String(metadata=about("The number, masked.", "154****8000"))
    purpose = fields.String(metadata=about("What the SMS is for.", "register", enum=[*SMS_PURPOSES]))
    status = fields.String(
        metadata=about(
            "How far it is. `accepted`: by the provider. A late receipt may still turn `failed` into `delivered`. "
            "For `login` and `reset` it stays `queued`, whether or not the number has an account.",
            "sending",
            enum=["queued", "sending", "accepted", "delivered", "failed"],
        )
    )
    attempt = fields.Integer(metadata=about("How many times the delivery was begun; 0 while it is queued.", 1))
    reason = fields.Nested(
        SmsReason, allow_none=True, metadata=about("Why it failed, null otherwise.") | {"examples": [None]}
    )
    can_resend = fields.Boolean(metadata=about("Whether this number may be sent the next SMS now.", False))
    server_now = fields.Float(metadata=_SERVER_NOW)
    resend_at = fields.Float(metadata=_RESEND_AT)
    expires_at = fields.Float(metadata=about("When the code ends, in Unix seconds.", 1767225900))
    attempts_left = fields.Integer(metadata=about("How many wrong codes are still allowed.", 5))


class CountdownTick(StrictSchema):
    """`countdown.tick`: `remaining` in whole seconds, the last one 0."""

    transaction = fields.String(metadata=about("The watched SMS.", TRANSACTION))
    remaining = fields.Integer(metadata=about("Seconds until the next SMS, rounded up; the last one is 0.", 42))
    resend_at = fields.Float(metadata=_RESEND_AT)
    server_now = fields.Float(metadata=_SERVER_NOW)

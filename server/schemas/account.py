"""Registration and login."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from server.schemas.base import (
    Account,
    Code,
    Flag,
    KnownPassword,
    Mobile,
    Password,
    StrictSchema,
    Text,
    any_password,
    captcha_field,
    transaction_field,
)


class UserRegister(StrictSchema):
    """`user.register`. `password2`, where given, must repeat the password."""

    mobile = Mobile(required=True)
    password = Password(required=True)
    password2 = Text(max_length=1024)
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    agree = Flag()
    captcha = captcha_field()

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _judge_repetition(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        """Compare what was typed, so that a short password does not hide a second fault."""
        first, second = original.get("password"), original.get("password2")
        if isinstance(first, str) and isinstance(second, str) and not _same(first, second):
            raise ValidationError("field.password2", "password2")

    @post_load
    def _forget_repetition(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data.pop("password2", None)
        return data


def _same(first: str, second: str) -> bool:
    try:
        return any_password(first) == any_password(second)
    except ValidationError:
        return first == second


class SessionLogin(StrictSchema):
    """`session.login`: a mobile or a username, and the password."""

    account = Account(required=True)
    password = KnownPassword(required=True)
    captcha = captcha_field()


class SessionOpened(StrictSchema):
    """`user.registered` and `session.opened`: `token` is the access token, good for `expires_in` seconds."""

    id = fields.String()
    username = fields.String()
    mobile = fields.String()
    token = fields.String()
    expires_in = fields.Integer()


class TokenRefreshed(StrictSchema):
    """Answer to `POST /user/refresh/`."""

    token = fields.String()
    expires_in = fields.Integer()


class Empty(StrictSchema):
    """A request without fields."""


class Pong(StrictSchema):
    """`pong`: Unix seconds."""

    server_now = fields.Float()

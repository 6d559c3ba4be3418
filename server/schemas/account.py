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


class WithNewPassword(StrictSchema):
    """Whatever sets a password for a number, which must not be made of that number."""

    judged_field = "new_password"

    @validates_schema
    def _judge_by_number(self, data: dict[str, Any], **_: Any) -> None:
        weakness = self.rules.password_rule.weakness(data[self.judged_field], mobile=data["mobile"])
        if weakness:
            raise ValidationError(weakness, self.judged_field)


class UserRegister(WithNewPassword):
    """`user.register`. `password2`, where given, must repeat the password."""

    mobile = Mobile(required=True)
    password = Password(required=True)
    password2 = Text(max_length=1024)
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    agree = Flag()
    captcha = captcha_field()
    judged_field = "password"

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


_BY_PASSWORD, _BY_CODE = {"account", "password"}, {"mobile", "sms_code", "transaction"}


class SessionLogin(StrictSchema):
    """`session.login`: a mobile or a username and the password, or a mobile and the code of an SMS."""

    account = Account()
    password = KnownPassword()
    mobile = Mobile()
    sms_code = Code()
    transaction = transaction_field()
    captcha = captcha_field()

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _judge_form(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        """All of one form, and nothing of the other."""
        wanted, other = (_BY_CODE, _BY_PASSWORD) if original.keys() & _BY_CODE else (_BY_PASSWORD, _BY_CODE)
        faults = {name: ["field.required"] for name in wanted - original.keys()}
        faults |= {name: ["field.unknown"] for name in other & original.keys()}
        if faults:
            raise ValidationError(faults)


class PasswordChange(StrictSchema):
    """`password.change`."""

    password = KnownPassword(required=True)
    new_password = Password(required=True)
    captcha = captcha_field()


class PasswordReset(WithNewPassword):
    """`password.reset`."""

    mobile = Mobile(required=True)
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    new_password = Password(required=True)
    captcha = captcha_field()


class AccountMobileChange(StrictSchema):
    """`mobile.change`: the code of an SMS to each of the two numbers."""

    password = KnownPassword(required=True)
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    new_mobile = Mobile(required=True)
    new_sms_code = Code(required=True)
    new_transaction = transaction_field(required=True)
    captcha = captcha_field()


class AccountMobileChanged(StrictSchema):
    """`mobile.changed`: masked."""

    mobile = fields.String()


class AccountDelete(StrictSchema):
    """`account.delete`."""

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

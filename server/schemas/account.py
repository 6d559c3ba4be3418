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
    about,
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
    password2 = Text(max_length=1024, metadata=about("The password once more, where a person typed it twice."))
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    agree = Flag(metadata=about("Agreement to the terms, where the service has some; then it must be true.", True))
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


_BY_PASSWORD, _BY_CODE = ("account", "password"), ("mobile", "sms_code", "transaction")


class SessionLogin(StrictSchema):
    """`session.login`: a mobile or a username and the password, or a mobile and the code of an SMS."""

    account = Account()
    password = KnownPassword()
    mobile = Mobile()
    sms_code = Code()
    transaction = transaction_field()
    captcha = captcha_field()
    forms = (_BY_PASSWORD, _BY_CODE)

    @validates_schema(skip_on_field_errors=False, pass_original=True)
    def _judge_form(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> None:
        """All of one form, and nothing of the other."""
        wanted, other = (_BY_CODE, _BY_PASSWORD) if original.keys() & {*_BY_CODE} else (_BY_PASSWORD, _BY_CODE)
        faults = {name: ["field.required"] for name in wanted if name not in original}
        faults |= {name: ["field.unknown"] for name in other if name in original}
        if faults:
            raise ValidationError(faults)


_NEW_PASSWORD = about("The new one. What is guessed at once is refused, with the reason.", "another battery, staple")


class PasswordChange(StrictSchema):
    """`password.change`."""

    password = KnownPassword(required=True)
    new_password = Password(required=True, metadata=_NEW_PASSWORD)
    captcha = captcha_field()


class PasswordReset(WithNewPassword):
    """`password.reset`."""

    mobile = Mobile(required=True)
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    new_password = Password(required=True, metadata=_NEW_PASSWORD)
    captcha = captcha_field()


class AccountMobileChange(StrictSchema):
    """`mobile.change`: the code of an SMS to each of the two numbers."""

    password = KnownPassword(required=True)
    sms_code = Code(required=True)
    transaction = transaction_field(required=True)
    new_mobile = Mobile(required=True, metadata=about("The new number, in any usual notation.", "15400138001"))
    new_sms_code = Code(required=True, metadata=about("The six digits of the SMS to it.", "170586"))
    new_transaction = transaction_field(
        about("The id of that SMS.", "7e20d4b8.Xw5nB2rKc9aLh6Tt0pVqMg"), required=True
    )
    captcha = captcha_field()


class AccountMobileChanged(StrictSchema):
    """`mobile.changed`: masked."""

    mobile = fields.String(metadata=about("The new number, masked.", "154****8000"))


class AccountDelete(StrictSchema):
    """`account.delete`."""

    password = KnownPassword(required=True)
    captcha = captcha_field()


class SessionOpened(StrictSchema):
    """`user.registered` and `session.opened`: `token` is the access token, good for `expires_in` seconds."""

    id = fields.String(metadata=about("The account.", "3ov6wqxk2jv5tz4d7a6m2n5q"))
    username = fields.String(metadata=about("Its username.", "hm_lfdga7tqol"))
    mobile = fields.String(metadata=about("Its number, masked.", "154****8000"))
    token = fields.String(metadata=about("The access token, a JWT.", "eyJ0eXAiOiJhdCtqd3QiLCJh…"))
    expires_in = fields.Integer(metadata=about("For how many seconds the token is good.", 900))


class TokenRefreshed(StrictSchema):
    """Answer to `POST /user/refresh/`."""

    token = fields.String(metadata=about("The access token, a JWT.", "eyJ0eXAiOiJhdCtqd3QiLCJh…"))
    expires_in = fields.Integer(metadata=about("For how many seconds the token is good.", 900))


class Empty(StrictSchema):
    """A request without fields."""


class Pong(StrictSchema):
    """`pong`: Unix seconds."""

    server_now = fields.Float(metadata=about("The server's time.", 1767225600.123))

"""The strict schema that all others build on, and the fields of the domain: Mobile, Code, Password, …"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, validate
from marshmallow.validate import Range

from server.errors import FieldFault
from server.password_rule import PasswordRule
from server.schemas.plain import NotPlain, Plain

_FAULTS: dict[str, str | list[Any] | dict[Any, Any]] = {
    "required": "field.required",
    "null": "field.required",
    "invalid": "field.invalid",
    "invalid_utf8": "field.invalid",
    "too_large": "field.invalid",
    "validator_failed": "field.invalid",
}
_SEPARATORS = str.maketrans("", "", " -")
_CAPTCHA_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_CAPTCHA_ANSWERS = (
    {"id", "answer"},
    {"id", "geetest_challenge", "geetest_validate", "geetest_seccode"},
    {"id", "lot_number", "captcha_output", "pass_token", "gen_time"},
)
_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})", re.ASCII)
_MOBILE_WITH_SEPARATORS = (
    r"^[ -]*(?:(?:\+|0[ -]*0)?[ -]*8[ -]*6)?[ -]*1[ -]*[3-9](?:[ -]*[0-9]){9}[ -]*$"  # what `canonical_mobile` takes
)
Shape = dict[str, Any]
TRANSACTION = "1f3a9c52.Zk3vT1qf0m8yQx7rJ2nLsw"  # looks like one


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator may set about shapes."""

    password_min: int = 8
    password_max: int = 64
    password_rule: PasswordRule = field(default_factory=PasswordRule)


class StrictSchema(Schema):
    """Refuses fields that it does not declare. One object serves every request.

    For the documents: of `forms` a request has all fields of one, and none of the others; `sometimes` are the fields
    that a reply may lack.
    """

    error_messages = {"unknown": "field.unknown", "type": "field.invalid"}  # noqa: RUF012 (marshmallow's name)
    forms: ClassVar[tuple[tuple[str, ...], ...]] = ()
    sometimes: ClassVar[tuple[str, ...]] = ()

    class Meta:
        unknown = RAISE

    def __init__(self, rules: Rules | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.rules = rules or Rules()
        self._plain = Plain(self)

    def load(self, data: Any, **options: Any) -> Any:
        """By the short way, where that leads to the same."""
        if type(data) is dict and self._plain.loads and not options:
            try:
                return self._plain.load(data)
            except (NotPlain, ValidationError):
                pass  # The whole way finds all that is wrong.
        return super().load(data, **options)

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """By the short way, where that leads to the same."""
        if type(obj) is dict and self._plain.dumps and not (self.many if many is None else many):
            return self._plain.dump(obj)
        return super().dump(obj, many=many)


def about(description: str, example: Any = None, **shape: Any) -> Shape:
    """`metadata` of a field: what the documents say of it, an example, and keywords of JSON Schema."""
    return {"description": description, **({} if example is None else {"examples": [example]}), **shape}


class Text(fields.String):
    """A string and nothing that could be made into one, of at most `max_length` characters."""

    default_error_messages = _FAULTS

    def __init__(self, *, max_length: int = 64, **options: Any) -> None:
        super().__init__(**options)
        self._max_length = max_length

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if len(value) > self._max_length:
            raise ValidationError([FieldFault("field.too_long", max=self._max_length)])
        return value

    def shape(self, rules: Rules) -> Shape:
        """What is judged here, in JSON Schema; what `metadata` and validators say stands beside it."""
        return {"maxLength": self._max_length}


class Flag(fields.Boolean):
    """true or false, and nothing that could be read as one of them."""

    default_error_messages = _FAULTS

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Count(fields.Integer):
    """A whole number from `least` to `most`, and not true or false, which Python takes for one."""

    default_error_messages = _FAULTS

    def __init__(
        self,
        *,
        least: int = 0,
        most: int = 999_999_999,
        fault: str = "field.invalid",
        validate: Any = None,
        **options: Any,
    ) -> None:
        judges = [Range(least, most, error=fault), *([validate] if validate else [])]
        super().__init__(strict=True, validate=judges, error_messages={"invalid": fault}, **options)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid")
        return super()._validated(value)


class Mobile(Text):
    """A mainland mobile number in any usual notation, made canonical: 11 ASCII digits. The only place that does."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> str:
        if isinstance(value, str) and (mobile := canonical_mobile(value)):
            return mobile
        raise ValidationError("field.mobile")

    def shape(self, rules: Rules) -> Shape:
        return {"pattern": _MOBILE_WITH_SEPARATORS} | about(
            "A mobile number of mainland China. It may have spaces and hyphens, and one prefix +86, 0086 or 86.",
            "15400138000",
        )


def canonical_mobile(text: str) -> str | None:
    """The 11 digits, or None (docs/rest.md): spaces and hyphens go, then one prefix, then ASCII digits."""
    match = _MOBILE.fullmatch(text) or _MOBILE.fullmatch(text.translate(_SEPARATORS))
    return match[1] if match else None


class Account(Text):
    """What one signs in with: a mobile in any notation, made canonical, or a username as it is."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> str:
        account = super()._deserialize(value, attr, data, **options)
        return canonical_mobile(account) or account

    def shape(self, rules: Rules) -> Shape:
        return super().shape(rules) | about("A mobile number in any usual notation, or a username.", "15400138000")


class Code(Text):
    """An SMS code: six ASCII digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> str:
        if isinstance(value, str) and len(value) == 6 and value.isascii() and value.isdigit():
            return value
        raise ValidationError("field.sms_code")

    def shape(self, rules: Rules) -> Shape:
        return {"pattern": "^[0-9]{6}$"} | about("The six digits of the SMS.", "493027")


class Password(Text):
    """A new password in NFC; its length counts code points (NIST SP 800-63B-4, 3.1.1.2)."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> str:
        password = any_password(value)
        rules: Rules = self.root.rules  # type: ignore[union-attr]
        if not rules.password_min <= len(password) <= rules.password_max:
            raise ValidationError(
                [FieldFault("field.password_length", min=rules.password_min, max=rules.password_max)]
            )
        if weakness := rules.password_rule.weakness(password):
            raise ValidationError(weakness)
        return password

    def shape(self, rules: Rules) -> Shape:
        return {"minLength": rules.password_min, "maxLength": rules.password_max} | about(
            "A new password, of any characters. One that is guessed at once is refused, with the reason.",
            "correct horse battery",
        )


class KnownPassword(Text):
    """A password to compare: whatever was once allowed is allowed here, so no rule but the safe ones."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> str:
        return any_password(value)

    def shape(self, rules: Rules) -> Shape:
        return {"maxLength": 1024} | about("The present password.", "correct horse battery")


def any_password(value: Any) -> str:
    """NFC of a string without NUL and lone surrogates; ValidationError else. Nothing is trimmed or cut."""
    if not isinstance(value, str):
        raise ValidationError("field.invalid")
    if len(value) > 1024:
        raise ValidationError([FieldFault("field.too_long", max=1024)])
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValidationError("field.password_characters")
    return unicodedata.normalize("NFC", value)


def one_of(*choices: str) -> validate.OneOf:
    """A validator: one of `choices`."""
    return validate.OneOf(choices, error="field.choice")


_TRANSACTION = about("The id of the SMS, as `sms.send` answered it.", TRANSACTION)


def transaction_field(told: Shape = _TRANSACTION, **options: Any) -> Text:
    """The id of an SMS transaction; one of another shape is simply unknown to the store."""
    printable = validate.Regexp(r"[\x21-\x7e]+\Z", error="field.invalid")
    return Text(max_length=64, validate=printable, metadata=told, **options)


class CaptchaAnswer(Text):
    """altcha's base64 payload or a `captcha_token`, or an object: the challenge's `id` and what its kind needs."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> Any:
        if not isinstance(value, dict):
            return super()._deserialize(value, attr, data, **options)
        texts = {name: super(CaptchaAnswer, self)._deserialize(text, name, value) for name, text in value.items()}
        if texts.keys() not in _CAPTCHA_ANSWERS or not _CAPTCHA_ID.fullmatch(texts["id"]) or not all(texts.values()):
            raise self.make_error("invalid")
        return texts

    def shape(self, rules: Rules) -> Shape:
        one = {"type": "string", "minLength": 1, "maxLength": self._max_length}
        kinds = [dict.fromkeys(sorted(names), one) for names in _CAPTCHA_ANSWERS]
        found = about(
            "The answer to a captcha: altcha's payload, a `captcha_token`, or an object with the challenge's `id` "
            "and what its kind needs. Where none is asked for it may be left out."
        )
        objects = [
            {
                "type": "object",
                "properties": names | {"id": {"type": "string", "pattern": "^[0-9a-f]{32}$"}},
                "required": [*names],
                "additionalProperties": False,
            }
            for names in kinds
        ]
        return found | {"type": ["string", "object"], "oneOf": [super().shape(rules) | {"type": "string"}, *objects]}


def captcha_field() -> CaptchaAnswer:
    """The answer to a captcha of any kind."""
    return CaptchaAnswer(max_length=3500)

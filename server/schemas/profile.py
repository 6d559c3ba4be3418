"""What the holder of an account tells of himself, judged field by field and as a whole."""

import unicodedata
from typing import Any

from marshmallow import ValidationError, fields, validate, validates, validates_schema

from server.errors import FieldFault
from server.schemas.base import Count, Flag, Rules, Shape, StrictSchema, Text, about

NAME_MAX, DESCRIPTION_MAX, AGE_MAX = 32, 200, 100
_ZERO_WIDTH_JOINER = "\u200d"  # families and flags of emoji are made with it
# By such a name somebody would pass for us.
_RESERVED_WITHIN = ("管理员", "官方客服", "系统通知")
_RESERVED_ENDS = ("admin", "root", "administrator")
# What looks like a Latin letter, or is another way to write a character of the names above.
_LOOKS_LIKE = str.maketrans(
    {
        **dict(zip("аеорсухіѕԁмтнқ", "aeopcyxisdmthk", strict=True)),
        **dict(zip("αορνικτμ", "aopviktm", strict=True)),
        **dict(zip("01345@$!|", "oieas" + "asii", strict=True)),
        **dict(zip("員級統", "员级统", strict=True)),
    }
)


def check_sex(value: int) -> None:
    """0 not told, 1 male, 2 female."""
    if value not in (0, 1, 2):
        raise ValidationError("field.sex")


def is_reserved(name: str) -> bool:
    """Whether a name is ours, or made to look like it."""
    seen = unicodedata.normalize("NFKC", name).casefold().translate(_LOOKS_LIKE)
    letters = "".join(character for character in seen if character.isalnum())
    return (
        letters.startswith(_RESERVED_ENDS)
        or letters.endswith(_RESERVED_ENDS[:1])
        or any(reserved in letters for reserved in _RESERVED_WITHIN)
    )


class Words(Text):
    """Text for people: NFC, without spaces around it and without what cannot be seen."""

    def __init__(self, *, lines: bool = False, **options: Any) -> None:
        super().__init__(max_length=1024, **options)
        self._allowed = _ZERO_WIDTH_JOINER + ("\n" if lines else "")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        text = super()._deserialize(value, attr, data, **options)
        if any(unicodedata.category(character)[0] == "C" and character not in self._allowed for character in text):
            raise ValidationError("field.characters")
        return unicodedata.normalize("NFC", text).strip()

    def shape(self, rules: Rules) -> Shape:
        """The validators say how long it may be."""
        return {}


_SEX = about("0 not told, 1 male, 2 female.", 0, enum=[0, 1, 2])
_AGE = about("In years, or null.", 40)
_ACTIVE = about("An inactive profile needs a description.", True)


class ProfileReplace(StrictSchema):
    """`profile.replace`: the whole profile. What is left out becomes its default; only the name has none."""

    name = Words(
        required=True,
        validate=validate.Length(1, NAME_MAX, error=FieldFault("field.name_length", max=NAME_MAX)),
        metadata=about("What others call one. Not ours, nor made to look so.", "张三"),
    )
    age = Count(most=AGE_MAX, fault="field.age", allow_none=True, load_default=None, metadata=_AGE)
    sex = Count(fault="field.sex", load_default=0, validate=check_sex, metadata=_SEX)
    active = Flag(load_default=True, metadata=_ACTIVE)
    description = Words(
        lines=True,
        load_default="",
        validate=validate.Length(max=DESCRIPTION_MAX, error=FieldFault("field.too_long", max=DESCRIPTION_MAX)),
        metadata=about("A few words; it may have several lines.", ""),
    )

    @validates("name")
    def _judge_name(self, value: str, **_: Any) -> None:
        if is_reserved(value):
            raise ValidationError("field.name_reserved")

    @validates_schema
    def _judge_whole(self, data: dict[str, Any], *, partial: bool = False, **_: Any) -> None:
        """Of a part nobody can tell: the whole is judged when the two are put together."""
        if not partial and not data["active"] and not data["description"]:
            raise ValidationError("field.description_needed", "description")


class ProfileUpdate(ProfileReplace):
    """`profile.update`: any part of it."""

    def __init__(self, rules: Rules | None = None, **options: Any) -> None:
        super().__init__(rules, partial=True, **options)


class ProfileShown(StrictSchema):
    """`profile.shown`: `mobile` masked, times in Unix seconds. What only we write is refused in a request."""

    id = fields.String(metadata=about("The account.", "3ov6wqxk2jv5tz4d7a6m2n5q"))
    username = fields.String(metadata=about("Its username.", "hm_lfdga7tqol"))
    mobile = fields.String(metadata=about("Its number, masked.", "154****8000"))
    name = fields.String(metadata=about("The name; the username of whoever has told none.", "张三"))
    age = fields.Integer(allow_none=True, metadata=_AGE)
    sex = fields.Integer(metadata=_SEX)
    active = fields.Boolean(metadata=_ACTIVE)
    description = fields.String(metadata=about("A few words.", ""))
    created_at = fields.Float(metadata=about("When the account was made, in Unix seconds.", 1767225600.123))

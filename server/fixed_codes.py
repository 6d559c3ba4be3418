"""TEST_MOBILES: numbers that have a fixed code and are sent no SMS, for those who try a service out or review it."""

import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone

_MOBILE = re.compile(r"1[3-9][0-9]{9}", re.ASCII)
_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# A date ends where the numbers are.
_ZONE = timezone(timedelta(hours=8))


class FixedCodesFault(ValueError):
    """A list that cannot be used; the message names the entry by its place, never by its number or code."""


@dataclass(frozen=True, slots=True)
class _Fixed:
    code: str = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True)
class FixedCodes:
    """Fixed codes by canonical mobile, each until the end of its date."""

    _fixed: dict[str, _Fixed] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._fixed)

    def code(self, mobile: str, now: float) -> str | None:
        """The fixed code of a number; None for an ordinary one, which each becomes when its date is over."""
        fixed = self._fixed.get(mobile)
        return fixed.code if fixed and now < fixed.until else None

    def require_end(self, now: float) -> None:
        """FixedCodesFault for an entry that has no end, or has it behind it."""
        for place, fixed in enumerate(self._fixed.values(), 1):
            if not now < fixed.until < math.inf:
                raise FixedCodesFault(f"entry {place} needs a date in the future in production (number=code@date).")


def parse_fixed_codes(text: str) -> FixedCodes:
    """`15400000001=123456@2027-01-31,…`, the date may be missing; FixedCodesFault says what will not do."""
    found: dict[str, _Fixed] = {}
    for place, entry in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        mobile, _, rest = entry.partition("=")
        code, at, until = rest.partition("@")
        if not _MOBILE.fullmatch(mobile):
            raise FixedCodesFault(f"entry {place} must begin with a mobile number of 11 digits and an equals sign.")
        if mobile in found:
            raise FixedCodesFault(f"entry {place} names a number that an earlier one names.")
        if not _CODE.fullmatch(code):
            raise FixedCodesFault(f"the code of entry {place} must be six digits.")
        found[mobile] = _Fixed(code, _end_of(until, place) if at else math.inf)
    return FixedCodes(found)


def _end_of(text: str, place: int) -> float:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        day = date.fromisoformat(text)
        return datetime.combine(day, time(), _ZONE).timestamp() + 86400
    except ValueError:
        raise FixedCodesFault(f"the date of entry {place} must be one of the calendar, as 2027-01-31.") from None

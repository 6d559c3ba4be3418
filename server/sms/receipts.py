"""What all vendors' receipts have in common: rows of which some may be of no use, and mobiles in many spellings."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from server.sms.provider import Receipt

_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
Row = Mapping[str, Any]


def read_json_rows(body: bytes) -> list[Row]:
    """The objects of a JSON array, or one object that came alone; ValueError for anything else."""
    found = orjson.loads(body)
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("not an array of objects")
    return rows


def read_each(rows: Iterable[Row], read: Callable[[Row], Receipt]) -> list[Receipt]:
    """The receipts of all rows that can be read; ValueError if there are rows and none can.

    One bad row must not lose its neighbours: the vendor would send the whole report again, with the same row in it.
    """
    receipts, fault = [], None
    for row in rows:
        try:
            receipts.append(read(row))
        except ValueError as bad:
            fault = bad
    if fault and not receipts:
        raise fault
    return receipts


def field_of(row: Row, *names: str) -> str:
    """The first of these fields that is there, as text; a number counts, as some vendors write one."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def mobile_of(row: Row, *names: str) -> str:
    """The mobile in its 11 digits; ValueError if it is none of ours."""
    found = _MOBILE.fullmatch(field_of(row, *names))
    if not found:
        raise ValueError("no mobile")
    return found[1]


def name_of(row: Row, *names: str) -> str:
    """The vendor's name for the message; ValueError without one, as nothing could be matched with it."""
    name = field_of(row, *names)
    if not name or len(name) > 128:
        raise ValueError("no message id")
    return name

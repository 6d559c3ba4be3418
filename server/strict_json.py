"""JSON as this service reads it: nothing that two parsers could understand differently."""

import json
from typing import Any

import orjson

MAX_DEPTH = 8
MAX_KEYS = 64
MAX_STRING_BYTES = 4096


class JsonRefused(ValueError):
    """The text is not JSON, or is JSON that we do not take."""


def loads(raw: bytes | str) -> dict[str, Any]:
    """The object in `raw`; JsonRefused for anything but one object of modest size without duplicate keys."""
    try:
        value = orjson.loads(raw)
    except (orjson.JSONDecodeError, UnicodeEncodeError) as fault:
        raise JsonRefused("not JSON") from fault
    if not isinstance(value, dict):
        raise JsonRefused("not an object")
    if not _modest(raw):
        _measure(value, 1)
    _refuse_duplicates(raw, value)
    return value


def _modest(raw: bytes | str) -> bool:
    """Whether the text alone says that nothing in it can be too long, too deep or too wide."""
    if len(raw) > MAX_STRING_BYTES // 4:  # as UTF-8 a character may be four bytes
        return False
    text = raw if isinstance(raw, str) else raw.decode("latin-1")
    return text.count("{") + text.count("[") <= MAX_DEPTH and text.count(",") < MAX_KEYS


def _measure(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if len(value) > MAX_STRING_BYTES or len(value.encode()) > MAX_STRING_BYTES:
            raise JsonRefused("string too long")
        return
    if not isinstance(value, dict | list):
        return
    if depth > MAX_DEPTH or len(value) > MAX_KEYS:
        raise JsonRefused("too deep or too wide")
    for key in value if isinstance(value, dict) else ():
        _measure(key, depth)
    for child in value.values() if isinstance(value, dict) else value:
        _measure(child, depth + 1)


def _refuse_duplicates(raw: bytes | str, value: dict[str, Any]) -> None:
    """orjson keeps the last duplicate silently, so what does not round-trip is read again by the slow parser."""
    data = raw.encode() if isinstance(raw, str) else raw
    if orjson.dumps(value) != data:
        json.loads(data, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonRefused("duplicate key")
    return found

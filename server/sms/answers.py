"""What all vendors' answers have in common: JSON that may be anything, and a status when there is nothing better."""

import re
from typing import Any, NoReturn

import orjson

from server.sms.provider import FailureKind, SendFailed

_CODE = re.compile(r"(?!.*[0-9]{7})[A-Za-z0-9._:-]{1,64}")  # a code may be counted and logged; a number may not
_STATUS: dict[int, FailureKind] = {
    408: "transient",
    429: "transient",
    504: "unknown",  # a gateway passed it on and heard no more (RFC 9110, 15.6.5)
}


def read_object(status: int, body: bytes) -> dict[str, Any]:
    """The JSON object of an answer; SendFailed by the status if it is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        fail_by_status(status)
    return found


def fail_by_status(status: int) -> NoReturn:
    """SendFailed for an answer of which only the status can be understood."""
    raise SendFailed(_kind_of(status), "the answer cannot be understood", f"http-{status}")


def _kind_of(status: int) -> FailureKind:
    if status in _STATUS:
        return _STATUS[status]
    if status < 300:
        return "unknown"  # The vendor says that it did something.
    # Redirects are off, and no vendor documents one: the address is wrong, as is the request with a 4xx.
    return "config" if status < 500 else "transient"


def message_id(value: object) -> str:
    """A vendor's name for a message; empty if it is none that could be matched later."""
    return value if isinstance(value, str) and len(value) <= 128 and value.isprintable() else ""


def plain_code(code: object) -> str:
    """A vendor's code, if it looks like one."""
    if not isinstance(code, str) or not code:
        return ""
    return code if _CODE.fullmatch(code) else "unreadable"


def kinds(
    *,
    config: str = "",
    limit_user: str = "",
    limit_service: str = "",
    transient: str = "",
    permanent: str = "",
    unknown: str = "",
) -> dict[str, FailureKind]:
    """A vendor's codes, each with what it means: `kinds(config="A B", transient="C")`."""
    named: dict[FailureKind, str] = {
        "config": config,
        "limit_user": limit_user,
        "limit_service": limit_service,
        "transient": transient,
        "permanent": permanent,
        "unknown": unknown,
    }
    return {code: kind for kind, codes in named.items() for code in codes.split()}

"""Which errors an operation may answer, and what an error looks like over HTTP."""

from collections.abc import Iterable
from typing import Any

from server.apidoc.words import error_example, error_text, waits
from server.errors import ERRORS
from server.operation import Operation
from server.schemas.base import Shape

EVERY_OPERATION = {"validation_failed", "rate_limited", "busy", "unavailable", "internal_error"}
# Of a message that cannot be taken for a request, so that nobody knows of which.
EVERY_FRAME = {"json_invalid", "request_invalid", "message_unknown", "rate_limited"}
EVERY_ADDRESS = {"request_invalid", "host_unknown", "headers_too_large", "payload_too_large", "internal_error"}
_WITH_BODY = {"json_invalid", "unsupported_media_type"}
_REF = {"$ref": "#/components/schemas/Refusal"}
_RETRY_AFTER: Shape = {
    "description": "As `params.retry_after`: the true wait in whole seconds.",
    "schema": {"type": "integer", "minimum": 1, "examples": [42]},
}


def refusals_of(row: Operation) -> set[str]:
    """What its row names, what follows from the row, and what every operation may answer."""
    asked = row.schema._declared_fields.keys()
    found = EVERY_OPERATION | {*row.errors}
    if asked & {"mobile", "new_mobile"}:
        found |= {"mobile_invalid"}
    if "captcha" in asked:
        found |= {"captcha_required", "captcha_failed"}
    if row.needs_login:
        found |= {"token_invalid"}
    if row.role:
        return found | {"not_allowed"}
    return (
        found | {"address_blocked"} | ({"number_blocked"} if asked & {"mobile", "new_mobile", "account"} else set())
    )


def rest_refusals_of(row: Operation) -> set[str]:
    """With those that only HTTP knows."""
    assert row.rest is not None
    found = refusals_of(row) | EVERY_ADDRESS | {*row.rest.errors}
    if row.uses_cookie:
        found |= {"origin_refused"}
    if has_body(row):
        found |= _WITH_BODY
    elif "captcha" in row.schema._declared_fields:
        found |= {"json_invalid"}  # in X-Captcha
    return found


def has_body(row: Operation) -> bool:
    """Whether its REST form is asked with a body. A DELETE has one only where there is something to say."""
    assert row.rest is not None
    said = row.schema._declared_fields.keys() - _named(row.rest.path)
    return row.rest.method in ("POST", "PUT", "PATCH") or (row.rest.method == "DELETE" and bool(said))


def _named(path: str) -> set[str]:
    return {part[1:-1] for part in path.split("/") if part.startswith("{")}


def responses(codes: Iterable[str]) -> dict[str, Shape]:
    """One for each status, with all errors that have it."""
    by_status: dict[int, list[str]] = {}
    for code in ERRORS:
        if code in {*codes}:
            by_status.setdefault(ERRORS[code], []).append(code)
    return {str(status): _response(found) for status, found in sorted(by_status.items())}


def _response(codes: list[str]) -> Shape:
    headers: Shape = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if any(map(waits, codes)):
        headers["Retry-After"] = _RETRY_AFTER | {"required": all(map(waits, codes))}
    if "token_invalid" in codes:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
    one_of_these = {"type": "object", "properties": {"error": refusal_of(codes)}, "required": ["error"]}
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    return {
        "description": "\n".join(f"- `{code}`: {error_text(code)}" for code in codes),
        "headers": headers,
        "content": {"application/json": {"schema": one_of_these, "examples": examples}},
    }


def refusal_of(codes: Iterable[str]) -> Shape:
    """The shape of an error that is one of `codes`."""
    return {"allOf": [_REF, {"properties": {"code": {"enum": [*codes]}}}]}


def examples() -> dict[str, Any]:
    """Each error as HTTP has it."""
    return {code: {"value": {"error": error_example(code)}} for code in ERRORS}


REFUSAL: Shape = {
    "description": "The one form of all errors.",
    "type": "object",
    "properties": {
        "code": {"description": "For programs.", "type": "string", "enum": [*ERRORS]},
        "message": {"description": "For people, in their language.", "type": "string"},
        "params": {
            "description": "For both. `retry_after`: the true wait in whole seconds; `fields`: all faults at once.",
            "type": "object",
            "properties": {
                "retry_after": {"type": "integer", "minimum": 1},
                "fields": {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                },
            },
        },
        "request_id": {"description": "Under which the server's log has it.", "type": "string"},
    },
    "required": ["code", "message", "params", "request_id"],
    "additionalProperties": False,
}

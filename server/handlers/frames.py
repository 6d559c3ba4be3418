"""Frames of a websocket: read strictly, answered each with exactly one."""

from collections.abc import Awaitable, Callable
from typing import Any

from marshmallow import ValidationError

from server import strict_json
from server.caller import Caller
from server.errors import AppError
from server.i18n import error_body
from server.schemas.envelope import Envelope, frame, readable_id

_ENVELOPE = Envelope()
Respond = Callable[[dict[str, Any], Caller], Awaitable[tuple[str, dict[str, Any]]]]


async def answer_frame(
    message: str | bytes, caller: Caller, *, respond: Respond, charge: Callable[[], None] = lambda: None
) -> bytes:
    """The frame that answers a message: what `respond(request, caller)` says, or the refusal. Even what is no frame
    counts: `charge` comes first."""
    frame_id: int | str | None = None
    try:
        raw = _parse(message)
        frame_id = readable_id(raw or {})
        charge()
        kind, data = await respond(_read(raw), caller)
    except AppError as fault:
        kind, data = "error", error_body(fault, caller.locale, caller.request_id)
    return frame(kind, frame_id, data)


def _parse(message: str | bytes) -> dict[str, Any] | None:
    """The object in a frame, or None."""
    try:
        return strict_json.loads(message) if isinstance(message, str) else None
    except ValueError:
        return None


def _read(raw: dict[str, Any] | None) -> dict[str, Any]:
    """`type`, `id` and `data` of a request; AppError `json_invalid` or `request_invalid`."""
    if raw is None:
        raise AppError("json_invalid")
    try:
        request: dict[str, Any] = _ENVELOPE.load(raw)
    except ValidationError:
        raise AppError("request_invalid") from None
    return request

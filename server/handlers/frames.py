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
FrameId = int | str | None
Request = dict[str, Any] | AppError
Respond = Callable[[dict[str, Any], Caller], Awaitable[tuple[str, dict[str, Any]]]]


def read_frame(message: str | bytes, charge: Callable[[], None] = lambda: None) -> tuple[FrameId, Request]:
    """Its id, if it can be read, and its request or why it is none. Even what is no frame counts: `charge` comes
    first."""
    raw = _parse(message)
    try:
        charge()
        request = _read(raw)
    except AppError as fault:
        return readable_id(raw or {}), fault
    return request["id"], request


def refusal_frame(fault: AppError, frame_id: FrameId, caller: Caller) -> bytes:
    """What a request gets instead of its answer."""
    return frame("error", frame_id, error_body(fault, caller.locale, caller.request_id))


async def answer_frame(
    message: str | bytes, caller: Caller, *, respond: Respond, charge: Callable[[], None] = lambda: None
) -> bytes:
    """The frame that answers a message: what `respond(request, caller)` says, or the refusal."""
    frame_id, request = read_frame(message, charge)
    return await answer_request(request, frame_id, caller, respond=respond)


async def answer_request(request: Request, frame_id: FrameId, caller: Caller, *, respond: Respond) -> bytes:
    """The same for one that was read."""
    if isinstance(request, AppError):
        return refusal_frame(request, frame_id, caller)
    try:
        kind, data = await respond(request, caller)
    except AppError as fault:
        return refusal_frame(fault, frame_id, caller)
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

"""Frames of a websocket, read strictly."""

from typing import Any

from marshmallow import ValidationError

from server import strict_json
from server.errors import AppError
from server.schemas.envelope import Envelope

_ENVELOPE = Envelope()


def parse_frame(message: str) -> dict[str, Any] | None:
    """The object in a frame, or None: even what is none counts against the rate."""
    try:
        return strict_json.loads(message)
    except ValueError:
        return None


def read_request(raw: dict[str, Any] | None) -> dict[str, Any]:
    """`type`, `id` and `data` of a request; AppError `json_invalid` or `request_invalid`."""
    if raw is None:
        raise AppError("json_invalid")
    try:
        request: dict[str, Any] = _ENVELOPE.load(raw)
    except ValidationError:
        raise AppError("request_invalid") from None
    return request

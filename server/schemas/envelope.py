"""The websocket frame, in and out."""

from collections.abc import Mapping
from typing import Any

import orjson
from marshmallow import ValidationError, fields

from server.schemas.base import Rules, Shape, StrictSchema, Text


class FrameId(fields.Field[int | str]):
    """An integer or at most 64 printable ASCII characters, echoed in the reply."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any) -> int | str:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
            return value
        if isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.isprintable():
            return value
        raise ValidationError("field.invalid")

    def shape(self, rules: Rules) -> Shape:
        return {
            "description": "Any integer or text. The answer has the same.",
            "examples": [7],
            "oneOf": [
                {"type": "integer", "exclusiveMinimum": -(2**53), "exclusiveMaximum": 2**53},
                {"type": "string", "pattern": "^[ -~]{1,64}$"},
            ],
        }


class RequestData(fields.Field[dict[str, Any]]):
    """An object; the schema of its operation judges what is in it."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any
    ) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        raise ValidationError("field.invalid")

    def shape(self, rules: Rules) -> Shape:
        return {"type": "object"}


class Envelope(StrictSchema):
    """`{"type": "mobile.check", "id": 7, "data": {...}}`; `data` may be left out."""

    type = Text(required=True)
    id = FrameId(required=True)
    data = RequestData(load_default=dict, error_messages={"null": "field.invalid"})


_ID = FrameId()


def frame(kind: str, frame_id: int | str | None, data: Mapping[str, Any]) -> bytes:
    """One message to the browser; a push has the id None."""
    return orjson.dumps({"type": kind, "id": frame_id, "data": data})


def readable_id(raw: Mapping[str, Any]) -> int | str | None:
    """The id of a frame that may be wrong in everything else; None if that is wrong too."""
    try:
        return _ID.deserialize(raw.get("id"))
    except ValidationError:
        return None

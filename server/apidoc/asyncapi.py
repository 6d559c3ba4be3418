"""The websockets in AsyncAPI 3.0, made of the operations' table and of the table of channels.

It speaks for the server: it receives requests and sends pushes. What one message may be is `request.…`, `reply.…`,
`error.…` of an operation, or `push.…`.
"""

from collections.abc import Iterator
from typing import Any

from marshmallow import Schema

from server.apidoc.refusals import EVERY_FRAME, REFUSAL, refusal_of, refusals_of
from server.apidoc.samples import sample_of
from server.apidoc.shapes import Shapes
from server.apidoc.site import INFO, Site
from server.apidoc.words import details_of, error_example, error_text, title_of
from server.channels import CHANNELS, Channel
from server.errors import ERRORS
from server.operation import Operation
from server.operations import OPERATIONS
from server.schemas.base import Shape
from server.schemas.envelope import FrameId

_DESCRIPTION = """\
What a page asks and hears while it is open. Each request has a [REST form](/docs) with the same function behind it.

Frames are JSON objects in text, at most 4 KiB: `type`, `id` and `data`. The `id` of a request comes back in its
answer, a push has the id `null`. Each request gets exactly one answer, in order.
"""
_TOKEN = {"$ref": "#/components/securitySchemes/token"}


def asyncapi_of(site: Site) -> dict[str, Any]:
    """The whole document."""
    shapes = Shapes(site.rules)
    frame_id = shapes.field(FrameId())
    messages: dict[str, Shape] = {"error": _unreadable(frame_id)}
    channels: dict[str, Shape] = {}
    operations: dict[str, Shape] = {}
    for name, channel in CHANNELS.items():
        rows = [row for row in OPERATIONS.values() if row.socket == name]
        found = {key: message for row in rows for key, message in _messages(row, frame_id, shapes)}
        found |= {f"push.{kind}": _push(kind, push.schema, shapes) for kind, push in channel.pushes.items()}
        messages |= found
        channels[name] = _channel(channel, ["error", *found])
        operations |= {row.name: _asked(row, name) for row in rows} | dict(_pushed(name, channel))
    schemas = shapes.components() | {"Refusal": REFUSAL}
    for message in messages.values():
        message["examples"] = [{"payload": _sample(message, schemas)}]
    return {
        "asyncapi": "3.0.0",
        "info": INFO | {"title": f"{site.name} · websocket", "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"here": {"host": site.host, "protocol": "wss" if site.secure else "ws", "security": [_TOKEN]}},
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": schemas,
            "messages": messages,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _channel(channel: Channel, messages: list[str]) -> Shape:
    query = {name: {"type": "string", "description": what} for name, what in channel.query.items()}
    return {
        "address": channel.address,
        "title": channel.title,
        "description": channel.connecting,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "ws": {"method": "GET", "query": {"type": "object", "properties": query}, "bindingVersion": "0.1.0"}
        },
        "x-close-codes": {str(code): why for code, why in sorted(channel.close_codes.items())},
        "x-handshake-refusals": {
            code: {"status": ERRORS[code], "text": error_text(code)} for code in channel.refusals
        },
    }


def _messages(row: Operation, frame_id: Shape, shapes: Shapes) -> Iterator[tuple[str, Shape]]:
    asked = _message(row.name, frame_id, shapes.request(row.schema))
    if not row.schema.forms and not any(field.required for field in row.schema._declared_fields.values()):
        asked["payload"]["required"].remove("data")
    yield f"request.{row.name}", asked
    yield f"reply.{row.reply}", _message(row.reply, frame_id, shapes.reply(row.reply_schema))
    yield f"error.{row.name}", _message("error", frame_id, refusal_of(_in_order(refusals_of(row))))


def _push(kind: str, schema: Schema, shapes: Shapes) -> Shape:
    return _message(kind, {"type": "null"}, shapes.reply(schema))


def _unreadable(frame_id: Shape) -> Shape:
    told = {"description": "null where it cannot be told.", "anyOf": [frame_id, {"type": "null"}]}
    return _message("error", told, refusal_of(_in_order(EVERY_FRAME)))


def _message(kind: str, frame_id: Shape, data: Shape) -> Shape:
    parts = {"type": {"type": "string", "const": kind}, "id": frame_id, "data": data}
    payload = {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}
    return {"name": kind, "payload": payload}


def _sample(message: Shape, schemas: Shape) -> Shape:
    parts = message["payload"]["properties"]
    if message["name"] == "error":
        data = error_example(parts["data"]["allOf"][1]["properties"]["code"]["enum"][0])
    else:
        data = sample_of(parts["data"], schemas)
    return {"type": message["name"], "id": None if parts["id"].get("type") == "null" else 7, "data": data}


def _asked(row: Operation, channel: str) -> Shape:
    found: Shape = {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "title": row.name,
        "summary": title_of(row),
        "description": details_of(row),
        "messages": [_of(channel, f"request.{row.name}")],
        "reply": {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [_of(channel, f"reply.{row.reply}"), _of(channel, f"error.{row.name}")],
        },
    }
    if row.needs_login:
        found["security"] = [_TOKEN]
    if row.role:
        found["x-role"] = row.role
    if row.rest:
        found["x-rest"] = f"{row.rest.method} {row.rest.path}"
    return found


def _pushed(name: str, channel: Channel) -> Iterator[tuple[str, Shape]]:
    for kind, push in channel.pushes.items():
        yield (
            f"{name}.push.{kind}",
            {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "title": kind,
                "summary": push.when,
                "messages": [_of(name, f"push.{kind}")],
            },
        )


def _of(channel: str, message: str) -> Shape:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}


def _in_order(codes: set[str]) -> list[str]:
    return [code for code in ERRORS if code in codes]

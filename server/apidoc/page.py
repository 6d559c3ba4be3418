"""The AsyncAPI document as a page shows it: each message with its fields in rows, and frames to copy."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from server.apidoc.samples import resolved
from server.schemas.base import Shape

_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\((/[^)\s]*)\)")


@dataclass(frozen=True, slots=True)
class Row:
    """One field."""

    name: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Message:
    """A frame: its `type`, the rows of its `data` (a list for each of its forms), and one to copy."""

    name: str
    forms: list[list[Row]]
    example: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One that may be sent, and what comes back. `needs`: "login", a role, or "" for nothing."""

    name: str
    title: str
    description: str
    rest: str
    needs: str
    request: Message
    reply: Message
    errors: list[str]


@dataclass(frozen=True, slots=True)
class Told:
    """One that is heard without asking."""

    name: str
    when: str
    message: Message


@dataclass(frozen=True, slots=True)
class Socket:
    """One channel."""

    name: str
    address: str
    connecting: str
    asked: list[Asked]
    told: list[Told]
    close_codes: dict[str, str]
    handshake_refusals: dict[str, int]


def page_of(document: dict[str, Any]) -> list[Socket]:
    """What the template shows."""
    return [_socket(name, channel, document) for name, channel in document["channels"].items()]


def _socket(name: str, channel: Shape, document: dict[str, Any]) -> Socket:
    ours = {"$ref": f"#/channels/{name}"}
    operations = {key: one for key, one in document["operations"].items() if one["channel"] == ours}
    return Socket(
        name=name,
        address=channel["address"],
        connecting=channel["description"],
        asked=[_asked(one, document) for one in operations.values() if one["action"] == "receive"],
        told=[
            Told(key, one["summary"], _message(one["messages"][0], document))
            for key, one in operations.items()
            if one["action"] == "send"
        ],
        close_codes=channel["x-close-codes"],
        handshake_refusals={code: one["status"] for code, one in channel["x-handshake-refusals"].items()},
    )


def marked_up(words: str) -> str:
    """HTML of a description: `code`, [links](/to/ours) and paragraphs are all that these texts have."""
    paragraphs = [html.escape(part.replace("\n", " "), quote=False) for part in words.strip().split("\n\n")]
    return "".join(f"<p>{_LINK.sub(_linked, _CODE.sub(_coded, part))}</p>" for part in paragraphs if part)


def _coded(match: re.Match[str]) -> str:
    return f"<code>{match[1]}</code>"


def _linked(match: re.Match[str]) -> str:
    return f'<a href="{html.escape(match[2])}">{match[1]}</a>'


def _asked(operation: Shape, document: dict[str, Any]) -> Asked:
    reply, error = operation["reply"]["messages"]
    return Asked(
        name=operation["title"],
        title=operation["summary"],
        description=operation["description"],
        rest=operation.get("x-rest", ""),
        needs=operation.get("x-role", "login" if "security" in operation else ""),
        request=_message(operation["messages"][0], document),
        reply=_message(reply, document),
        errors=_found(error, document)["payload"]["properties"]["data"]["allOf"][1]["properties"]["code"]["enum"],
    )


def _message(reference: Shape, document: dict[str, Any]) -> Message:
    found = _found(reference, document)
    schemas = document["components"]["schemas"]
    data = resolved(found["payload"]["properties"]["data"], schemas)
    forms = [[*_rows(form, schemas)] for form in data.get("oneOf", [data])]
    example = json.dumps(found["examples"][0]["payload"], ensure_ascii=False, indent=2)
    return Message(found["name"], forms, example)


def _found(reference: Shape, document: dict[str, Any]) -> Shape:
    message: Shape = document["components"]["messages"][reference["$ref"].rpartition("/")[2]]
    return message


def _rows(shape: Shape, schemas: Shape, within: str = "") -> Iterator[Row]:
    """A row for each field; those of an object in it follow, named `object.field`."""
    for name, part in shape.get("properties", {}).items():
        description = part.get("description", "")
        yield Row(within + name, _kind(part, schemas), name in shape.get("required", []), description)
        inner = resolved(part.get("items", part.get("anyOf", [part])[0]), schemas)
        if inner is not part:
            yield from _rows(inner, schemas, f"{within}{name}{'[]' if 'items' in part else ''}.")


def _kind(shape: Shape, schemas: Shape) -> str:
    if "enum" in shape:
        return " | ".join(json.dumps(one) for one in shape["enum"])
    if "anyOf" in shape:
        return " | ".join(_kind(resolved(one, schemas), schemas) for one in shape["anyOf"])
    kinds = shape.get("type", "any")
    named = kinds if isinstance(kinds, str) else " | ".join(kinds)
    return f"{named} {_span(shape)}".strip()


def _span(shape: Shape) -> str:
    """From where to where a number or a length goes."""
    for least, most, what in (("minimum", "maximum", ""), ("minLength", "maxLength", " characters")):
        if most in shape:
            return f"{shape[least]}–{shape[most]}{what}" if least in shape else f"≤ {shape[most]}{what}"
    return ""

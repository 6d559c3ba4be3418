"""The addresses that are no operations: for probes, vendors, other services, and developers."""

from collections.abc import Iterable
from typing import Any

from server.apidoc.refusals import EVERY_ADDRESS, responses
from server.apidoc.shapes import Shapes
from server.schemas.base import Shape
from server.schemas.sandbox import InboxMessage, SandboxSet, SandboxState

_JSON = "application/json"
_WORD: Shape = {"type": "string"}
_REQUEST_ID = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}


def plain_paths(shapes: Shapes, *, development: bool) -> dict[str, Shape]:
    """Path -> method -> operation; each is named by a handler of `app.py`, and a test compares."""
    found = _for_pages() | _for_services() | _for_operators() | _documents()
    return found | _for_developers(shapes) if development else found


def _for_pages() -> dict[str, Shape]:
    picture = _path("id", "The `id` of the challenge.", "^[0-9a-f]{32}$", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    sent_on = _plain(
        "session",
        "pages.login",
        "The page where one signs in, for a browser",
        {},
        details="It has the address of the operation, by an older custom.",
    )
    sent_on["responses"]["302"] = sent_on["responses"].pop("200") | {"description": "To `/login`."}
    return {
        "/user/login/": {"get": sent_on},
        "/user/captcha/{id}.png": {
            "get": _plain(
                "captcha",
                "captcha.picture",
                "The picture of an image captcha",
                {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}},
                details="For the browser that has the challenge, while it is open.",
                errors=("not_found", "rate_limited", "busy", "unavailable"),
                parameters=[picture],
            )
        },
        "/passwords.json": {
            "get": _plain(
                "password",
                "password.common",
                "The passwords that are too common",
                {_JSON: {"schema": {"type": "array", "items": _WORD}, "example": ["password", "123456789"]}},
                details="So that a page can say at once what the server would say later. Its address on the pages "
                "names this very list, and may be kept for a year.",
            )
        },
    }


def _for_services() -> dict[str, Shape]:
    where = [
        _path("provider", "As `SMS_PROVIDERS` names it.", "", "webhook"),
        _path("secret", "The secret of its receipts.", "", "kept-between-two"),
    ]
    thanks = {"application/json": {"schema": {"type": "object"}}, "text/plain": {"schema": _WORD}}
    receipt = _plain(
        "services",
        "receipts.accept",
        "A vendor's report of what became of an SMS",
        thanks,
        details="In whatever form that vendor reports. It is thanked as it expects, and only for what was taken.",
        errors=("receipt_refused", "unavailable"),
        parameters=where,
    )
    anything: Shape = {
        "content": {"application/json": {"schema": {}}, "application/x-www-form-urlencoded": {"schema": {}}}
    }
    keys = {
        "type": "object",
        "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
        "required": ["keys"],
    }
    return {
        "/receipts/{provider}/{secret}/": {"post": receipt | {"requestBody": anything}},
        "/.well-known/jwks.json": {
            "get": _plain(
                "services",
                "keys",
                "The public keys that access tokens are verified with",
                {
                    _JSON: {
                        "schema": keys,
                        "example": {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "t1", "x": "…"}]},
                    }
                },
                details="A JWK set (RFC 7517). It may be kept for five minutes.",
            )
        },
    }


def _for_operators() -> dict[str, Shape]:
    alive = {_JSON: {"schema": _state({"status": {"type": "string", "enum": ["ok"]}}), "example": {"status": "ok"}}}
    readiness = _probe("readiness", "Can it serve", _ready("ready", []))
    readiness["responses"]["503"] = {
        "description": "It waits for what is named.",
        "headers": _REQUEST_ID,
        "content": _ready("not ready", ["redis"]),
    }
    return {
        "/healthz": {"get": _probe("health", "Is the process alive", alive)},
        "/readyz": {"get": readiness},
        "/metrics": {"get": _probe("metrics", "Figures for Prometheus", {"text/plain": {"schema": _WORD}})},
    }


def _probe(name: str, summary: str, content: Shape) -> Shape:
    return _plain("operators", name, summary, content, details="On any `Host`.", host=False)


def _documents() -> dict[str, Shape]:
    titles = {
        "openapi": ("documents.rest", "This document"),
        "asyncapi": ("documents.realtime", "The one of the websockets, in AsyncAPI"),
    }
    found = {}
    for name, (operation, title) in titles.items():
        content = {_JSON: {"schema": {"type": "object"}, "example": {name: "…"}}}
        found[f"/{name}.json"] = {"get": _plain("documents", operation, title, content)}
        found[f"/{name}.json"]["get"]["responses"]["304"] = {"description": "You have this one: by `If-None-Match`."}
    return found


def _for_developers(shapes: Shapes) -> dict[str, Shape]:
    inbox = {"schema": {"type": "array", "items": shapes.reply(InboxMessage())}}
    state = {_JSON: {"schema": shapes.reply(SandboxState())}}
    played = _plain(
        "development",
        "sandbox.set",
        "Play faults of a vendor",
        state,
        errors=("validation_failed", "json_invalid", "unsupported_media_type", "unavailable"),
    )
    body = {"required": True, "content": {_JSON: {"schema": shapes.request(SandboxSet)}}}
    shown = _plain("development", "sandbox.get", "The faults that are played", state, errors=("unavailable",))
    return {
        "/dev/inbox.json": {
            "get": _plain(
                "development",
                "inbox",
                "What the sandbox has sent, newest first",
                {_JSON: inbox},
                errors=("unavailable",),
            )
        },
        "/dev/sandbox/": {"get": shown, "post": played | {"requestBody": body}},
    }


def _plain(
    tag: str,
    name: str,
    summary: str,
    content: Shape,
    *,
    details: str = "",
    errors: Iterable[str] = (),
    parameters: list[Shape] | None = None,
    host: bool = True,
) -> Shape:
    refusals = EVERY_ADDRESS | {*errors}
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": details,
        "parameters": parameters or [],
        "responses": {"200": {"description": summary, "headers": _REQUEST_ID, "content": content}}
        | responses(refusals if host else refusals - {"host_unknown"}),
    }


def _path(name: str, description: str, pattern: str, example: str) -> Shape:
    schema: dict[str, Any] = {"type": "string", "examples": [example]} | ({"pattern": pattern} if pattern else {})
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _ready(status: str, waiting_for: list[str]) -> Shape:
    parts = {"status": {"type": "string", "enum": [status]}, "waiting_for": {"type": "array", "items": _WORD}}
    return {_JSON: {"schema": _state(parts), "example": {"status": status, "waiting_for": waiting_for}}}


def _state(parts: Shape) -> Shape:
    return {"type": "object", "properties": parts, "required": [*parts], "additionalProperties": False}

"""The REST interface in OpenAPI 3.1, made of OPERATIONS and of the few addresses that are no operations."""

import re
from typing import Any

from server.apidoc.plain import plain_paths
from server.apidoc.refusals import REFUSAL, examples, has_body, responses, rest_refusals_of
from server.apidoc.samples import sample_of
from server.apidoc.shapes import Shapes
from server.apidoc.site import INFO, Site
from server.apidoc.words import REQUEST_ID, details_of, title_of
from server.operation import Operation
from server.operations import OPERATIONS
from server.schemas.base import Shape

_DESCRIPTION = """\
Sign up and sign in with a Chinese mobile number. Each operation is the one that the [websocket](/docs/realtime) has,
with the same function behind it, so both give the same verdict.

- Bodies are JSON. Success is the bare object, an error is `{"error": {code, message, params, request_id}}`.
- A wait is in `params.retry_after` and in the header `Retry-After`: trying again then succeeds.
- `?lang=zh-CN` or `?lang=en` chooses the language of messages; else Accept-Language does, else it is Chinese.
- Numbers that begin with 154 are nobody's. In development no SMS leaves the machine: see `/dev/inbox.json`.
"""
_LANG = {"$ref": "#/components/parameters/lang"}


def openapi_of(site: Site) -> dict[str, Any]:
    """The whole document."""
    shapes = Shapes(site.rules)
    paths: dict[str, Any] = {}
    for row in OPERATIONS.values():
        if row.rest:
            paths.setdefault(row.rest.path, {})[row.rest.method.lower()] = _operation(row, shapes)
    for path, methods in plain_paths(shapes, development=site.development).items():
        paths.setdefault(path, {}).update(methods)
    components = shapes.components()
    for path in paths.values():
        for operation in path.values():
            _add_samples(operation, components)
    return {
        "openapi": "3.1.0",
        "info": INFO | {"title": f"{site.name} · REST", "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in _tags(paths)],
        "paths": paths,
        "components": {
            "schemas": components | {"Refusal": REFUSAL},
            "examples": examples(),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": _TOKEN},
                "refresh": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-refresh" if site.secure else "refresh",
                    "description": _COOKIE,
                },
            },
        },
    }


def _operation(row: Operation, shapes: Shapes) -> Shape:
    assert row.rest is not None
    found: Shape = {
        "operationId": row.name,
        "tags": [row.name.partition(".")[0]],
        "summary": title_of(row),
        "description": "\n\n".join(filter(None, (details_of(row), _told(row)))),
        "parameters": _parameters(row, shapes),
        "responses": {str(row.rest.status): _success(row, shapes)} | responses(rest_refusals_of(row)),
    }
    if has_body(row):
        body = {"schema": shapes.request(row.schema)}
        found["requestBody"] = {"required": True, "content": {"application/json": body}}
    if security := _security(row):
        found["security"] = security
    return found


def _told(row: Operation) -> str:
    if row.uses_cookie:
        return "It acts on the refresh cookie, so it takes an allowed `Origin` or `Sec-Fetch-Site: same-origin`."
    whose = "the monitor's websocket" if row.role else "the websocket"
    return f"Over {whose} it is [`{row.name}`](/docs/realtime#{row.name})."


def _security(row: Operation) -> list[Shape]:
    if row.uses_cookie:
        return [{"refresh": []}]
    if row.needs_login:
        return [{"token": []}]
    # Some requests need it, some do not.
    return [{}, {"token": []}] if "token_invalid" in row.errors else []


def _parameters(row: Operation, shapes: Shapes) -> list[Shape]:
    assert row.rest is not None
    in_path = {*re.findall(r"\{(\w+)\}", row.rest.path)}
    found = shapes.parameters(row.schema, "path", in_path)
    if row.rest.method == "GET":
        asked = row.schema._declared_fields.keys() - in_path
        found += shapes.parameters(row.schema, "query", asked - {"captcha"})
        found += [{"$ref": "#/components/parameters/X-Captcha"}] if "captcha" in asked else []
    if "idempotency_conflict" in row.rest.errors:
        found.append({"$ref": "#/components/parameters/Idempotency-Key"})
    return [*found, _LANG]


def _success(row: Operation, shapes: Shapes) -> Shape:
    assert row.rest is not None
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if row.rest.status == 204:
        return {"description": "Done.", "headers": headers}
    if "token" in row.reply_schema.fields:
        headers["Set-Cookie"] = {"$ref": "#/components/headers/Set-Cookie"}
    content = {"application/json": {"schema": shapes.reply(row.reply_schema)}}
    return {"description": f"As `{row.reply}` of the websocket.", "headers": headers, "content": content}


def _add_samples(operation: Shape, components: Shape) -> None:
    """An example beside each shape of ours, so that every reader shows the same one."""
    answers = [one for status, one in operation["responses"].items() if status < "300"]
    for place in (operation.get("requestBody", {}), *answers):
        body = place.get("content", {}).get("application/json")
        sample = sample_of(body["schema"], components) if body and "example" not in body else None
        if sample is not None:
            body["example"] = sample


def _tags(paths: dict[str, Any]) -> list[str]:
    return [
        *dict.fromkeys(tag for path in paths.values() for operation in path.values() for tag in operation["tags"])
    ]


_TOKEN = "The access token that signing in answers, good for 15 minutes."  # noqa: S105 (words, no secret)
_COOKIE = "Set by signing up and signing in over REST, renewed by each refresh. A browser sends it by itself."
_PARAMETERS: Shape = {
    "lang": {
        "name": "lang",
        "in": "query",
        "description": "The language of messages: `zh-CN` or `en`. Else Accept-Language says it, else it is Chinese.",
        "schema": {"type": "string"},
    },
    "X-Captcha": {
        "name": "X-Captcha",
        "in": "header",
        "description": "The answer to a captcha, after `captcha_required`. An object stands there as JSON.",
        "schema": {"type": "string", "maxLength": 3500},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "At most 64 printable characters. The same key with the same body (but for the captcha) "
        "within ten minutes has the same result: no second SMS, no second account.",
        "schema": {"type": "string", "maxLength": 64},
    },
}
_HEADERS: Shape = {
    "X-Request-Id": {
        "description": "Under which the server's log has this request.",
        "required": True,
        "schema": {"type": "string", "examples": [REQUEST_ID]},
    },
    "WWW-Authenticate": {"description": "With `token_invalid`: `Bearer`.", "schema": {"type": "string"}},
    "Set-Cookie": {
        "description": "The refresh cookie: HttpOnly, SameSite=Strict; Secure where the site is reached by HTTPS.",
        "required": True,
        "schema": {"type": "string"},
    },
}

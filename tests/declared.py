"""Clients that hold each answer against the documents: none may be one that those do not know."""

import re
from functools import cache
from typing import Any

import jsonschema_rs

from server.apidoc.asyncapi import asyncapi_of
from server.apidoc.openapi import openapi_of
from server.apidoc.refusals import EVERY_FRAME
from server.apidoc.site import Site
from server.schemas.base import Rules
from tests.helpers import Answer, PageClient, RestClient

WHAT_TO_DO = (
    "name it in `errors` of the row in server/operations.py (of its `Rest`, if only HTTP answers it), or in "
    "EVERY_OPERATION of server/apidoc/refusals.py, if each may answer it; of an address that is no operation "
    "in server/apidoc/plain.py"
)
_SITE = Site("Haoma", "127.0.0.1:8888", secure=False, development=True, rules=Rules())


@cache
def openapi() -> dict[str, Any]:
    """The document of a service in development."""
    return openapi_of(_SITE)


@cache
def asyncapi() -> dict[str, Any]:
    """The document of a service in development."""
    return asyncapi_of(_SITE)


class DeclaredRest(RestClient):
    """What it hears stands in OpenAPI."""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        answer = await super().ask(method, path, body, **headers)
        require_declared_answer(method, path, answer)
        return answer


class DeclaredPage(PageClient):
    """What it hears stands in AsyncAPI."""

    async def ask(self, kind: str, /, **data: Any) -> dict[str, Any]:
        frame = await super().ask(kind, **data)
        require_declared_reply(kind, frame)
        return frame

    async def close(self) -> None:
        await super().close()
        for frame in self.unasked:
            require_declared_push(frame)


def require_declared_answer(method: str, path: str, answer: Answer) -> None:
    """What came over REST stands in OpenAPI: status, error and shape. Pages and methods that are not there do not."""
    template = template_of(path.partition("?")[0])
    operation = openapi()["paths"].get(template, {}).get(method.lower())
    if operation is None:
        return
    status, body = answer.status, answer.body
    code = body["error"]["code"] if status >= 400 and isinstance(body, dict) and "error" in body else ""
    answered = f"{method} {template} answered {status} {code}".strip()
    assert str(status) in operation["responses"], f"{answered}, which nothing declares: {WHAT_TO_DO}"
    declared = operation["responses"][str(status)].get("content", {})
    if code:
        codes = declared["application/json"]["examples"]
        assert code in codes, f"{answered}, which nothing declares: {WHAT_TO_DO}"
    if body and "json" in answer.headers["Content-Type"]:
        require_shape(_answer_validator(template, method.lower(), status), body, answered)


def require_declared_reply(asked: str, frame: dict[str, Any]) -> None:
    """What came over the websocket for a request stands in AsyncAPI: type, error and shape."""
    operation = asyncapi()["operations"].get(asked)
    code = frame["data"]["code"] if frame["type"] == "error" else ""
    if operation is None:
        assert code in {"message_unknown", *EVERY_FRAME}, f"{asked} is not declared, and answered {frame}"
        return
    reply, error = (one["$ref"].rpartition("/")[2] for one in operation["reply"]["messages"])
    if code in EVERY_FRAME:
        error = "error"
    if code:
        assert code in refusals_in(error), f"`{asked}` answered `{code}`, which nothing declares: {WHAT_TO_DO}"
    require_shape(_frame_validator(error if code else reply), frame, f"`{asked}` answered")


def require_declared_push(frame: dict[str, Any]) -> None:
    """What came without being asked for stands in AsyncAPI, and so does the answer to a frame of a test's own."""
    if frame["type"] == "error":  # To what, is not known here.
        refusal = validator_of({"$ref": "#/components/schemas/Refusal"}, asyncapi())
        require_shape(refusal, frame["data"], "answered was")
        return
    name = f"{'push' if frame['id'] is None else 'reply'}.{frame['type']}"
    known = asyncapi()["components"]["messages"]
    assert name in known, f"{frame} was pushed, which is in no `pushes` of server/channels.py"
    require_shape(_frame_validator(name), frame, "pushed was")


def refusals_in(message: str) -> list[str]:
    """The errors that a message may be; none, if it is no error."""
    data = _payload(message)["properties"]["data"]
    return list(data["allOf"][1]["properties"]["code"]["enum"]) if "allOf" in data else []


def require_shape(validator: Any, given: Any, what: str) -> None:
    """Its schema says the same."""
    faults = [f"{'.'.join(map(str, fault.instance_path))}: {fault.message}" for fault in validator.iter_errors(given)]
    assert not faults, f"{what} {given}, and its schema says: {faults}"


@cache
def template_of(path: str) -> str:
    """The path of the document that an address belongs to; "" if there is none."""
    for template in sorted(openapi()["paths"], key=lambda one: one.count("{")):
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]*", re.escape(template)) + "/?", path):
            return template
    return ""


@cache
def _answer_validator(template: str, method: str, status: int) -> Any:
    content = openapi()["paths"][template][method]["responses"][str(status)]["content"]["application/json"]
    return validator_of(content["schema"], openapi())


@cache
def _frame_validator(message: str) -> Any:
    return validator_of(_payload(message), asyncapi())


def _payload(message: str) -> dict[str, Any]:
    return dict(asyncapi()["components"]["messages"][message]["payload"])


def validator_of(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """Judges by a schema that may refer to those of the document."""
    return jsonschema_rs.Draft202012Validator(schema | {"components": {"schemas": document["components"]["schemas"]}})

"""Any operation over REST."""

import asyncio
import re
from typing import Any

from marshmallow import fields

from server import strict_json
from server.edge import Edge
from server.errors import AppError
from server.handlers.base import HttpHandler
from server.i18n import localised
from server.operation import Operation, Reply
from server.operations import Dispatcher
from server.services.sessions import IDLE_S

REPEAT_KEY_MAX = 64
_DIGITS = re.compile(r"[0-9]{1,9}", re.ASCII)


class ApiHandler(HttpHandler):
    """All operations of one path, by method."""

    def initialize(  # type: ignore[override]
        self, dispatcher: Dispatcher, edge: Edge, path: str, operations: dict[str, Operation], page: str = ""
    ) -> None:
        """`path` is the pattern of this address; `page` where a browser that opens it is sent."""
        super().initialize(dispatcher, edge)
        self.path_pattern = path
        self._operations = operations
        self._page = page
        self._left = asyncio.Event()

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self._headers["Cache-Control"] = "no-store"
        self._headers["Vary"] = "Accept-Language, Origin, Cookie"

    async def prepare(self) -> None:
        await super().prepare()
        if self.request.method not in self._operations:
            if self.request.method == "GET" and self._page:
                self.redirect(self._page + (f"?{self.request.query}" if self.request.query else ""))
                return
            raise AppError("method_not_allowed")
        if self.request.method in ("POST", "PUT", "PATCH"):
            self.require_json_type()
        if self._operations[self.request.method].uses_cookie:
            self._require_own_origin()

    def allowed_methods(self) -> list[str]:
        return sorted({*self._operations, *(["GET"] if self._page else [])})

    async def get(self, **path: str) -> None:
        await self._answer(path)

    async def post(self, **path: str) -> None:
        await self._answer(path)

    async def put(self, **path: str) -> None:
        await self._answer(path)

    async def patch(self, **path: str) -> None:
        await self._answer(path)

    async def delete(self, **path: str) -> None:
        await self._answer(path)

    def check_etag_header(self) -> bool:
        """There are none to compare."""
        return False

    def on_connection_close(self) -> None:
        """Who asked has left. What they asked for is done all the same, but not waited for."""
        super().on_connection_close()
        self._left.set()

    async def _answer(self, path: dict[str, str]) -> None:
        operation = self._operations[self.request.method or ""]
        assert operation.rest is not None
        caller = self.make_caller("rest", left=self._left, repeat_key=self._repeat_key())
        reply = await self.dispatcher.run(operation, caller, self._read(operation) | path)
        if operation.rest.judge:
            operation.rest.judge(reply.data)
        self._set_refresh(reply)
        self.set_status(operation.rest.status)
        if operation.rest.status != 204:
            self.finish_json(localised(reply.data, caller.locale))

    def _repeat_key(self) -> str:
        key = self.request.headers.get("Idempotency-Key", "")
        if len(key) > REPEAT_KEY_MAX or not (key.isascii() and key.isprintable()):
            raise AppError("request_invalid")
        return key

    def _read(self, operation: Operation) -> dict[str, Any]:
        if self.request.method == "GET":
            return self._read_query(operation)
        if self.request.method == "DELETE" and not self.body:
            return {}
        self.require_json_type()
        return self.read_json()

    def _read_query(self, operation: Operation) -> dict[str, Any]:
        """Declared fields only; numbers are written in digits there. `lang` is nobody's field."""
        declared = self.dispatcher.fields(operation)
        given = {name: self.get_query_argument(name, strip=False) for name in self.request.query_arguments}
        data: dict[str, Any] = {
            name: _number_or_text(declared[name], text) for name, text in given.items() if name in declared
        }
        if "captcha" in declared and "X-Captcha" in self.request.headers:
            data["captcha"] = _text_or_object(self.request.headers["X-Captcha"])
        return data

    def _require_own_origin(self) -> None:
        """A cookie travels by itself, so the page that sends it must be ours."""
        origin = self.request.headers.get("Origin")
        same_origin = self.request.headers.get("Sec-Fetch-Site") == "same-origin"
        if not (self.edge.knows_origin(origin) if origin else same_origin):
            raise AppError("origin_refused")

    def _set_refresh(self, reply: Reply) -> None:
        if reply.refresh is None:
            return
        options: dict[str, Any] = {
            "path": "/",
            "httponly": True,
            "samesite": "Strict",
            "secure": self.edge.secure,
        }
        if reply.refresh:
            self.set_cookie(self.refresh_cookie, reply.refresh, max_age=IDLE_S, **options)
        else:
            self.clear_cookie(self.refresh_cookie, **options)


def _text_or_object(text: str) -> Any:
    """A header is text; the object that some captchas are answered with stands there as JSON."""
    if not text.startswith("{"):
        return text
    try:
        return strict_json.loads(text.encode())
    except ValueError:
        raise AppError("json_invalid") from None


def _number_or_text(declared: fields.Field[Any], text: str) -> int | str:
    return int(text) if isinstance(declared, fields.Integer) and _DIGITS.fullmatch(text) else text

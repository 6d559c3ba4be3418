"""What every handler does first and last: headers, host, caller, errors in one shape."""

import asyncio
import random
import re
from collections.abc import Mapping
from http.cookies import Morsel
from typing import Any

import orjson
from tornado.iostream import StreamBufferFullError
from tornado.web import HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketClosedError, WebSocketHandler, WebSocketProtocol

from server import strict_json
from server.caller import Caller, Identity
from server.edge import Edge
from server.errors import AppError
from server.i18n import error_body, pick_locale
from server.logs import get_log
from server.operations import Dispatcher
from server.websocket import SansIoProtocol

_log = get_log(__name__)
HEADERS_MAX_BYTES = 8 * 1024
_JSON = re.compile(r"application/json(?:\s*;\s*charset=utf-8)?", re.ASCII | re.IGNORECASE)
DEVICE_COOKIE = "device"
_AGENT_MAX = 512
_SECURITY_HEADERS = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_NOTHING = "; ".join(
    f"{directive} 'none'" for directive in ("default-src", "object-src", "form-action", "base-uri", "frame-ancestors")
)
_HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
}


class BaseHandler(RequestHandler):
    """Handlers get what they need through `initialize`; nothing is looked up elsewhere."""

    checks_host = True

    def initialize(self, dispatcher: Dispatcher, edge: Edge) -> None:
        self.dispatcher = dispatcher
        self.services = dispatcher.services
        self.edge = edge

    def set_default_headers(self) -> None:
        """Runs before `initialize`, and again for error pages."""
        # No secret; what the system has for those costs more than the rest of these lines.
        self.request_id = getattr(self, "request_id", "") or random.randbytes(8).hex()  # noqa: S311
        # These are as they have to be; `set_header` would look at each of them in each answer.
        for name, value in _SECURITY_HEADERS.items():
            self._headers[name] = value
        self._headers["Content-Security-Policy"] = self.content_security()
        self._headers["X-Request-Id"] = self.request_id
        self.clear_header("Server")

    def content_security(self) -> str:
        """The policy of what is no page: nothing is loaded, whatever it looks like."""
        return _NOTHING

    async def prepare(self) -> None:
        """The checks that no request is spared."""
        if self.services.health.draining:  # so that no further request comes this way
            self.set_header("Connection", "close")
        if self.checks_host and not self.edge.knows_host(self.request):
            raise AppError("host_unknown")
        if sum(len(name) + len(value) + 4 for name, value in self.request.headers.get_all()) > HEADERS_MAX_BYTES:
            raise AppError("headers_too_large")

    def pick_locale(self) -> str:
        """`?lang=`, else what the browser asks for, else Chinese."""
        lang = self.get_query_argument("lang", "") if self.request.query else ""
        return pick_locale(lang, self.request.headers.get("Accept-Language", ""))

    def make_caller(self, transport: str, **more: Any) -> Caller:
        """Who is asking, for the operations."""
        cookies = self.cookies if "Cookie" in self.request.headers else {}
        return Caller(
            address=self.edge.client_address(self.request),
            request_id=self.request_id,
            locale=self.pick_locale(),
            device=_value(cookies, DEVICE_COOKIE),
            refresh=_value(cookies, self.refresh_cookie),
            agent=self.request.headers.get("User-Agent", "")[:_AGENT_MAX],
            session=self.read_session(),
            transport=transport,
            **more,
        )

    def read_session(self) -> Identity | None:
        """Whose access token came along. One that is not good is as none: only some operations need one."""
        try:
            return None if self.bearer is None else self.services.tokens.identify(self.bearer)
        except AppError:
            return None

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer` (RFC 6750, 2.1), if there is that header."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    @property
    def refresh_cookie(self) -> str:
        """The name says what browsers then enforce; over plain http, in development, it cannot."""
        return "__Host-refresh" if self.edge.secure else "refresh"

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """One shape for all errors (docs/rest.md)."""
        fault = self.fault_of(status_code, kwargs.get("exc_info"))
        self.set_status(fault.status)
        if "retry_after" in fault.params:
            self.set_header("Retry-After", str(fault.params["retry_after"]))
        if fault.code == "method_not_allowed":
            self.set_header("Allow", ", ".join(self.allowed_methods()))
        if fault.code == "token_invalid":
            self.set_header("WWW-Authenticate", "Bearer")
        self.set_header("Cache-Control", "no-store")
        self.finish_fault(fault)

    def allowed_methods(self) -> list[str]:
        """What may be done at this address."""
        names = [name.lower() for name in self.SUPPORTED_METHODS]
        return [name.upper() for name in names if getattr(type(self), name) is not getattr(RequestHandler, name)]

    def finish_fault(self, fault: AppError) -> None:
        """JSON here, a page in `pages.py`."""
        self.finish_json({"error": error_body(fault, self.pick_locale_safely(), self.request_id)})

    def finish_json(self, body: Any) -> None:
        """End with `body` as JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        if "Vary" not in self._headers:
            self.set_header("Vary", "Accept-Language")
        self.finish(orjson.dumps(body))

    def compute_etag(self) -> str | None:
        """No hash of an answer leaves us (API-7 in docs/security.md); static files and documents have their own."""
        return None

    def pick_locale_safely(self) -> str:
        """An error about a broken query must not fail on that query."""
        try:
            return self.pick_locale()
        except HTTPError:
            return pick_locale("", self.request.headers.get("Accept-Language", ""))

    def fault_of(self, status_code: int, exc_info: Any) -> AppError:
        """What went wrong, as one of ERRORS."""
        fault = exc_info[1] if exc_info else None
        if isinstance(fault, AppError):
            return fault
        if status_code in _HTTP_CODES:
            return AppError(_HTTP_CODES[status_code])
        return AppError("request_invalid" if status_code < 500 else "internal_error")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Refusals are told to the client and counted; only what we did not expect has a traceback."""
        if not isinstance(value, AppError | HTTPError):
            _log.error("request.failed", request_id=self.request_id, exc_info=(typ, value, tb))


@stream_request_body
class HttpHandler(BaseHandler):
    """Anything but a websocket. Its body is streamed, so that a large one is refused before it is read."""

    body_max_bytes = 16 * 1024

    def initialize(self, dispatcher: Dispatcher, edge: Edge) -> None:
        super().initialize(dispatcher, edge)
        self.body = bytearray()

    async def prepare(self) -> None:
        await super().prepare()
        if _content_length(self.request.headers.get("Content-Length", "0")) > self.body_max_bytes:
            raise AppError("payload_too_large")

    def require_json_type(self) -> None:
        """AppError `unsupported_media_type` unless the body calls itself JSON, which no foreign form can do."""
        if not _JSON.fullmatch(self.request.headers.get("Content-Type", "")):
            raise AppError("unsupported_media_type")

    def read_json(self) -> dict[str, Any]:
        """The object in the body; AppError `json_invalid`."""
        try:
            return strict_json.loads(bytes(self.body))
        except ValueError:
            raise AppError("json_invalid") from None

    def data_received(self, chunk: bytes) -> None:
        """Part of a body; Tornado closes a connection whose answer came before its body ended."""
        if len(self.body) + len(chunk) <= self.body_max_bytes:
            self.body += chunk
        elif not self._finished:
            self.send_error(413)


def _value(cookies: Mapping[str, Morsel[str]], name: str) -> str:
    return cookies[name].value if name in cookies else ""


def _content_length(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise AppError("request_invalid")
    return int(text)


class SocketHandler(BaseHandler, WebSocketHandler):
    """A websocket whose handshake is judged by our rules alone, in `prepare`."""

    unsent_max_bytes = 256 * 1024

    async def prepare(self) -> None:
        await super().prepare()
        if self.request.method != "GET":
            raise AppError("method_not_allowed")
        self.require_own_origin()
        headers = self.request.headers
        upgrade = "upgrade" in re.split(r"[ ,]+", headers.get("Connection", "").lower())
        upgrade &= headers.get("Upgrade", "").lower() == "websocket" and "Sec-WebSocket-Key" in headers
        if not upgrade or headers.get("Sec-WebSocket-Version") != "13":
            raise AppError("request_invalid")

    def require_own_origin(self) -> None:
        """AppError `origin_refused` unless the page behind this request is ours."""
        if not self.edge.knows_origin(self.request.headers.get("Origin", "")):
            raise AppError("origin_refused")

    def check_origin(self, origin: str) -> bool:
        """Tornado's own rule has exceptions (Origin equal to Host, no Origin) that do not hold here."""
        return True

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        """WEBSOCKET_PROTOCOL says which."""
        if self.settings["websocket_protocol"] == "websockets":
            return SansIoProtocol(self, unsent_max_bytes=self.unsent_max_bytes)
        protocol = super().get_websocket_protocol()
        assert protocol is not None  # `prepare` has looked at the version
        return protocol

    def send_frame(self, message: bytes) -> None:
        """A dead page is forgotten; one that does not read is cut off, and catches up when it returns."""
        wire = self.ws_connection
        if isinstance(wire, SansIoProtocol):
            wire.send(message)
        elif wire is not None:
            self._write(wire, message)

    def send_state(self, key: str, message: bytes) -> None:
        """The same, of something that changes: a page that does not read now may be spared all but the latest."""
        wire = self.ws_connection
        if isinstance(wire, SansIoProtocol):
            wire.send_latest(key, message)
        else:
            self.send_frame(message)

    def _write(self, wire: WebSocketProtocol, message: bytes) -> None:
        """Through Tornado's own protocol."""
        assert wire.stream is not None
        wire.stream.max_write_buffer_size = self.unsent_max_bytes
        try:
            self.write_message(message).add_done_callback(_forget_fault)
        except WebSocketClosedError:
            pass
        except StreamBufferFullError:
            wire.stream.close()


def _forget_fault(sent: "asyncio.Future[None]") -> None:
    """Read the outcome of a write, so that a page that left meanwhile is not reported as a failure."""
    if not sent.cancelled():
        sent.exception()

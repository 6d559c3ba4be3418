"""Routes and what every one of them gets."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from server.apidoc import Documents, Site
from server.edge import Edge
from server.handlers.admin_socket import AdminSocket
from server.handlers.api import ApiHandler
from server.handlers.base import BaseHandler
from server.handlers.captcha import CaptchaPicture
from server.handlers.docs import DocumentHandler, RealtimeBody, RealtimeDocsPage
from server.handlers.health import HealthHandler, KeysHandler, MetricsHandler, ReadyHandler
from server.handlers.inbox import InboxJsonHandler, InboxPage, InboxSocket, SandboxHandler
from server.handlers.page_socket import OpenSockets, PageSocket
from server.handlers.pages import MovedHandler, NotFoundPage, PageHandler, StaticHandler
from server.handlers.passwords import PATH as PASSWORDS_PATH
from server.handlers.passwords import CommonPasswords, CommonPasswordsHandler
from server.handlers.receipts import ReceiptsHandler
from server.logs import get_log
from server.operations import OPERATIONS, Dispatcher
from server.password_rule import common_passwords
from server.settings import Settings

_log = get_log("server.http")
_ROOT = Path(__file__).parent.parent
PING_INTERVAL_S, PING_TIMEOUT_S = 25, 20
MESSAGE_MAX_BYTES = 4 * 1024
_WHOLE = re.compile(r"[\w/-]+", re.ASCII)


class App(Application):
    """Finds a whole address at once; only patterns are tried one after the other."""

    def __init__(self, routes: list[Any], **settings: Any) -> None:
        self.whole = {path: rest for path, *rest in routes if _WHOLE.fullmatch(path)}
        super().__init__([route for route in routes if route[0] not in self.whole], **settings)

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        found = self.whole.get(request.path)
        return self.get_handler_delegate(request, *found) if found else super().find_handler(request, **more)


def make_app(dispatcher: Dispatcher, edge: Edge, settings: Settings, sockets: OpenSockets) -> App:
    """The application behind one port."""
    basics: dict[str, Any] = {"dispatcher": dispatcher, "edge": edge}
    config = {
        "site_name": settings.site_name,
        "captcha_provider": settings.captcha_provider,
        "password_min": settings.password_min,
        "password_max": settings.password_max,
        "terms_url": settings.terms_url,
        "privacy_url": settings.privacy_url,
        "release_cool_off_h": settings.release_cool_off_h,
        "recovery_delay_h": settings.recovery_delay_h,
        "development": settings.development,
    }
    words = CommonPasswords(common_passwords(settings.password_min))
    config["passwords_url"] = words.url
    documents = Documents(_site(dispatcher, edge, settings))
    pages = {
        "/": "home",
        "/register": "register",
        "/login": "login",
        "/reset": "reset",
        "/me": "me",
        "/claim": "claim",
        "/admin": "admin",
        "/docs": "docs",
    }
    routes: list[Any] = [  # of patterns, what is asked for most comes first
        (r"/ws", PageSocket, basics | {"sockets": sockets, "enforce": settings.limits == "enforce"}),
        *[(_pattern(path), ApiHandler, basics | found) for path, found in _rest_routes().items()],
        *[(path, PageHandler, basics | {"page": page, "config": config}) for path, page in pages.items()],
        *[(f"{path}/", MovedHandler, basics | {"url": path}) for path in pages if path != "/"],
        (r"/docs/realtime/", MovedHandler, basics | {"url": "/docs/realtime"}),
        (r"/user/reg/?", MovedHandler, basics | {"url": "/register"}),
        (r"/user/login", MovedHandler, basics | {"url": "/login"}),
        (_pattern(CaptchaPicture.path_pattern), CaptchaPicture, basics),
        (r"/ws/admin", AdminSocket, basics),
        (_pattern(ReceiptsHandler.path_pattern) + "?", ReceiptsHandler, basics),
        (re.escape(PASSWORDS_PATH), CommonPasswordsHandler, basics | {"words": words}),
        (r"/healthz", HealthHandler, basics),
        (r"/readyz", ReadyHandler, basics),
        (r"/metrics", MetricsHandler, basics),
        (r"/\.well-known/jwks\.json", KeysHandler, basics),
        (
            r"/docs/realtime",
            RealtimeDocsPage,
            basics | {"page": "realtime", "config": config, "body": RealtimeBody(documents)},
        ),
        *[
            (rf"/{name}\.json", DocumentHandler, basics | {"documents": documents, "name": name})
            for name in ("openapi", "asyncapi")
        ],
    ]
    if settings.development:
        routes += [
            (r"/dev/inbox", InboxPage, basics | {"page": "inbox", "config": config}),
            (r"/dev/inbox\.json", InboxJsonHandler, basics),
            (r"/dev/inbox/ws", InboxSocket, basics),
            (r"/dev/sandbox/", SandboxHandler, basics),
        ]
    return App(
        routes,
        default_handler_class=NotFoundPage,
        default_handler_args=basics | {"page": "error", "config": config},
        template_path=str(_ROOT / "templates"),
        static_path=str(_ROOT / "static"),
        static_handler_class=StaticHandler,
        static_handler_args=dict(basics),  # Tornado adds to it
        compress_response=True,
        log_function=log_request,
        websocket_ping_interval=PING_INTERVAL_S,
        websocket_ping_timeout=PING_TIMEOUT_S,
        websocket_max_message_size=MESSAGE_MAX_BYTES,
        websocket_protocol=settings.websocket_protocol,
    )


def _site(dispatcher: Dispatcher, edge: Edge, settings: Settings) -> Site:
    """What the documents say of this service."""
    host = urlsplit(settings.site_url).netloc or min(edge.hosts, default="localhost")
    return Site(settings.site_name, host, edge.secure, settings.development, dispatcher.rules)


def _rest_routes() -> dict[str, dict[str, Any]]:
    """Each path once, with the operation of each of its methods."""
    paths: dict[str, dict[str, Any]] = {}
    for row in OPERATIONS.values():
        if row.rest:
            found = paths.setdefault(row.rest.path, {"path": row.rest.path, "operations": {}})
            found["operations"][row.rest.method] = row
    # With its slash, the seed's login page has the same address as the login.
    paths["/user/login/"]["page"] = "/login"
    # A whole address comes before a pattern that it would fit.
    return dict(sorted(paths.items(), key=lambda item: "{" in item[0]))


def _pattern(path: str) -> str:
    return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", path)


def log_request(handler: RequestHandler) -> None:
    """One line per request. The query is left out; a number or a secret in a path is shown as its place only."""
    path = unquote(handler.request.path)
    if isinstance(handler, ApiHandler | CaptchaPicture | ReceiptsHandler):
        path = handler.path_pattern
    elif isinstance(handler, NotFoundPage):
        path = re.sub("[ -]", "", path)  # so that a number in any notation is masked as one
        path = re.sub("receipts/.*", "receipts/...", path)  # a vendor was told an address with a slip in it
    status = handler.get_status()
    write = _log.error if status >= 500 else _log.info
    write(
        "http.request",
        method=handler.request.method,
        path=path,
        status=status,
        ms=round(handler.request.request_time() * 1000, 1),
        request_id=getattr(handler, "request_id", ""),
        address=_address(handler),
    )


def _address(handler: RequestHandler) -> str:
    if isinstance(handler, BaseHandler):
        return handler.edge.client_address(handler.request)
    return handler.request.remote_ip or ""

"""HTML pages."""

import re
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
from tornado.web import RedirectHandler, StaticFileHandler

from server.edge import Edge
from server.errors import AppError
from server.handlers.base import DEVICE_COOKIE, HttpHandler
from server.i18n import LOCALES, browser_texts, error_body, text
from server.operations import Dispatcher

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}", re.ASCII)
_YEAR_S = 365 * 86400
_SIGNING_IN = ("/login", "/register")
# From where the scripts of a captcha's vendor load the rest of themselves.
_VENDORS = {
    "geetest3": ("static.geetest.com", "api.geetest.com"),
    "geetest4": (
        *("static.geetest.com", "static.geevisit.com"),
        *("gcaptcha4.geetest.com", "gcaptcha4.geevisit.com", "gcaptcha4.gsensebot.com"),
    ),
}


class PageHandler(HttpHandler):
    """A template with what every page needs."""

    def initialize(  # type: ignore[override]
        self, dispatcher: Dispatcher, edge: Edge, page: str, config: dict[str, Any]
    ) -> None:
        super().initialize(dispatcher, edge)
        self._page = page
        self._config = config

    async def get(self) -> None:
        self._give_device()
        self.render_page(self._page)

    async def head(self) -> None:
        await self.get()

    def render_page(self, page: str, **context: Any) -> None:
        """`templates/<page>.html`; pages are never cached, they know whether one is signed in."""
        locale = self.pick_locale_safely()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Vary", "Accept-Language, Cookie")
        vendors = _VENDORS.get(self._config["captcha_provider"], ())
        nonce = secrets.token_urlsafe(16)
        self.set_header("Content-Security-Policy", _content_policy(self.request.host, nonce, vendors))
        self.render(
            f"{page}.html",
            page=page,
            _=lambda key: text(locale, key),
            lang=LOCALES[locale],
            site_name=self._config["site_name"],
            csp_nonce=nonce,
            lang_urls={tag: _with_query(self.request.path, lang=tag, next=self._next) for tag in LOCALES.values()},
            link=self._link,
            span=lambda hours: _span(locale, hours),
            config_json=self._browser_config(page, locale),
            **context,
        )

    def _link(self, path: str) -> str:
        """`path` in the language that the visitor chose, if one was; to where one signs in, with where to go then."""
        return _with_query(path, lang=self._chosen, next=self._next if path in _SIGNING_IN else "")

    @property
    def _chosen(self) -> str:
        given = self._given("lang")
        return given if given in LOCALES.values() else ""

    @property
    def _next(self) -> str:
        """Where `?next=` takes one after signing in; "" unless that is allowed."""
        return self.edge.destinations.judge(self._given("next"))

    def _given(self, name: str) -> str:
        return self.request.query_arguments.get(name, [b""])[0].decode(errors="replace")

    def _browser_config(self, page: str, locale: str) -> str:
        config = self._config | {
            "page": page,
            "lang": LOCALES[locale],
            "lang_param": self._chosen,
            "next": self._next,
            "texts": browser_texts(locale, admin=page == "admin"),
            "has_session": bool(self.get_cookie(self.refresh_cookie)),
        }
        return orjson.dumps(config).decode().replace("<", "\\u003c")

    def _give_device(self) -> None:
        """A random name for this browser, which captchas are bound to. It says nothing else."""
        if self.get_cookie(DEVICE_COOKIE):
            return
        self.set_cookie(
            DEVICE_COOKIE,
            secrets.token_urlsafe(16),
            max_age=_YEAR_S,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self.edge.secure,
        )

    def finish_fault(self, fault: AppError) -> None:
        body = error_body(fault, self.pick_locale_safely(), self.request_id)
        status = fault.status
        self.render_page("error", status=status, message=body["message"], request_id=self.request_id)


def _span(locale: str, hours: int) -> str:
    """A time in words: whole days, or hours."""
    days, rest = divmod(hours, 24)
    return text(locale, "page.hours", {"n": hours}) if rest or days < 2 else text(locale, "page.days", {"n": days})


def _with_query(path: str, **fields: str) -> str:
    given = {name: value for name, value in fields.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


class NotFoundPage(PageHandler):
    """An address that is not ours: a page for people, the one error shape for programs."""

    async def prepare(self) -> None:
        await super().prepare()
        raise AppError("not_found")

    def finish_fault(self, fault: AppError) -> None:
        if "text/html" in self.request.headers.get("Accept", ""):
            super().finish_fault(fault)
        else:
            HttpHandler.finish_fault(self, fault)


class StaticHandler(HttpHandler, StaticFileHandler):
    """Files of `static/`, with the headers of all answers."""

    def initialize(self, dispatcher: Dispatcher, edge: Edge, path: str) -> None:  # type: ignore[override]
        HttpHandler.initialize(self, dispatcher, edge)
        StaticFileHandler.initialize(self, path)

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        if "\0" in absolute_path:
            raise AppError("not_found")
        return super().validate_absolute_path(root, absolute_path)

    def content_security(self) -> str:
        """A worker's own file says what the worker may load."""
        return _content_policy(self.request.host)

    def compute_etag(self) -> str | None:
        return StaticFileHandler.compute_etag(self)


class MovedHandler(HttpHandler, RedirectHandler):
    """The seed's addresses of pages; the query goes with them."""

    def initialize(self, dispatcher: Dispatcher, edge: Edge, url: str) -> None:  # type: ignore[override]
        HttpHandler.initialize(self, dispatcher, edge)
        RedirectHandler.initialize(self, url, permanent=False)


def _content_policy(host: str, nonce: str = "", vendors: Sequence[str] = ()) -> str:
    """What a page or a worker may load: our own files, the script with `nonce`, and what comes from the hosts of
    `vendors`. A request that was not even routed has no Host we could trust."""
    host = host if _HOST.fullmatch(host) else ""
    script = f" 'nonce-{nonce}'" if nonce else ""
    others = "".join(f" https://{vendor}" for vendor in vendors)
    sockets = f" ws://{host} wss://{host}" if host else ""
    directives = (
        "default-src 'none'",
        f"script-src 'self'{script}{others}",
        "worker-src 'self'",
        f"style-src 'self'{others}",
        f"img-src 'self'{others}",
        f"connect-src 'self'{sockets}{others}",
        "object-src 'none'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(directives)

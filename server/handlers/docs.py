"""The documents of both interfaces, for programs and for people."""

import asyncio
from typing import Any

from tornado.web import RequestHandler

from server.apidoc import Document, Documents
from server.apidoc.page import marked_up, page_of
from server.apidoc.words import error_text_in
from server.edge import Edge
from server.handlers.base import HttpHandler
from server.handlers.pages import PageHandler
from server.i18n import text
from server.operations import Dispatcher


class DocumentHandler(HttpHandler):
    """`GET /openapi.json` and `/asyncapi.json`. Whoever keeps one asks each time whether it is still true."""

    def initialize(  # type: ignore[override]
        self, dispatcher: Dispatcher, edge: Edge, documents: Documents, name: str
    ) -> None:
        super().initialize(dispatcher, edge)
        self._documents = documents
        self._name = name
        self._document: Document | None = None

    async def get(self) -> None:
        self._document = await self._documents.get(self._name)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(self._document.body)

    def compute_etag(self) -> str | None:
        """It is the same for everybody and has no secret, unlike other answers."""
        return self._document.etag if self._document else None


class RealtimeDocsPage(PageHandler):
    """`/docs/realtime`: `/asyncapi.json` for people. Its viewers all need `unsafe-eval`, so this is our own."""

    def initialize(  # type: ignore[override]
        self, dispatcher: Dispatcher, edge: Edge, page: str, config: dict[str, Any], body: "RealtimeBody"
    ) -> None:
        super().initialize(dispatcher, edge, page, config)
        self._body = body

    async def get(self) -> None:
        self._give_device()
        self.render_page(self._page, body=await self._body.get(self, self.pick_locale_safely()))


class RealtimeBody:
    """What of the page only its language changes: made once for each, in a thread, as that takes a moment."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._made: dict[str, bytes] = {}

    async def get(self, page: RequestHandler, locale: str) -> bytes:
        """HTML."""
        if locale not in self._made:
            document = await self._documents.get("asyncapi")
            self._made[locale] = await asyncio.to_thread(
                page.render_string,
                "_sockets.html",
                sockets=page_of(document.content),
                marked_up=marked_up,
                error_text=lambda code: error_text_in(locale, code),
                _=lambda key: text(locale, key),
            )
        return self._made[locale]

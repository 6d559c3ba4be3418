"""The common passwords, so that the page can say at once what the server would say later."""

import hashlib

import orjson

from server.edge import Edge
from server.handlers.base import HttpHandler
from server.operations import Dispatcher

PATH = "/passwords.json"
_YEAR_S = 365 * 86400


class CommonPasswords:
    """The list as it is sent, and the address that names this very list."""

    def __init__(self, words: frozenset[str]) -> None:
        self.body = orjson.dumps(sorted(words))
        self.url = f"{PATH}?v={hashlib.sha256(self.body).hexdigest()[:16]}"


class CommonPasswordsHandler(HttpHandler):
    """`GET /passwords.json`; no secret, and to be kept for as long as its address is used."""

    def initialize(self, dispatcher: Dispatcher, edge: Edge, words: CommonPasswords) -> None:  # type: ignore[override]
        super().initialize(dispatcher, edge)
        self._words = words

    async def get(self) -> None:
        self.set_header("Cache-Control", f"public, max-age={_YEAR_S}, immutable")
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(self._words.body)

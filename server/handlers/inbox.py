"""The sandbox's phone. These routes do not exist in production."""

from typing import Any

from server.handlers.base import HttpHandler, SocketHandler
from server.schemas.envelope import frame


class InboxJsonHandler(HttpHandler):
    """`GET /dev/inbox.json`, newest first, for scripts."""

    async def get(self) -> None:
        assert self.services.inbox is not None
        self.set_header("Cache-Control", "no-store")
        self.finish_json(await self.services.inbox.newest())


class InboxSocket(SocketHandler):
    """Shows each SMS as it arrives."""

    async def open(self, *args: str, **kwargs: str) -> None:
        assert self.services.inbox is not None
        self.services.inbox.listen(self._show)
        self._send("inbox.snapshot", {"messages": await self.services.inbox.newest()})

    def on_message(self, message: str | bytes) -> None:
        """Nothing to ask for."""

    def on_close(self) -> None:
        assert self.services.inbox is not None
        self.services.inbox.forget(self._show)

    def _show(self, message: dict[str, Any]) -> None:
        self._send("inbox.message", message)

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self.send_frame(frame(kind, None, data))

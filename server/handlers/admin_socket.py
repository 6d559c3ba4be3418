"""The monitor: a picture each second, what happens as it happens, and the operators' operations."""

import dataclasses
from typing import Any

from server.caller import Caller
from server.channels import ADMIN, SESSION_ENDED
from server.edge import Edge
from server.errors import AppError, StoreUnavailable
from server.handlers.base import SocketHandler
from server.handlers.frames import answer_frame
from server.i18n import localised
from server.operations import OPERATIONS, Dispatcher
from server.rates import SOCKET_MESSAGES, LocalRate
from server.schemas.envelope import frame


class AdminSocket(SocketHandler):
    """One open monitor. It came in by a ticket; its role is asked for with each message, and once a minute."""

    unsent_max_bytes = 1024 * 1024  # a day of a busy service is a third of it

    def initialize(self, dispatcher: Dispatcher, edge: Edge) -> None:
        super().initialize(dispatcher, edge)
        self._messages = LocalRate(SOCKET_MESSAGES, True)
        self._received = 0
        self._gone = False

    async def prepare(self) -> None:
        await super().prepare()
        caller = self.make_caller("websocket")
        self.who = await self.dispatcher.admit_admin(self.get_query_argument("ticket", ""), self, caller)
        self._caller = dataclasses.replace(caller, session=self.who)

    def require_own_origin(self) -> None:
        """One of our origins; a program has none, and its ticket is enough."""
        if "Origin" in self.request.headers:
            super().require_own_origin()

    async def open(self, *args: str, **kwargs: str) -> None:
        if self._gone:  # It left while `prepare` was waiting, and `on_close` will not come again.
            self.services.rooms.leave(self)
            return
        self.services.guard.bind(self, self.who)
        try:
            role = await self.services.admins.role_of(self.who)
            snapshot = await self.services.monitor.snapshot()
        except StoreUnavailable:
            self.close(1013, "try again later")
            return
        if not self._gone:
            self.push("monitor.snapshot", snapshot | {"username": self.who.username, "role": role})
            self.services.monitor.add(self)

    async def on_message(self, message: str | bytes) -> None:
        """Exactly one answer to each message."""
        if isinstance(message, bytes):
            self.close(1003, "text only")
            return
        self._received += 1
        caller = self._caller.asking(f"{self.request_id}.{self._received}")
        self.send_frame(await answer_frame(message, caller, respond=self._answer, charge=self._messages.charge))

    async def _answer(self, request: dict[str, Any], caller: Caller) -> tuple[str, dict[str, Any]]:
        operation = OPERATIONS.get(request["type"])
        if operation is None or (operation.socket != "admin" and operation.name != "ping"):
            raise AppError("message_unknown")
        reply = await self.dispatcher.run(operation, caller, request["data"])
        return operation.reply, localised(reply.data, caller.locale)

    def push(self, kind: str, data: dict[str, Any]) -> None:
        """Send what nobody asked for; what is for the pages of an account is not for its monitor."""
        if kind in ADMIN.pushes:
            self.send_frame(frame(kind, None, localised(ADMIN.pushes[kind].schema.dump(data), self._caller.locale)))

    def session_ended(self, reason: str) -> None:
        """Told, then sent away."""
        self.push("session.ended", {"reason": reason})
        self.close(SESSION_ENDED, "session ended")

    def on_close(self) -> None:
        self._gone = True
        self.services.monitor.forget(self)
        self.services.guard.unbind(self)
        self.services.rooms.leave(self)

    def on_finish(self) -> None:
        """An answer instead of a websocket: the handshake came to nothing."""
        super().on_finish()
        if self.get_status() != 101:
            self.services.rooms.leave(self)

"""Any operation over a websocket, and the pushes to its page."""

import asyncio
import dataclasses
import random
from collections.abc import Awaitable
from typing import Any

from server.caller import Caller, Identity
from server.channels import PAGE, SESSION_ENDED
from server.edge import Edge
from server.errors import AppError
from server.handlers.base import SocketHandler
from server.handlers.frames import FrameId, Request, answer_request, read_frame, refusal_frame
from server.handlers.push_frames import PushFrames
from server.i18n import localised
from server.operation import Reply
from server.operations import OPERATIONS, Dispatcher
from server.rates import SOCKET_CHECKS, SOCKET_FLOOD, SOCKET_MESSAGES, LocalRate
from server.schemas.envelope import frame
from server.slices import Pace, Rounds, sliced

FIRST_MESSAGE_S = 10
IDLE_S = 600
# What is being answered when the session ends may be answered, but not for long.
LAST_ANSWER_S = 1
BACK_AFTER_S = range(1, 11)
SOCKETS_MAX = 10_000


class OpenSockets(set["PageSocket"]):
    """The pages open in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = PushFrames(PAGE.pushes)
        self._rounds = Rounds()

    def broadcast(self, kind: str, what: str) -> None:
        """Tell all of them how a store is. A page that opens while they are told asks by itself."""
        data = {"what": what}
        self._rounds.begin(what, self, lambda socket: socket.push(kind, data))

    async def announce_end(self) -> None:
        """Ask everybody to come back, the same number of pages in each second."""
        sockets, pace = [*self], Pace()
        for first, retry_after in enumerate(random.sample(BACK_AFTER_S, len(BACK_AFTER_S))):
            data = {"retry_after": retry_after}
            for socket in sockets[first :: len(BACK_AFTER_S)]:
                socket.push("server.closing", data)
                await pace.rest()

    async def close_all(self) -> None:
        """Send everybody away."""
        async for socket in sliced(self):
            socket.close(1001, "going away")


class PageSocket(SocketHandler):
    """One page. What it may ask is in OPERATIONS; the one `try` around a message is here."""

    def initialize(  # type: ignore[override]
        self, dispatcher: Dispatcher, edge: Edge, sockets: OpenSockets, enforce: bool
    ) -> None:
        super().initialize(dispatcher, edge)
        self._sockets = sockets
        self._messages = LocalRate(SOCKET_MESSAGES, enforce)
        self._checks = LocalRate(SOCKET_CHECKS, enforce)
        self._flood = LocalRate(SOCKET_FLOOD, enforce)
        self._gone = False
        self._ended = False
        self._answering = False
        self._received = 0
        self._patience: asyncio.TimerHandle | None = None

    async def prepare(self) -> None:
        await super().prepare()
        self._caller = dataclasses.replace(self.make_caller("websocket"), watcher=self)
        if self.bearer is not None and self._caller.session is None:
            raise AppError("token_invalid")
        if len(self._sockets) >= SOCKETS_MAX:
            raise AppError("busy", retry_after=5)
        await self.dispatcher.admit_socket(self._caller)
        if self._gone:  # It left meanwhile, and would keep its place for as long as this process lives.
            self.services.rooms.leave(self)

    def require_own_origin(self) -> None:
        """One of our origins; without any only a program that holds an access token (docs/rest.md)."""
        if "Origin" in self.request.headers or self.bearer is None:
            super().require_own_origin()

    def open(self, *args: str, **kwargs: str) -> None:
        if self._gone:  # It left while `prepare` was waiting, and `on_close` will not come again.
            return
        self._sockets.add(self)
        self.services.metrics.pages.set(len(self._sockets))
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._patience_s = FIRST_MESSAGE_S
        self._patience = self._loop.call_later(FIRST_MESSAGE_S, self._close_idle)
        for store in self.services.health.degraded():
            self.push("degraded", {"what": store})
        if self._caller.session:
            self._bind(self._caller.session)
        if self.services.health.draining:  # All others have been told, or are being told.
            self.push("server.closing", {"retry_after": BACK_AFTER_S[0]})

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """Exactly one answer to each message, one after the other; nothing that happens here closes the socket."""
        if self._ended:  # What was sent before the page heard of the end is not done after it.
            return None
        if isinstance(message, bytes):
            self.close(1003, "text only")
            return None
        try:
            self._flood.charge()
        except AppError:
            self.close(4429, "over rate")
            return None
        self._heard()
        frame_id, request = read_frame(message, self._messages.charge)
        return self._begin(request, frame_id) or self._answer(request, frame_id)

    def _begin(self, request: Request, frame_id: FrameId) -> Awaitable[None] | None:
        """For what needs no task of its own; None if it does."""
        if isinstance(request, AppError):
            return None
        operation = OPERATIONS.get(request["type"])
        if operation is None or operation.begin is None:
            return None
        caller, ended = self._next_caller(), self._loop.create_future()

        def done(outcome: Reply | AppError) -> None:
            if isinstance(outcome, AppError):
                self._send_answer(refusal_frame(outcome, frame_id, caller))
            else:
                self._send_answer(frame(operation.reply, frame_id, outcome.data))
            if not ended.done():
                ended.set_result(None)

        self._answering = True
        self.services.mobiles.unwatch(self)  # whatever becomes of it: the page asks about another number now
        if self.dispatcher.begin(operation, caller, request["data"], done):
            return ended
        self._answering = False
        return None

    async def _answer(self, request: Request, frame_id: FrameId) -> None:
        self._answering = True
        caller = self._next_caller()
        self._send_answer(await answer_request(request, frame_id, caller, respond=self._respond))

    def _send_answer(self, answer: bytes) -> None:
        self.send_frame(answer)
        self._answering = False
        if self._gone:  # The page left while we worked: it must not be watched for.
            self._leave()
        elif self._ended:
            self._close_ended()

    async def _respond(self, request: dict[str, Any], caller: Caller) -> tuple[str, dict[str, Any]]:
        operation = OPERATIONS.get(request["type"])
        if operation is None or operation.socket != "page":
            raise AppError("message_unknown")
        reply = await self.dispatcher.run(operation, caller, request["data"])
        if reply.session and not self._gone:
            self._bind(reply.session)
        return operation.reply, localised(reply.data, caller.locale)

    def charge_check(self) -> None:
        """One more number looked at by this page."""
        self._checks.charge()

    def forgotten(self, transaction: str) -> None:
        """The page that used the code knows; any other one learns when it asks."""

    def session_ended(self, reason: str) -> None:
        """Told, then sent away; nothing that it still says is heard."""
        self._ended = True
        self.push("session.ended", {"reason": reason})
        if self._answering:
            self._loop.call_later(LAST_ANSWER_S, self._close_ended)
        else:
            self._close_ended()

    def _close_ended(self) -> None:
        self.close(SESSION_ENDED, "session ended")

    def _bind(self, who: Identity) -> None:
        """This page speaks for that session from now on, and ends with it."""
        self._caller = dataclasses.replace(self._caller, session=who)
        self.services.guard.bind(self, who)

    def _next_caller(self) -> Caller:
        """Each message is a request of its own: `<id of the connection>.<number of the message>`."""
        self._received += 1
        return self._caller.asking(f"{self.request_id}.{self._received}")

    def push(self, kind: str, data: dict[str, Any]) -> None:
        """Send what nobody asked for."""
        message = self._sockets.frames.encode(kind, data, self._caller.locale)
        state = PAGE.pushes[kind].state
        if state:
            self.send_state(f"{kind}:{data[state]}", message)
        else:
            self.send_frame(message)

    def on_close(self) -> None:
        self._gone = True
        self._sockets.discard(self)
        self.services.metrics.pages.set(len(self._sockets))
        if self._patience:
            self._patience.cancel()
        self._leave()
        # Or page and caller would hold each other until the collector of cycles comes, which is seldom.
        self._caller = dataclasses.replace(self._caller, watcher=None)

    def on_finish(self) -> None:
        """An answer instead of a websocket: the handshake came to nothing."""
        super().on_finish()
        if self.get_status() != 101:
            self.services.rooms.leave(self)

    def _leave(self) -> None:
        self.services.mobiles.unwatch(self)
        self.services.countdowns.forget(self)
        self.services.guard.unbind(self)
        self.services.rooms.leave(self)

    def _heard(self) -> None:
        """Note that the page spoke. After its first message it may be silent for longer."""
        self._heard_at = self._loop.time()
        if self._patience_s != IDLE_S:
            self._patience_s = IDLE_S
            if self._patience:
                self._patience.cancel()
            self._patience = self._loop.call_later(IDLE_S, self._close_idle)

    def _close_idle(self) -> None:
        silent_s = self._loop.time() - self._heard_at
        if silent_s >= self._patience_s - 0.01:
            self.close(4408, "idle")
            return
        self._patience = self._loop.call_later(self._patience_s - silent_s, self._close_idle)

"""The sandbox's phone and its panel. These routes do not exist in production."""

from typing import Any

from marshmallow import ValidationError

from server.caller import Caller
from server.errors import AppError, StoreUnavailable
from server.handlers.base import HttpHandler, SocketHandler
from server.handlers.frames import answer_frame
from server.handlers.pages import PageHandler
from server.operations import field_faults
from server.schemas.envelope import frame
from server.schemas.sandbox import InboxMessage, SandboxSet, SandboxState, SandboxTried
from server.services import Services
from server.services.inbox import InboxService
from server.services.sandbox import SandboxService
from server.sms.faults import FAULTS

_SET, _STATE, _TRIED, _MESSAGE = SandboxSet(), SandboxState(), SandboxTried(), InboxMessage()
_PUSHES = {"sandbox.state": _STATE, "sandbox.tried": _TRIED}


def _parts(services: Services) -> tuple[InboxService, SandboxService]:
    assert services.inbox is not None
    assert services.sandbox is not None
    return services.inbox, services.sandbox


async def _set_faults(services: Services, data: dict[str, Any]) -> dict[str, Any]:
    """What is played now; AppError for what cannot be."""
    _, sandbox = _parts(services)
    try:
        return dict(_STATE.dump(await sandbox.set(**_SET.load(data))))
    except ValidationError as fault:
        raise field_faults(fault) from None
    except StoreUnavailable:
        raise AppError("unavailable", retry_after=1) from None


class InboxPage(PageHandler):
    """`/dev/inbox`."""

    async def get(self) -> None:
        self.render_page("inbox", faults=FAULTS)


class InboxJsonHandler(HttpHandler):
    """`GET /dev/inbox.json`, newest first, for scripts."""

    async def get(self) -> None:
        inbox, _ = _parts(self.services)
        self.set_header("Cache-Control", "no-store")
        self.finish_json(_MESSAGE.dump(await inbox.newest(), many=True))


class SandboxHandler(HttpHandler):
    """`POST /dev/sandbox/` sets the faults, GET shows them; for scripts."""

    async def get(self) -> None:
        _, sandbox = _parts(self.services)
        self._finish(_STATE.dump(await sandbox.state()))

    async def post(self) -> None:
        self.require_json_type()
        self._finish(await _set_faults(self.services, self.read_json()))

    def _finish(self, state: Any) -> None:
        self.set_header("Cache-Control", "no-store")
        self.finish_json(state)


class InboxSocket(SocketHandler):
    """Shows each SMS as it arrives and each try to send one, and plays faults."""

    async def prepare(self) -> None:
        await super().prepare()
        self._caller = self.make_caller("websocket")

    async def open(self, *args: str, **kwargs: str) -> None:
        inbox, sandbox = _parts(self.services)
        inbox.listen(self._show)
        sandbox.listen(self._tell)
        try:
            await self._show_all(inbox, sandbox)
        except StoreUnavailable:
            self.close(1013, "try again later")

    async def _show_all(self, inbox: InboxService, sandbox: SandboxService) -> None:
        self._send("inbox.snapshot", {"messages": _MESSAGE.dump(await inbox.newest(), many=True)})
        self._send("sandbox.tries", {"tries": _TRIED.dump(await sandbox.tries(), many=True)})
        self._tell("sandbox.state", await sandbox.state())

    async def on_message(self, message: str | bytes) -> None:
        """`sandbox.set` is all that can be asked for."""
        self.send_frame(await answer_frame(message, self._caller, respond=self._answer))

    async def _answer(self, request: dict[str, Any], caller: Caller) -> tuple[str, dict[str, Any]]:
        if request["type"] != "sandbox.set":
            raise AppError("message_unknown")
        return "sandbox.state", await _set_faults(self.services, request["data"])

    def on_close(self) -> None:
        inbox, sandbox = _parts(self.services)
        inbox.forget(self._show)
        sandbox.forget(self._tell)

    def _show(self, message: dict[str, Any]) -> None:
        self._send("inbox.message", _MESSAGE.dump(message))

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        self._send(kind, _PUSHES[kind].dump(data))

    def _send(self, kind: str, data: Any) -> None:
        self.send_frame(frame(kind, None, data))

"""What all stand-in vendors have in common: a server that judges requests, remembers what it took, and misbehaves."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import orjson
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_sockets

from tests.vendors import faults


@dataclass(frozen=True)
class Order:
    """A request that keeps to the vendor's documents: what it wants sent, under which idempotency key."""

    key: str
    mobile: str
    params: dict[str, str]


@dataclass(frozen=True)
class Taken:
    """An order that the vendor took. `repeat`: it had this key before, and sends nothing a second time."""

    key: str
    mobile: str
    params: dict[str, str]
    message_id: str
    at: float
    repeat: bool


class Refused(Exception):
    """A request that breaks the vendor's documents, with the vendor's own code for it."""


@dataclass
class Behaviour:
    """How the next requests are answered; `times` of them, or all."""

    mode: str = "ok"
    times: int | None = None
    status: int = 500
    code: str = ""
    body: str = ""
    latency_s: float = 0.0


class _Server(HTTPServer):
    """Can hang up before it has read anything."""

    vendor: "StandIn"

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if self.vendor.behaviour.mode == "reset_before_read":
            self.vendor.spend()
            return faults.reset(stream)
        return super().handle_stream(stream, address)


@dataclass
class StandIn:
    """A vendor on this host. `async with StandIn() as vendor:` or `start()` and `stop()`."""

    name: ClassVar[str]
    knows_repeats: ClassVar[bool] = False

    taken: list[Taken] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    behaviour: Behaviour = field(default_factory=Behaviour)
    port: int = 0
    _ids: dict[str, str] = field(default_factory=dict)
    _later: set[Any] = field(default_factory=set)
    _server: _Server | None = None

    # What each vendor says about itself.

    def check(self, request: HTTPServerRequest) -> Order:
        """The order in a request; Refused with the vendor's code for any fault."""
        raise NotImplementedError

    def thanks(self, message_id: str) -> dict[str, Any]:
        """The answer to an order that was taken."""
        raise NotImplementedError

    def refusal(self, code: str) -> tuple[int, dict[str, Any]]:
        """Status and answer that name an error."""
        raise NotImplementedError

    def answer_repeat(self, message_id: str) -> tuple[int, dict[str, Any]]:
        """Status and answer to an order whose key was here before."""
        return 200, self.thanks(message_id)

    def receipt(self, taken: Taken, *, delivered: bool, mobile: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of a report."""
        raise NotImplementedError

    def environ(self) -> dict[str, str]:
        """The settings with which Haoma speaks to this vendor."""
        raise NotImplementedError

    # Life.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> Self:
        """Listen on `port`, or on one that is free."""
        sockets = bind_sockets(port or self.port, "127.0.0.1", backlog=1024)
        self._server = _Server(self._on_request)
        self._server.vendor = self
        self._server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Refuse connections from now on; `start()` takes the same port again."""
        if self._server is None:
            return
        for task in self._later:
            task.cancel()
        self._server.stop()
        await self._server.close_all_connections()
        self._server = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # What tests and scripts ask for.

    def behave(self, mode: str = "ok", **how: Any) -> None:
        """Answer so from now on; see `Behaviour` and `faults.MODES`."""
        assert mode in faults.MODES, mode
        self.behaviour = Behaviour(mode, **how)

    def spend(self) -> None:
        """One of the `times` is over."""
        if self.behaviour.times is not None:
            self.behaviour.times -= 1
            if self.behaviour.times <= 0:
                self.behaviour = Behaviour(latency_s=self.behaviour.latency_s)

    async def report(self, url: str, taken: Taken, *, delivered: bool = True, mobile: str = "") -> HTTPResponse:
        """Post a receipt to Haoma; its answer."""
        headers, body = self.receipt(taken, delivered=delivered, mobile=mobile or taken.mobile)
        client = AsyncHTTPClient(force_instance=True)
        try:
            request = HTTPRequest(url, method="POST", headers=headers, body=body, request_timeout=10)
            return await client.fetch(request, raise_error=False)
        finally:
            client.close()

    # One request.

    def _on_request(self, request: HTTPServerRequest) -> None:
        if request.path.startswith("/_"):
            self._control(request)
            return
        try:
            order = self.check(request)
        except (Refused, KeyError, TypeError, ValueError) as fault:
            code = str(fault) if isinstance(fault, Refused) else "malformed"
            self.refusals.append(code)
            faults.answer(request, *self.refusal(code))
            return
        behaviour = self.behaviour
        self.spend()
        if behaviour.latency_s:
            asyncio.get_running_loop().call_later(behaviour.latency_s, self._act, request, order, behaviour)
        else:
            self._act(request, order, behaviour)

    def _act(self, request: HTTPServerRequest, order: Order, behaviour: Behaviour) -> None:
        takes, act = faults.MODES[behaviour.mode]
        status, thanks = self._take(order) if takes else (200, {})
        if behaviour.mode == "error":
            status, thanks = self.refusal(behaviour.code)
        waiting = act(request, behaviour, status, orjson.dumps(thanks))
        if waiting is not None:
            self._keep(waiting)

    def _keep(self, doing: Coroutine[Any, Any, None]) -> None:
        """Let it run; the other side may hang up meanwhile."""

        async def run() -> None:
            with suppress(StreamClosedError):
                await doing

        task = asyncio.ensure_future(run())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _take(self, order: Order) -> tuple[int, dict[str, Any]]:
        repeat = self.knows_repeats and order.key in self._ids
        message_id = self._ids[order.key] if repeat else f"{self.name}-{len(self.taken) + 1:08}"
        self._ids.setdefault(order.key, message_id)
        self.taken.append(Taken(order.key, order.mobile, order.params, message_id, time.time(), repeat))
        return self.answer_repeat(message_id) if repeat else (200, self.thanks(message_id))

    # For scripts that have it as a process of its own.

    def _control(self, request: HTTPServerRequest) -> None:
        if request.path == "/_count":
            faults.answer(request, 200, {"taken": len(self.taken), "refused": len(self.refusals)})
        elif request.path == "/_sent":
            after = int(request.arguments.get("after", [b"0"])[0])
            faults.answer(request, 200, [asdict(taken) for taken in self.taken[after:]])
        elif request.path == "/_behave":
            self.behave(**orjson.loads(request.body))
            faults.answer(request, 200, {})
        elif request.path == "/_report":
            self._keep(self._report_as_told(request, orjson.loads(request.body)))
        else:
            faults.answer(request, 404, {})

    async def _report_as_told(self, request: HTTPServerRequest, told: Mapping[str, Any]) -> None:
        found = next((taken for taken in self.taken if taken.key == told["key"]), None)
        if found is None:
            faults.answer(request, 404, {})
            return
        how = {name: told[name] for name in ("delivered", "mobile") if name in told}
        response = await self.report(told["url"], found, **how)
        faults.answer(request, 200, {"status": response.code})

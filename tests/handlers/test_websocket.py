"""What our transport promises beside RFC 6455 (test_rfc6455.py): nobody is waited for, and nobody is starved."""

import asyncio
import gc
import inspect
import json
import weakref
from typing import Any

import pytest
from tornado.iostream import IOStream
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler, WebSocketProtocol, WebSocketProtocol13
from websockets.frames import Frame
from websockets.protocol import SERVER, Protocol

from server.handlers.page_socket import PageSocket
from server.schemas.envelope import frame as frame_of
from server.websocket import SLICE_BYTES, SansIoProtocol
from tests.conftest import Stack
from tests.helpers import MOBILE
from tests.wire import PATIENCE_S, PING, Wire, asking, assert_served, forgotten, frame

LONG = frame_of("long", None, {"text": "x" * 4000})
pytestmark = pytest.mark.gen_test(timeout=30)


def fill(page: PageSocket) -> int:
    """Send to one that does not read until that shows; how many messages it took."""
    sent = 0
    while not backed_up(page):
        page.send_frame(LONG)
        sent += 1
    return sent


def backed_up(page: PageSocket) -> bool:
    wire = page.ws_connection
    assert isinstance(wire, SansIoProtocol)
    return wire._backed_up


def message(kind: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "id": 1, "data": data}).encode()


def tick(transaction: str, remaining: int) -> dict[str, Any]:
    return {"transaction": transaction, "remaining": remaining, "resend_at": 60.0, "server_now": 60.0 - remaining}


async def test_of_a_state_a_page_that_did_not_read_gets_only_the_latest(stack: Stack) -> None:
    """All else comes whole and in order; what was newest comes last."""
    async with Wire.open(stack.port) as wire:
        wire.deafen()
        (page,) = stack.sockets
        others = fill(page)
        for second in range(50, 0, -1):
            page.push("countdown.tick", tick("a", second))
            page.push("mobile.taken", {"mobile": MOBILE})
        page.push("countdown.tick", tick("b", 9))
        wire.listen()
        told = [await wire.message() for _ in range(others + 3)]
        assert [one["type"] for one in told[:others]] == ["long"] * others
        assert [(one["type"], one["data"].get("remaining")) for one in told[others:]] == [
            ("countdown.tick", 1),
            ("mobile.taken", None),
            ("countdown.tick", 9),
        ]


async def test_ws_5_a_page_that_never_reads_is_cut_off(stack: Stack) -> None:
    """As soon as what is unsent would be our memory; the others go on."""
    async with Wire.open(stack.port) as wire:
        wire.deafen()
        (page,) = stack.sockets
        other = await stack.page()
        over = fill(page)
        while page in stack.sockets:
            page.send_frame(LONG)
            over += 1
            assert over < 1_000_000
        await assert_served(other)


async def test_who_does_not_read_answers_is_not_listened_to(stack: Stack) -> None:
    """What it sends stays in its own buffers; the server reads on when it does."""
    async with Wire.open(stack.port) as wire:
        wire.deafen()
        (page,) = stack.sockets
        other = await stack.page()
        fill(page)
        await wire.send(frame(asking("after")))
        for _ in range(5):
            await assert_served(other)
        assert page._received == 0
        wire.listen()
        while (await wire.message())["id"] != "after":
            pass
        assert page._received == 1


async def test_a_flood_of_tiny_frames_leaves_the_loop_to_others(stack: Stack) -> None:
    """A neighbour has its turn before the last of them was read."""
    async with Wire.open(stack.port) as wire:
        (page,) = stack.sockets
        flood = page.ws_connection
        assert isinstance(flood, SansIoProtocol)
        count = 20 * SLICE_BYTES // len(frame(b"", PING))
        unread = []
        flood.data_received(frame(b"", PING) * count)
        asyncio.get_running_loop().call_soon(lambda: unread.append(len(flood._unread)))
        for _ in range(count):
            assert await wire.next() == "PONG"
        assert unread[0] > 10 * SLICE_BYTES
        assert not flood._unread


def _parts(wire: Any) -> list[Any]:
    """It, and the library's protocol in it."""
    return [wire, wire._frames]


async def test_a_page_that_left_takes_no_memory(stack: Stack) -> None:
    """Not even until the collector of cycles comes by: that is seldom."""
    gc.collect()
    gc.disable()
    try:
        async with Wire.open(stack.port) as wire:
            pages = [weakref.ref(page) for page in stack.sockets]
            wires = [weakref.ref(part) for page in stack.sockets for part in _parts(page.ws_connection)]
            for kind, data in (("mobile.check", {"mobile": MOBILE}), ("ping", {}), ("sms.send", {"mobile": MOBILE})):
                await wire.send(frame(message(kind, data)))
                await wire.message()
            wire.leave()
            await forgotten(stack)
        async with asyncio.timeout(PATIENCE_S):
            while any(one() for one in (*pages, *wires)):
                await asyncio.sleep(0)
    finally:
        gc.enable()


def test_what_we_lean_on_in_tornado_is_there() -> None:
    """docs/decisions/0022-websocket-transport.md lists it; a release that changes it has to be looked at."""
    assert WebSocketProtocol.__abstractmethods__ == {
        *("accept_connection", "close", "is_closing", "selected_subprotocol", "set_nodelay", "start_pinging"),
        *("write_message", "write_ping", "_process_server_headers", "_receive_frame_loop"),
    }
    assert [*inspect.signature(WebSocketProtocol.__init__).parameters] == ["self", "handler"]
    assert [*inspect.signature(WebSocketHandler.on_ws_connection_close).parameters] == [
        *("self", "close_code", "close_reason")
    ]
    assert [*inspect.signature(IOStream.read_bytes).parameters] == ["self", "num_bytes", "partial"]
    assert callable(RequestHandler.detach)
    assert WebSocketProtocol13.compute_accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    source = inspect.getsource(WebSocketHandler.get)
    assert "self.ws_connection = self.get_websocket_protocol()" in source
    assert "self.open_args = args" in source


def test_what_we_lean_on_in_websockets_is_there() -> None:
    """A protocol that does no I/O, and frames that make their own bytes."""
    wanted = {"receive_data", "receive_eof", "events_received", "data_to_send", "send_close", "send_ping", "fail"}
    assert wanted | {"close_expected"} <= {*dir(Protocol)}
    protocol = Protocol(SERVER)
    assert inspect.isgenerator(protocol.parser)
    assert protocol.parser_exc is None
    assert [*inspect.signature(Frame.serialize).parameters] == ["self", "mask", "extensions"]

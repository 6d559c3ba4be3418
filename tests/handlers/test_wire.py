"""The same frames however TCP brings them, and every way in which a connection ends, on both protocols."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from server import websocket
from server.handlers.page_socket import PageSocket
from tests.conftest import Stack
from tests.helpers import MOBILE
from tests.wire import PATIENCE_S, PING, Wire, asking, assert_served, closing, forgotten, frame, handshake, pieces

pytestmark = pytest.mark.gen_test(timeout=30)

ASK = frame(asking("a"))
MANY = 300
BROKEN_OFF = [b"", ASK, ASK[:1], ASK[:9], frame(b"ab", final=False), frame(b"x", PING)]
FIRST = [
    pytest.param(ASK, ["pong a"], id="a message"),
    pytest.param(frame(b"x", PING) + ASK, ["PONG x", "pong a"], id="two frames"),
    pytest.param(pieces(asking("a"), 5), ["pong a"], id="a message in fragments"),
    pytest.param(frame(b"x", PING) + closing(1000), ["PONG x", "close 1000"], id="all there is to say"),
    pytest.param(ASK * MANY, ["pong a"] * MANY, id="many frames"),
    pytest.param(frame(asking("a").ljust(4000)) * 50, ["pong a"] * 50, id="200 KB"),
    pytest.param(frame(asking("a").ljust(4000)) * 800, ["pong a"] * 800, id="3 MB"),
]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 70000])
def test_what_is_sent_is_framed_as_the_library_frames_it(size: int) -> None:
    """The short way makes the same bytes."""
    message = b"x" * size
    assert websocket._text_frame(message) == Frame(Opcode.TEXT, message).serialize(mask=False)


def only_socket(stack: Stack) -> PageSocket:
    """The server's side of the one page that is open."""
    (socket,) = stack.sockets
    return socket


# How bytes come


@pytest.mark.parametrize("behind, heard", FIRST)
async def test_what_comes_with_the_handshake_is_not_lost(wired: Stack, behind: bytes, heard: list[str]) -> None:
    """A client need not wait for the answer to its handshake before it goes on in the same segment."""
    async with Wire.open(wired.port, behind=behind) as wire:
        assert [await wire.next() for _ in heard] == heard
    await forgotten(wired)


async def test_a_broken_frame_with_the_handshake_ends_it(wired: Stack, unhandled: Callable[[], list[str]]) -> None:
    """The page opens and is over."""
    async with Wire.open(wired.port, behind=frame(b"x", 3)) as wire:
        assert await wire.next() in ("close 1002", "cut")
    await forgotten(wired)
    assert unhandled() == []


@pytest.mark.parametrize("behind", [b"", ASK, ASK[:5], ASK * MANY, closing(1000)], ids=len)
@pytest.mark.parametrize("leave", [Wire.half_close, Wire.reset])
async def test_a_client_that_leaves_right_behind_its_handshake(
    wired: Stack, unhandled: Callable[[], list[str]], leave: Callable[[Wire], None], behind: bytes
) -> None:
    """Before it has our answer: nothing stays, and nobody is surprised."""
    neighbour = await wired.page()
    its_socket = only_socket(wired)
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", wired.port)
        writer.write(handshake(wired.port) + behind)
        leave(Wire(reader, writer))
        await assert_served(neighbour)
        writer.transport.abort()
    await assert_served(neighbour)
    await forgotten(wired, its_socket)
    async with asyncio.timeout(PATIENCE_S):  # The last may be on its way in still, and then finds nobody.
        while len(wired.services.rooms._taken) > 1:
            await asyncio.sleep(0)
    assert unhandled() == []


@pytest.mark.parametrize("cut", range(1, len(ASK)))
async def test_a_frame_may_be_cut_by_the_handshake(wired: Stack, cut: int) -> None:
    """Its beginning comes with the request, its end after our answer."""
    async with Wire.open(wired.port, behind=ASK[:cut]) as wire:
        await wire.send(ASK[cut:])
        assert await wire.next() == "pong a"


async def test_many_frames_in_one_segment_are_answered_in_order(wired: Stack) -> None:
    """Each once."""
    async with Wire.open(wired.port) as wire:
        await wire.send(b"".join(frame(asking(str(n))) for n in range(MANY)))
        assert [await wire.next() for _ in range(MANY)] == [f"pong {n}" for n in range(MANY)]


async def test_one_byte_in_each_segment(wired: Stack) -> None:
    """Nothing is lost and nothing comes twice."""
    stream = pieces(asking("a"), 5, 9) + frame(b"x", PING) + frame(asking("b").ljust(300)) + closing(1000)
    async with Wire.open(wired.port) as wire:
        await wire.send(*(bytes([byte]) for byte in stream))
        assert await wire.all_until() == ["pong a", "PONG x", "pong b", "close 1000"]


async def test_ws_9_text_is_judged_as_it_comes(wired: Stack, protocol: str) -> None:
    """1007 with the first fragment that is none; Tornado waits for the last."""
    async with Wire.open(wired.port) as wire:
        await wire.send(frame(b"\xff", final=False))
        if protocol == "tornado":
            await wire.send(frame(b"x", PING))
            assert await wire.next() == "PONG x"
        else:
            assert await wire.all_until() == ["close 1007"]


async def test_fragments_of_nothing_take_no_memory(wired: Stack) -> None:
    """No limit of size counts them, so nothing of them may be kept."""
    nothing = frame(b"", 0, final=False) * 20_000
    async with Wire.open(wired.port) as wire:
        await wire.send(frame(asking("a"), final=False) + nothing + frame(b"x", PING))
        assert await wire.next() == "PONG x"
        connection = only_socket(wired).ws_connection
        if isinstance(connection, websocket.SansIoProtocol):
            assert connection._fragments is not None
            assert len(connection._fragments._parts) == 1
        await wire.send(frame(b"", 0))
        assert await wire.next() == "pong a"


# How it ends


async def test_the_handler_hears_how_the_page_left(wired: Stack, unhandled: Callable[[], list[str]]) -> None:
    """Code and reason of its close frame; none where it said none, or left without a word."""
    for said, code, reason in (
        (closing(1001, "tschüß".encode()), 1001, "tschüß"),
        (closing(4000), 4000, None),
        (frame(b"", 8), None, None),
    ):
        async with Wire.open(wired.port) as wire:
            await wire.send(ASK)
            assert await wire.next() == "pong a"
            socket = only_socket(wired)
            await wire.send(said)
            await wire.all_until()
            await forgotten(wired)
        assert (socket.close_code, socket.close_reason or None) == (code, reason)
    assert unhandled() == []


@pytest.mark.parametrize(
    "before", [b"", ASK, ASK[:1], ASK[:9], frame(b"ab", final=False), frame(b"x", PING)], ids=repr
)
async def test_a_half_closed_connection_ends(wired: Stack, unhandled: Callable[[], list[str]], before: bytes) -> None:
    """Who says nothing more is no page: it is let go, wherever its stream broke off."""
    neighbour = await wired.page()
    its_socket = only_socket(wired)
    async with Wire.open(wired.port) as wire:
        await wire.send(before)
        wire.half_close()
        await wire.all_until()
        await forgotten(wired, its_socket)
    await assert_served(neighbour)
    assert unhandled() == []


@pytest.mark.parametrize("before", [b"", ASK, ASK[:9], frame(b"ab", final=False), ASK * MANY, closing(1000)], ids=len)
async def test_a_reset_is_the_end_too(wired: Stack, unhandled: Callable[[], list[str]], before: bytes) -> None:
    """`on_close` is called, the place is free again, and no answer that nobody reads is an error."""
    neighbour = await wired.page()
    its_socket = only_socket(wired)
    async with Wire.open(wired.port) as wire:
        await wire.send(ASK)
        assert await wire.next() == "pong a"
        (socket,) = wired.sockets - {its_socket}
        await wire.send(before)
        wire.reset()
        await forgotten(wired, its_socket)
    assert socket._gone
    await assert_served(neighbour)
    assert unhandled() == []


async def test_a_page_that_leaves_while_it_is_being_answered(
    wired: Stack, unhandled: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a reset, by a close, by silence: nobody is harmed, and nothing is watched for it."""
    waiting, gate, registry = asyncio.Event(), asyncio.Event(), wired.services.mobiles._registry
    real = registry.taken

    async def slow(mobiles: Collection[str]) -> set[str]:
        waiting.set()
        await gate.wait()
        return await real(mobiles)

    monkeypatch.setattr(registry, "taken", slow)
    for leave in (Wire.reset, Wire.half_close, Wire.leave):
        waiting.clear()
        gate.clear()
        async with Wire.open(wired.port) as wire:
            await wire.send(frame(b'{"type":"mobile.check","id":1,"data":{"mobile":"%b"}}' % MOBILE.encode()))
            await waiting.wait()
            leave(wire)
            gate.set()
            await forgotten(wired)
    async with asyncio.timeout(10):
        while wired.services.mobiles._watched:
            await asyncio.sleep(0)
    assert unhandled() == []


async def test_the_server_says_goodbye_and_waits_for_the_answer(wired: Stack) -> None:
    """1001; what the page says before its own close frame is not heard any more."""
    async with Wire.open(wired.port) as wire:
        await wire.send(ASK)
        assert await wire.next() == "pong a"
        await wired.sockets.close_all()
        assert await wire.next() == "close 1001"
        await wire.send(ASK + closing(1001))
        assert await wire.next() == "cut"
    await forgotten(wired)


async def test_a_page_that_does_not_say_goodbye_is_cut_off(wired: Stack, unhandled: Callable[[], list[str]]) -> None:
    """Some seconds are enough for an answer to our close frame."""
    async with Wire.open(wired.port) as wire:
        await wire.send(ASK)
        assert await wire.next() == "pong a"
        await wired.sockets.close_all()
        assert await wire.all_until() == ["close 1001"]
        assert await wire.next() == "cut"
        await forgotten(wired)
    assert unhandled() == []


async def test_a_page_that_neither_speaks_nor_reads_holds_no_socket(
    wired: Stack, protocol: str, monkeypatch: pytest.MonkeyPatch, unhandled: Callable[[], list[str]]
) -> None:
    """What it has not read is not kept for it for ever."""
    monkeypatch.setattr(websocket, "LINGER_S", 0.1)
    async with Wire.open(wired.port) as wire:
        await wire.send(ASK)
        assert await wire.next() == "pong a"
        socket = only_socket(wired)
        wire.deafen()
        connection = socket.ws_connection
        assert connection is not None
        ours = _socket_of(connection)
        while not _unsent(connection):
            socket.push("degraded", {"what": "x" * 10_000})
        wire.half_close()
        await forgotten(wired)
        async with asyncio.timeout(10):
            while ours.fileno() != -1:
                await asyncio.sleep(0.01)
    assert unhandled() == []


def _unsent(connection: Any) -> bool:
    if isinstance(connection, websocket.SansIoProtocol):
        return bool(connection._transport.get_write_buffer_size())
    return bool(connection.stream.writing())


def _socket_of(connection: Any) -> Any:
    if isinstance(connection, websocket.SansIoProtocol):
        return connection._transport.get_extra_info("socket")
    return connection.stream.socket

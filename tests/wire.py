"""Bytes on a socket: frames of RFC 6455 as right or as wrong as a test wants them."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from server.handlers.page_socket import PageSocket
from tests.conftest import Stack
from tests.helpers import PageClient

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE_S = 15
_MASK = b"\x37\xfa\x21\x3d"
_WIDTHS = {7: "!BB", 16: "!BBH", 64: "!BBQ"}
# What the server says of its own accord: then it waits for the other side's; after any other it hangs up by itself.
_UNASKED = ("close 1001", "close 1003")


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = _MASK,
    length: int | None = None,
    width: int = 0,
) -> bytes:
    """One frame. `length` is what it says of itself, in `width` bits; without them the truth, in the fewest."""
    size = len(payload) if length is None else length
    width = width or (7 if size < 126 else 16 if size < 1 << 16 else 64)
    first = final << 7 | reserved << 4 | opcode
    masked = 0x80 if mask else 0
    head = [first, masked | size] if width == 7 else [first, masked | (126 if width == 16 else 127), size]
    return struct.pack(_WIDTHS[width], *head) + (mask + _masked(payload, mask) if mask else payload)


def pieces(payload: bytes, *cuts: int, opcode: int = TEXT) -> bytes:
    """A message in fragments, cut at these places."""
    bounds = [0, *cuts, len(payload)]
    last = len(cuts)
    return b"".join(
        frame(payload[bounds[n] : bounds[n + 1]], CONTINUATION if n else opcode, final=n == last)
        for n in range(last + 1)
    )


def closing(code: int, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(code.to_bytes(2) + reason, CLOSE)


def asking(name: str, kind: str = "ping") -> bytes:
    """The message that asks for an operation."""
    return json.dumps({"type": kind, "id": name}).encode()


def handshake(port: int, *headers: str) -> bytes:
    """The request of a page of ours."""
    lines = (
        "GET /ws HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Origin: http://127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    return "\r\n".join([*lines, *headers, "", ""]).encode()


class HandshakeRefused(Exception):
    """The first line of the answer."""


class Wire:
    """A connection whose every byte is ours. What comes back is told in words: see `next`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.last_error = ""
        self.socket: socket.socket = writer.get_extra_info("socket")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int, *headers: str, behind: bytes = b"") -> AsyncIterator["Wire"]:
        """Shake hands; `behind` leaves in one segment with the request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(handshake(port, *headers) + behind)
            async with asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101 "):
                raise HandshakeRefused(head.partition(b"\r\n")[0].decode())
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    async def send(self, *segments: bytes) -> None:
        """Each as a segment of its own, if the system likes; a connection that is over takes anything."""
        for segment in segments:
            if not self._writer.is_closing():
                self._writer.write(segment)
            for _ in range(2):  # turns of the loop, so that a server in it has read
                await asyncio.sleep(0)

    def half_close(self) -> None:
        """Say that nothing more will come, and go on reading."""
        with suppress(OSError):  # it is over already
            self._writer.write_eof()

    def deafen(self) -> None:
        """Read nothing any more."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def listen(self) -> None:
        """Read again."""
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    async def message(self) -> dict[str, Any]:
        """The next frame, which is text."""
        opcode, payload = await self.read() or (CLOSE, b"")
        assert opcode == TEXT, (opcode, payload[:50])
        return dict(json.loads(payload))

    def leave(self) -> None:
        """Say goodbye, as a browser does."""
        self._writer.write(closing(1000))

    def reset(self) -> None:
        """Vanish without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def read(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame; None if the connection is over."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                first, size = await self._reader.readexactly(2)
                assert size < 127, "a server does not mask, nor send so much"
                if size == 126:
                    size = int.from_bytes(await self._reader.readexactly(2))
                payload = await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        assert first & 0xF0 == 0x80, "whole frames without extensions are all we send"
        return first & 0x0F, payload

    async def next(self) -> str:
        """`pong a` (type and id of a message), `PONG now`, `close 1000`, `close`, or `cut`."""
        match await self.read():
            case None:
                return "cut"
            case opcode, payload if opcode == TEXT:
                message = json.loads(payload)
                self.last_error = message["data"].get("code", "")
                return f"{message['type']} {message['id']}"
            case opcode, payload if opcode == PONG:
                return f"PONG {payload.decode(errors='replace')}".rstrip()
            case opcode, payload if opcode == CLOSE:
                return f"close {int.from_bytes(payload[:2])}" if payload else "close"
            case unexpected:
                raise AssertionError(unexpected)

    async def all_until(self, *last: str) -> list[str]:
        """What comes until one of these, or until the end."""
        heard: list[str] = []
        while not heard or not (heard[-1] in last or is_end(heard[-1])):
            heard.append(await self.next())
        return heard

    async def finish(self, heard: str) -> None:
        """After the last word: the server hangs up, once it has been answered where that is due."""
        if heard in _UNASKED:
            await self.send(closing(1000))
        after = await self.next()
        assert after == "cut", f"{after} after {heard}"


def is_end(heard: str) -> bool:
    """True for a close frame and for a cut."""
    return heard == "cut" or heard.startswith("close")


def _masked(payload: bytes, mask: bytes) -> bytes:
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))


async def forgotten(stack: Stack, *stays: PageSocket) -> None:
    """Wait until the server has let go of every page but these."""
    async with asyncio.timeout(PATIENCE_S):
        while stack.sockets != set(stays):
            await asyncio.sleep(0)


async def assert_served(page: PageClient) -> None:
    """That page is well."""
    assert (await page.ask("ping"))["type"] == "pong"

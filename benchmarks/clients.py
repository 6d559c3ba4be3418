"""Connections that always have one request in flight, as cheap as they can be made: an answer is looked at only as
far as it takes to see that it is whole and right."""

import asyncio
import re
from collections.abc import Callable, Iterator
from time import perf_counter

from benchmarks.messages import CLOSE, LONG, MASKED, PING, PONG

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class BusyServer(ConnectionError):
    """It says: come back in a moment."""


class Client(asyncio.Protocol):
    """One connection: when an answer is whole, the next request leaves."""

    def __init__(self, hello: bytes, messages: Iterator[bytes], right: bytes) -> None:
        self._hello = hello
        self._messages = messages
        self._right = right
        self._buffer = b""
        self._running = False
        self.times: list[float] = []
        self.wrong, self.wrong_one = 0, b""  # how many answers were, and one of them
        self.on_rest: Callable[[Client], None] = lambda client: None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]
        self.transport = transport
        if self._hello:
            self.transport.write(self._hello)
        else:
            self.opened.set_result(None)

    def connection_lost(self, fault: Exception | None) -> None:
        for waiting in (self.opened, self.answered):
            if not waiting.done():
                waiting.set_exception(ConnectionError("the server closed a connection"))
                waiting.exception()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self.opened.done():
            data = self._finish_handshake(data)
        while data and 0 < (size := self.size(data)) <= len(data):
            self.take(data[:size])
            data = data[size:]
        self._buffer = data

    def take(self, answer: bytes) -> None:
        """Note one whole answer and go on."""
        self.times.append(perf_counter() - self._sent)
        if self._right not in answer:
            self.wrong, self.wrong_one = self.wrong + 1, answer
        if self._running:
            self.ask()
        else:
            if not self.answered.done():
                self.answered.set_result(None)
            self.on_rest(self)

    def ask(self, since: float = 0) -> None:
        """Send the next message, which has been waiting `since` then if it could not leave at once."""
        self._sent = since or perf_counter()
        self.transport.write(next(self._messages))

    def start(self) -> None:
        """Ask again and again."""
        self._running, self.times, self.wrong = True, [], 0
        self.ask()

    async def stop(self) -> None:
        """Ask no more; returns when the last answer is here."""
        if self.transport.is_closing():
            raise ConnectionError("the server closed a connection")
        self.answered = asyncio.get_running_loop().create_future()
        self._running = False
        await self.answered

    def size(self, data: bytes) -> int:
        """The length of the first answer in `data`, 0 if it cannot be told yet."""
        raise NotImplementedError

    def _finish_handshake(self, data: bytes) -> bytes:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return data
        if b" 101 " in head.partition(b"\r\n")[0]:
            self.opened.set_result(None)
            return rest
        refused = BusyServer if b" 503 " in head.partition(b"\r\n")[0] else ConnectionError
        self.opened.set_exception(refused(head.decode(errors="replace")))
        self.transport.close()
        return b""


class SocketClient(Client):
    """Frames of a websocket. Pings are answered; pushes are heard beside."""

    def size(self, data: bytes) -> int:
        if len(data) < 4:
            return 2 + data[1] if len(data) > 1 and data[1] < LONG else 0
        return 4 + int.from_bytes(data[2:4], "big") if data[1] == LONG else 2 + data[1]

    def take(self, answer: bytes) -> None:
        if answer[0] == PING:
            self.transport.write(bytes([PONG, MASKED | len(answer) - 2]) + bytes(4) + answer[2:])
        elif answer[0] == CLOSE:
            self.transport.close()
        elif b'"id":null' in answer:
            self.hear(answer)
        else:
            super().take(answer)

    def hear(self, push: bytes) -> None:
        """What nobody asked for."""


class HttpClient(Client):
    """Answers with a Content-Length."""

    def size(self, data: bytes) -> int:
        head = data.find(b"\r\n\r\n") + 4
        if head < 4:
            return 0
        found = _LENGTH.search(data, 0, head)
        assert found, data[:head]
        return head + int(found[1])

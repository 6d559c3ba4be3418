"""The load: connections that always have one request in flight, as cheap as they can be made.

Frames and requests are made before the clock starts; an answer is looked at only as far as it takes to see that
it is whole and right.
"""

import asyncio
import base64
import os
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

CONNECTIONS = 64
MESSAGES = 20_000
OPEN_AT_ONCE = 32
_TEXT, _PING, _PONG, _MASKED, _LONG = 0x81, 0x89, 0x8A, 0x80, 126


@dataclass(frozen=True)
class Sample:
    """One round against one server."""

    per_second: float
    p50_ms: float
    p99_ms: float
    wrong: int


class Client(asyncio.Protocol):
    """One connection: when an answer is whole, the next request leaves."""

    def __init__(self, hello: bytes, messages: Sequence[bytes], right: bytes) -> None:
        self._hello = hello
        self._messages = messages
        self._right = right
        self._next = random.randrange(len(messages))
        self._buffer = b""
        self._running = False
        self.times: list[float] = []
        self.wrong = 0
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
            self.wrong += 1
        if self._running:
            self.ask()
        elif not self.answered.done():
            self.answered.set_result(None)

    def ask(self) -> None:
        """Send the next message."""
        self._next = (self._next + 1) % len(self._messages)
        self._sent = perf_counter()
        self.transport.write(self._messages[self._next])

    def start(self) -> None:
        """Ask again and again."""
        self._running, self.times, self.wrong = True, [], 0
        self.ask()

    async def stop(self) -> None:
        """Ask no more; returns when the last answer is here."""
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
        else:
            self.opened.set_exception(ConnectionError(head.decode(errors="replace")))
        return rest


class SocketClient(Client):
    """Frames of a websocket. Pings are answered and pushes passed over."""

    def size(self, data: bytes) -> int:
        if len(data) < 4:
            return 2 + data[1] if len(data) > 1 and data[1] < _LONG else 0
        return 4 + int.from_bytes(data[2:4], "big") if data[1] == _LONG else 2 + data[1]

    def take(self, answer: bytes) -> None:
        if answer[0] == _PING:
            self.transport.write(bytes([_PONG, _MASKED | len(answer) - 2]) + bytes(4) + answer[2:])
        elif b'"id":null' not in answer:
            super().take(answer)


class HttpClient(Client):
    """Answers with a Content-Length."""

    def size(self, data: bytes) -> int:
        head = data.find(b"\r\n\r\n") + 4
        if head < 4:
            return 0
        start = data.index(b"Content-Length: ") + 16
        return head + int(data[start : data.index(b"\r\n", start)])


def socket_hello(port: int) -> bytes:
    """The handshake, from an origin that a development server allows."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        "GET /ws HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Origin: http://127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(text: bytes) -> bytes:
    """A text frame masked with the key 0, which changes nothing and so costs nothing."""
    size = (
        bytes([_MASKED | len(text)]) if len(text) < _LONG else bytes([_MASKED | _LONG, *len(text).to_bytes(2, "big")])
    )
    return bytes([_TEXT]) + size + bytes(4) + text


def checks() -> list[bytes]:
    """`mobile.check` of numbers in a range that no operator uses for people (154)."""
    return [frame(b'{"type":"mobile.check","id":7,"data":{"mobile":"%b"}}' % mobile) for mobile in _mobiles()]


def pings() -> list[bytes]:
    """`ping`."""
    return [frame(b'{"type":"ping","id":7,"data":{}}')]


def gets(port: int) -> list[bytes]:
    """The same checks over REST."""
    head = b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port
    return [b"GET /user/mobile/" + mobile + b"/" + head for mobile in _mobiles()]


def _mobiles() -> list[bytes]:
    return [b"154%08d" % random.randrange(10**8) for _ in range(MESSAGES)]


async def connect(kind: type[Client], port: int, count: int, messages: Sequence[bytes], right: bytes) -> list[Client]:
    """`count` open connections."""
    loop = asyncio.get_running_loop()
    turn = asyncio.Semaphore(OPEN_AT_ONCE)

    async def one() -> Client:
        hello = socket_hello(port) if issubclass(kind, SocketClient) else b""
        async with turn:
            _, client = await loop.create_connection(lambda: kind(hello, messages, right), "127.0.0.1", port)
            await client.opened
        return client

    return await asyncio.gather(*(one() for _ in range(count)))


async def ask_once(clients: list[Client]) -> None:
    """One request on each connection, a few at a time."""
    for start in range(0, len(clients), OPEN_AT_ONCE):
        some = clients[start : start + OPEN_AT_ONCE]
        for client in some:
            client.ask()
        await asyncio.gather(*(client.answered for client in some))


async def run(clients: list[Client], seconds: float) -> Sample:
    """Keep all connections busy for a while."""
    started = perf_counter()
    for client in clients:
        client.start()
    await asyncio.sleep(seconds)
    took = perf_counter() - started
    times = sorted(time for client in clients for time in client.times)
    await asyncio.gather(*(client.stop() for client in clients))
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    wrong = sum(client.wrong for client in clients)
    return Sample(len(times) / took, cuts[49] * 1000, cuts[98] * 1000, wrong)


async def close(clients: list[Client]) -> None:
    """Hang up."""
    for client in clients:
        client.transport.close()
    await asyncio.sleep(0.5)

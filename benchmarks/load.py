"""The load: so many connections, kept busy without rest or at a pace."""

import asyncio
import statistics
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import Any, TypeVar

from benchmarks.clients import BusyServer, Client, SocketClient
from benchmarks.messages import socket_hello

CONNECTIONS = 64
OPEN_AT_ONCE = 32
PACE_STEP_S = 0.001
SomeClient = TypeVar("SomeClient", bound=Client)


@dataclass(frozen=True)
class Sample:
    """One round against one server."""

    per_second: float
    p50_ms: float
    p99_ms: float
    wrong: int
    wrong_one: bytes = b""


async def connect(
    kind: type[SomeClient], port: int, count: int, messages: Iterator[bytes], right: bytes = b""
) -> list[SomeClient]:
    """`count` open connections."""
    return await _each(count, lambda: _open(kind, port, messages, right))


async def pages(
    kind: type[SomeClient], port: int, count: int, messages: Iterator[bytes], right: bytes = b""
) -> list[SomeClient]:
    """`count` open pages, each of which says one thing at once: those that are silent are sent away. One that is told
    to come back later does, as a browser's page would."""

    async def one() -> SomeClient:
        try:
            client = await _open(kind, port, messages, right)
        except BusyServer:
            await asyncio.sleep(1)
            return await one()
        client.ask()
        await client.answered
        return client

    return await _each(count, one)


async def _open(kind: type[SomeClient], port: int, messages: Iterator[bytes], right: bytes) -> SomeClient:
    hello = socket_hello(port) if issubclass(kind, SocketClient) else b""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: kind(hello, messages, right), "127.0.0.1", port)
    await client.opened
    return client


async def _each(count: int, opened: Callable[[], Awaitable[SomeClient]]) -> list[SomeClient]:
    turn = asyncio.Semaphore(OPEN_AT_ONCE)

    async def one() -> SomeClient:
        async with turn:
            return await opened()

    return await asyncio.gather(*(one() for _ in range(count)))


async def run(clients: Sequence[Client], seconds: float) -> Sample:
    """Keep all connections busy for a while; `stop` ends it."""
    started = perf_counter()
    for client in clients:
        client.start()
    await asyncio.sleep(seconds)
    took = perf_counter() - started
    return _sample([time for client in clients for time in client.times], took, clients)


async def stop(clients: Sequence[Client]) -> None:
    """Returns when the last answers are here."""
    await asyncio.gather(*(client.stop() for client in clients))


async def pace(
    clients: Sequence[Client], per_second: float, seconds: float = inf, beside: "asyncio.Future[Any] | None" = None
) -> Sample:
    """So many requests a second, whatever the answers do, for `seconds` or as long as what is `beside` takes.

    One that finds every connection busy waits, and counts from when it was due. That this process comes round only
    every ms is not counted.
    """
    resting, due, asked = deque(clients), deque[float](), 0
    for client in clients:
        client.times, client.wrong, client.on_rest = [], 0, resting.append
    began = perf_counter()
    while (passed := perf_counter() - began) < seconds and not (beside and beside.done()):
        due.extend([perf_counter()] * (int(passed * per_second) - asked))
        asked = int(passed * per_second)
        while due and resting:
            resting.popleft().ask(due.popleft())
        await asyncio.sleep(PACE_STEP_S)
    async with asyncio.timeout(20):
        while len(resting) < len(clients):
            await asyncio.sleep(PACE_STEP_S)
    return _sample([time for client in clients for time in client.times], passed, clients)


def _sample(times: list[float], seconds: float, clients: Sequence[Client]) -> Sample:
    wrong = sum(client.wrong for client in clients)
    one = next((client.wrong_one for client in clients if client.wrong), b"")
    return Sample(len(times) / seconds, percentile(times, 50) * 1000, percentile(times, 99) * 1000, wrong, one)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of them are below; endless if there is next to none."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else inf


async def close(clients: Sequence[Client]) -> None:
    """Hang up."""
    for client in clients:
        client.transport.close()
    await asyncio.sleep(0.5)

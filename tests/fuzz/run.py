"""A server of its own, many who spoil frames, and one page beside them that must not notice."""

import asyncio
import random
import statistics
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.servers import Server as Seen
from tests.chaos.world import Server, Table
from tests.fuzz.mutations import conversation, spoiled
from tests.helpers import PageClient
from tests.wire import PING, HandshakeRefused, Wire, closing, frame, is_end

SENT, ANSWERED = "frames sent", "frames answered"
AT_ONCE = 16
FRAMES = 12  # of one connection
QUIET_S = 0.3  # so long a connection may wait for the rest of a frame before we hang up
ASK_EVERY_S = 0.05
ANSWER_S = 10
END_S = 20
TRIES = 10
PROTOCOLS = ("websockets", "tornado")
_SETTINGS = {"LIMITS": "observe"}
_LISTENING = "0A"
_WARM = 3 * AT_ONCE
_RARE = 10


async def run(directory: Path, *, protocol: str, frames: int, seed: int) -> Table:
    """So many frames, spoiled all but the first of each connection."""
    table = Table(f"{frames:,} frames, WEBSOCKET_PROTOCOL={protocol}")
    directory.mkdir(parents=True, exist_ok=True)
    server = await Server.start(directory, _SETTINGS | {"WEBSOCKET_PROTOCOL": protocol})
    try:
        seen = Seen(server.port, server.process.process.pid)
        await _fuzz(server.port, range(-_WARM, 0), seed)  # pools and caches are what they will be
        before = (seen.descriptors(), seen.rss_kib())
        async with _neighbour(server.port) as neighbour:
            ends = await _fuzz(server.port, range(-(-frames // FRAMES)), seed)
            await _pages(server, 1)
        await _pages(server, 0)
        _judge(table, ends, neighbour)
        left = await _sockets_left(server.port)
        table.require("sockets that stayed open", left, holds=not left)
        table.add("descriptors more than before, stores' included", seen.descriptors() - before[0])
        table.add("memory grew by (KiB)", seen.rss_kib() - before[1])
        table.require("exit status of the server", status := await server.stop(), holds=status == 0)
    finally:
        if server.process.process.returncode is None:
            await server.kill()
        server.rest.close()
    faults = faults_in((directory / "servers.log").read_text())
    table.require("faults in its log", len(faults), holds=not faults)
    return table


def _judge(table: Table, ends: Counter[str], neighbour: "Neighbour") -> None:
    for what in (SENT, ANSWERED):
        table.add(what, ends.pop(what))
    table.add("connections", ends.total())
    rare = Counter({end: count for end, count in ends.items() if count < _RARE and not end.startswith("BAD")})
    for end, count in (ends - rare).most_common():
        table.require(f"ended: {end}", count, holds=not end.startswith("BAD"))
    table.add(f"ended in one of {len(rare)} other ways", rare.total())  # Tornado gives back any code that it is given
    took = neighbour.took
    table.require("answers to the page beside", len(took), holds=len(took) > 1)
    table.add("its answers, p99 (ms)", statistics.quantiles(took, n=100)[98] * 1000)
    table.add("its slowest answer (ms)", max(took) * 1000)
    table.add("its checks that a store had no time for", neighbour.slow)


def faults_in(log: str) -> list[str]:
    """Lines of a log that say that something went wrong unexpectedly."""
    return [line for line in log.splitlines() if '"level":"error"' in line or "Traceback" in line]


async def _fuzz(port: int, numbers: range, seed: int) -> Counter[str]:
    """How the connections ended, and how many frames were sent."""
    ends: Counter[str] = Counter()
    waiting = iter(numbers)

    async def work() -> None:
        nonlocal ends
        for number in waiting:
            rng = random.Random(f"{seed}:{number}")
            good, *rest = conversation(rng, FRAMES)
            ends += await _one(port, rng, [good, *spoiled(rng, rest)])

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return ends


async def _one(port: int, rng: random.Random, said: list[bytes]) -> Counter[str]:
    """One connection from its handshake to its end, which always comes."""
    async with _opened(port) as wire:
        heard = Heard()
        hearing = asyncio.create_task(heard.all_of(wire))
        for one in said:
            await wire.send(*_segments(rng, one))
        await wire.send(frame(b"end", PING) + closing(1000))
        await asyncio.wait({hearing}, timeout=QUIET_S)
        if not hearing.done():
            wire.half_close()
            await asyncio.wait({hearing}, timeout=END_S)
        hearing.cancel()
        return Counter({heard.end: 1, SENT: len(said), ANSWERED: heard.answers})


@asynccontextmanager
async def _opened(port: int) -> AsyncIterator[Wire]:
    """A server without time for Redis says so, and means a second."""
    async with AsyncExitStack() as stack:
        for tries in range(TRIES):
            try:
                wire = await stack.enter_async_context(Wire.open(port))
                break
            except HandshakeRefused:
                if tries == TRIES - 1:
                    raise
                await asyncio.sleep(1)
        yield wire


class Heard:
    """What one connection hears."""

    def __init__(self) -> None:
        self.end = "BAD: not at all"
        self.answers = 0

    async def all_of(self, wire: Wire) -> None:
        """Up to the last word; the server speaks the protocol until then, and no operation fails."""
        try:
            while not is_end(word := await wire.next()):
                self.answers += 1
                assert wire.last_error != "internal_error", "internal_error"
            self.end = word
        except (AssertionError, ValueError) as fault:
            self.end = f"BAD: {fault!r}"


def _segments(rng: random.Random, one: bytes) -> list[bytes]:
    if rng.random() < 0.8 or len(one) < 2:
        return [one]
    at = rng.randrange(1, len(one))
    return [one[:at], one[at:]]


@asynccontextmanager
async def _neighbour(port: int) -> AsyncIterator["Neighbour"]:
    page = await PageClient.open(port)
    neighbour = Neighbour(page)
    asking = asyncio.create_task(neighbour.ask())
    try:
        yield neighbour
    finally:
        neighbour.enough.set()
        await asking
        await page.close()


class Neighbour:
    """A page that asks all the while. A wrong answer or none is the end of the run."""

    def __init__(self, page: PageClient) -> None:
        self._page = page
        self.enough = asyncio.Event()
        self.took: list[float] = []
        self.slow = 0

    async def ask(self) -> None:
        """A ping and a check, again and again."""
        loop = asyncio.get_running_loop()
        while not self.enough.is_set():
            began = loop.time()
            async with asyncio.timeout(ANSWER_S):
                assert (await self._page.ask("ping"))["type"] == "pong"
                await self._check(f"154{len(self.took) % 10**8:08d}")
            self.took.append(loop.time() - began)
            await asyncio.sleep(ASK_EVERY_S)

    async def _check(self, mobile: str) -> None:
        """On a machine that has no time for Redis the answer may be that it is not known."""
        answer = (await self._page.ask("mobile.check", mobile=mobile))["data"]
        if answer.get("code") == "unavailable" or answer.get("available", "") is None:
            self.slow += 1
        else:
            assert answer == {"mobile": mobile, "available": True}, answer


async def _sockets_left(port: int) -> int:
    """Connections of that port that the server has not closed in its time; 0 where there is no /proc."""
    end = asyncio.get_running_loop().time() + END_S
    while (left := _open_sockets(port)) and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.1)
    return left


def _open_sockets(port: int) -> int:
    table = Path("/proc/net/tcp")
    rows = [row.split() for row in table.read_text().splitlines()[1:]] if table.exists() else []
    return sum(row[1].endswith(f":{port:04X}") and row[3] != _LISTENING and row[9] != "0" for row in rows)


async def _pages(server: Server, count: int) -> None:
    """Wait until the server knows of so many and no more."""
    async with asyncio.timeout(END_S):
        while await server.metric("haoma_pages_open") != count:
            await asyncio.sleep(0.1)

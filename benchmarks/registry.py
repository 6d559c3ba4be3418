"""The registry at full size: 100 million numbers in the embedded Redis, beside a service where nobody has registered.

`python -m benchmarks.registry` measures in a process of its own and prints JSON. The numbers are spread evenly over
all 700,000 blocks that there are in China (13 to 19), which is the dearest way to store them. A part of them is in
MongoDB too, and those are the taken ones that are asked for: so MongoDB is asked as it would be.
"""

import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median, quantiles

import uvloop

from benchmarks import load, servers
from benchmarks.load import Sample
from benchmarks.servers import Server
from server.clock import Clock
from server.container import open_stores, open_tagger
from server.errors import StoreUnavailable
from server.settings import Settings
from server.stores.free_numbers import READING_S, FreeNumbers
from server.stores.mongo import Mongo
from server.stores.redis import Redis
from server.stores.registry import RegistryStore

BLOCKS, IN_EACH = 700_000, 143  # 100.1 million numbers
REAL = 700  # blocks whose numbers are in MongoDB too
FULL = 3  # blocks all of whose numbers are; they begin with 12, which no mobile number does
MESSAGES = 20_000
ROUNDS, ROUND_S = 24, 1
LOOK_UPS, TURN = 5_000, 30
_PATTERNS = 1_000  # different blocks; more would cost time and show nothing
_AT_ONCE = 100
Figures = dict[str, float]


@dataclass(frozen=True)
class World:
    """A service, its stores, and pages that ask it."""

    mongo: Mongo
    redis: Redis
    free: FreeNumbers
    registry: RegistryStore
    server: Server

    async def used_bytes(self) -> float:
        return float((await self.redis.each("INFO", "memory"))[0]["used_memory"])

    async def redis_cpu_s(self) -> float:
        info = (await self.redis.each("INFO", "cpu"))[0]
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    async def know(self, blocks: Sequence[int], taken: Callable[[int], Sequence[int]]) -> None:
        """Write bitmaps as the service does, without the reading."""
        left: list[int] = []

        async def one(number: int) -> None:
            block = name(number)
            try:
                await self.free.fill(block, await self.free.begin(block), taken(number))
            except StoreUnavailable:  # A Redis that copies all its memory to disk may be too slow for once.
                left.append(number)

        for start in range(0, len(blocks), _AT_ONCE):
            await asyncio.gather(*map(one, blocks[start : start + _AT_ONCE]))
        if left:
            await asyncio.sleep(READING_S)  # then the pens that were lost are free again
            await self.know(left, taken)


class Asker(load.SocketClient):
    """Knows what the right answer to each question is."""

    taken: frozenset[bytes] = frozenset()
    asking = False

    def ask(self) -> None:
        super().ask()
        self.asking = True
        self._right = b'"available":false' if self._messages[self._next] in self.taken else b'"available":true'

    def take(self, answer: bytes) -> None:
        if b'"id":7' in answer:
            self.asking = False
        super().take(answer)


def name(number: int) -> str:
    """The first seven digits of a block."""
    return f"1{300_000 + number}"


def patterns() -> list[list[int]]:
    """Which numbers of a block are taken, in some ways."""
    choose = random.Random(7)
    return [sorted(choose.sample(range(10_000), IN_EACH)) for _ in range(_PATTERNS)]


@dataclass(frozen=True)
class Questions:
    """Checks of numbers of all blocks, as many of them taken as there are among all numbers."""

    messages: list[bytes]
    taken: frozenset[bytes]
    blocks: list[int]


def questions(known: list[list[int]]) -> Questions:
    """MESSAGES of them."""
    choose, messages, taken, blocks = random.Random(8), [], set(), set()
    for _ in range(MESSAGES):
        is_taken = choose.random() < IN_EACH / 10_000
        number = choose.randrange(REAL if is_taken else BLOCKS)
        within = known[number % _PATTERNS]
        last = choose.choice(within) if is_taken else choose.choice([*set(range(10_000)) - set(within)])
        text = b'{"type":"mobile.check","id":7,"data":{"mobile":"%b%04d"}}' % (name(number).encode(), last)
        messages.append(load.frame(text))
        if is_taken:
            taken.add(messages[-1])
        blocks.add(number)
    return Questions(messages, frozenset(taken), sorted(blocks))


async def register(mongo: Mongo, mobiles: Sequence[str]) -> None:
    """Accounts that have just a number."""
    for start in range(0, len(mobiles), 1000):
        users = [{"_id": it, "mobile": it, "username": it} for it in mobiles[start : start + 1000]]
        await mongo.db.users.insert_many(users, ordered=False)


async def size(world: World, known: list[list[int]]) -> Figures:
    """What 100 million numbers take, and how long it takes to write them."""
    before, began = await world.used_bytes(), time.perf_counter()
    await world.know(range(BLOCKS), lambda number: known[number % _PATTERNS])
    took, used = time.perf_counter() - began, await world.used_bytes() - before
    return {
        "memory_mb": used / 1e6,
        "bytes_a_number": used / BLOCKS / IN_EACH,
        "bytes_a_block": used / BLOCKS,
        "write_s": took,
    }


async def reading(world: World, blocks: Sequence[int], in_each: int) -> Figures:
    """Read blocks from MongoDB, one after the other, as a service does; and how long that holds the loop."""
    holds: list[float] = []
    probing = asyncio.create_task(probe(holds))
    failed, began = 0, time.perf_counter()
    for number in blocks:
        try:
            await world.registry.load(name(number))
        except StoreUnavailable:  # The embedded MongoDB may be too slow for once.
            failed += 1
    took = time.perf_counter() - began
    probing.cancel()
    done = len(blocks) - failed
    return {"per_s": done * in_each / took, "blocks_per_s": done / took, "hold_ms": max(holds) * 1000}


async def cost(world: World, blocks: Sequence[int]) -> float:
    """CPU of Redis for each number, in µs, where those of a turn are looked up together."""
    choose, before = random.Random(9), await world.redis_cpu_s()
    for _ in range(LOOK_UPS):
        await world.free.among([f"{name(choose.choice(blocks))}{choose.randrange(10_000):04}" for _ in range(TURN)])
    return (await world.redis_cpu_s() - before) / LOOK_UPS / TURN * 1e6


async def probe(holds: list[float]) -> None:
    """How long others keep the loop."""
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(0.001)
        holds.append(time.perf_counter() - asked - 0.001)


async def half_load(clients: list[Asker], per_second: float, seconds: float) -> float:
    """p99 in ms where nobody waits in line."""
    for client in clients:
        client.times = []
    began, asked = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        while asked < passed * per_second:
            client = clients[asked % len(clients)]
            asked += 1
            if not client.asking:
                client.ask()
        await asyncio.sleep(0.0005)
    while any(client.asking for client in clients):
        await asyncio.sleep(0.01)
    return quantiles((one for client in clients for one in client.times), n=100)[98] * 1000


async def compare(none: World, full: World, asked: Questions) -> Figures:
    """The same load in turns on a service that knows no number and on the full one, of which only free numbers are
    asked, then any: first as much as 64 pages can ask, then half of that."""
    free = [message for message in asked.messages if message not in asked.taken]
    pages = {
        "none": await connect(none, free, frozenset()),
        "full": await connect(full, free, frozenset()),
        "mixed": await connect(full, asked.messages, asked.taken),
    }
    asked_of = {"none": none.server, "full": full.server, "mixed": full.server}
    busy: dict[str, list[Sample]] = {which: [] for which in pages}
    calm: dict[str, list[float]] = {which: [] for which in pages}
    cpu_s = dict.fromkeys(pages, 0.0)
    for _ in range(ROUNDS):
        for which, some in pages.items():
            before = asked_of[which].cpu_s()
            busy[which].append(right(await load.run(some, ROUND_S)))
            cpu_s[which] += asked_of[which].cpu_s() - before
    half = median(sample.per_second for sample in busy["none"]) / 2
    for _ in range(ROUNDS):
        for which, some in pages.items():
            calm[which].append(await half_load(some, half, ROUND_S))
    for some in pages.values():
        await load.close(some)
    found = {"calm_per_s": half}
    for which, samples in busy.items():
        found[f"{which}_per_s"] = median(sample.per_second for sample in samples)
        found[f"{which}_cpu_us"] = cpu_s[which] / sum(sample.per_second * ROUND_S for sample in samples) * 1e6
    busy_ms = {which: [sample.p99_ms for sample in samples] for which, samples in busy.items()}
    return found | p99s("busy", busy_ms) | p99s("calm", calm)


def p99s(when: str, times: dict[str, list[float]]) -> Figures:
    """Of the quietest quarter of the rounds, as others may be at work on the machine."""
    found = {f"{when}_{which}_p99_ms": quantiles(some, n=4)[0] for which, some in times.items()}
    for which in ("full", "mixed"):
        found[f"{when}_{which}_ratio"] = found[f"{when}_{which}_p99_ms"] / found[f"{when}_none_p99_ms"]
    return found


def right(sample: Sample) -> Sample:
    """What was answered wrong is no figure."""
    if sample.wrong:
        raise RuntimeError(f"{sample.wrong} wrong answers")
    return sample


async def connect(world: World, messages: list[bytes], taken: frozenset[bytes]) -> list[Asker]:
    """Pages that are warm."""
    kind = type("Asker", (Asker,), {"taken": taken})
    clients = await load.connect(kind, world.server.port, load.CONNECTIONS, messages, b"")
    right(await load.run(clients, 1))
    return clients


@asynccontextmanager
async def opened(core: set[int]) -> AsyncIterator[World]:
    """A service on stores of its own; they run beside the load."""
    with tempfile.TemporaryDirectory(prefix="haoma-bench-") as var_dir:
        settings, clock = Settings.from_env({"VAR_DIR": var_dir}), Clock()
        async with (
            open_stores(settings, clock) as (mongo, redis, _),
            servers.haoma(core, VAR_DIR=var_dir) as server,
        ):
            await redis.each("CONFIG", "SET", "appendonly", "no")  # a gigabyte to a disk that others use too
            free = FreeNumbers(redis, await open_tagger(mongo))
            yield World(mongo, redis, free, RegistryStore(mongo, free, clock=clock), server)


async def figures() -> Figures:
    """All of it, in about five minutes."""
    core, beside = servers.cores()
    if beside:
        os.sched_setaffinity(0, beside)
    known = patterns()
    asked = questions(known)
    async with opened(core if beside else set()) as none, opened(core if beside else set()) as full:
        found = await size(full, known)
        await register(full.mongo, [f"{name(n)}{last:04}" for n in range(REAL) for last in known[n % _PATTERNS]])
        await register(full.mongo, [f"{name(n)}{last:04}" for n in range(-FULL, 0) for last in range(10_000)])
        sparse = await reading(full, range(REAL), IN_EACH)
        dense = await reading(full, range(-FULL, 0), 10_000)
        for how, several in (("sparse", sparse), ("dense", dense)):
            found |= {f"{how}_{which}": value for which, value in several.items()}
        await none.know(asked.blocks, lambda number: ())
        found |= {"none_redis_us": await cost(none, asked.blocks), "full_redis_us": await cost(full, range(BLOCKS))}
        found |= await compare(none, full, asked)
    return found


if __name__ == "__main__":
    print(json.dumps(uvloop.run(figures())))

"""The registry at full size: 100 million numbers in the embedded Redis, beside a service where nobody has registered.

`python -m benchmarks.registry` measures in a process of its own and prints JSON, of which the table has the most
important. The numbers are spread evenly over
all 700,000 blocks that there are in China (13 to 19), which is the dearest way to store them. A part of them is in
MongoDB too, and those are the taken ones that are asked for: so MongoDB is asked as it would be.
"""

import asyncio
import itertools
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

from benchmarks import load, messages, processes, servers, targets
from benchmarks.clients import SocketClient
from benchmarks.load import Sample
from benchmarks.processes import Server
from benchmarks.rows import Row
from benchmarks.turns import Bench
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


async def measure(_: Bench) -> list[Row]:
    """In a process of its own, which finds its core."""
    return rows(await processes.figures("benchmarks.registry"))


def rows(has: Figures) -> list[Row]:
    """The delay of a check, and what the numbers take. The peer is the same service where nobody has registered."""
    what, none = "`mobile.check` with 100 million registered", "nobody registered"
    calm = (has["calm_full_p99_ms"], "ms", has["calm_none_p99_ms"], none, [has["calm_full_ratio"]])
    busy = (has["busy_full_p99_ms"], "ms", has["busy_none_p99_ms"], none, [has["busy_full_ratio"]])
    return [
        Row(f"{what}: p99 at half load", *calm, targets.REGISTRY),
        Row(f"{what}: p99", *busy),
        Row("100 million registered: memory in Redis", has["memory_mb"], "MB"),
        Row("100 million registered: bytes in Redis for each", has["bytes_a_number"], "B"),
        Row("bitmaps written, per second", BLOCKS / has["write_s"], "/s"),
        Row("sparse blocks read from MongoDB, per second", has["sparse_blocks_per_s"], "/s"),
        Row("numbers of full blocks read from MongoDB, per second", has["dense_per_s"], "/s"),
        Row("CPU of Redis for each number looked up", has["full_redis_us"], "µs", has["none_redis_us"], none),
        Row("`mobile.check`, CPU for each", has["full_cpu_us"], "µs", has["none_cpu_us"], none),
    ]


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


class Asker(SocketClient):
    """Knows what the right answer to each question is."""

    taken: frozenset[bytes] = frozenset()

    def ask(self, since: float = 0) -> None:
        message = next(self._messages)
        self._right = b'"available":false' if message in self.taken else b'"available":true'
        self._sent = since or time.perf_counter()
        self.transport.write(message)


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

    asked: list[bytes]
    taken: frozenset[bytes]
    blocks: list[int]


def questions(known: list[list[int]]) -> Questions:
    """MESSAGES of them."""
    choose, asked, taken, blocks = random.Random(8), [], set(), set()
    for _ in range(MESSAGES):
        is_taken = choose.random() < IN_EACH / 10_000
        number = choose.randrange(REAL if is_taken else BLOCKS)
        within = known[number % _PATTERNS]
        last = choose.choice(within) if is_taken else choose.choice([*set(range(10_000)) - set(within)])
        text = b'{"type":"mobile.check","id":7,"data":{"mobile":"%b%04d"}}' % (name(number).encode(), last)
        asked.append(messages.frame(text))
        if is_taken:
            taken.add(asked[-1])
        blocks.add(number)
    return Questions(asked, frozenset(taken), sorted(blocks))


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


async def compare(none: World, full: World, asking: Questions) -> Figures:
    """The same load in turns on a service that knows no number and on the full one, of which only free numbers are
    asked, then any: first as much as 64 pages can ask, then half of that."""
    free = [message for message in asking.asked if message not in asking.taken]
    pages = {
        "none": await connect(none, free, frozenset()),
        "full": await connect(full, free, frozenset()),
        "mixed": await connect(full, asking.asked, asking.taken),
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
            await load.stop(some)
    half = median(sample.per_second for sample in busy["none"]) / 2
    for _ in range(ROUNDS):
        for which, some in pages.items():
            calm[which].append(right(await load.pace(some, half, ROUND_S)).p99_ms)
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
        raise RuntimeError(f"{sample.wrong} wrong answers, as {sample.wrong_one!r}")
    return sample


async def connect(world: World, asked: list[bytes], taken: frozenset[bytes]) -> list[Asker]:
    """Pages that are warm."""
    kind = type("Asker", (Asker,), {"taken": taken})
    clients: list[Asker] = await load.connect(kind, world.server.port, load.CONNECTIONS, itertools.cycle(asked))
    right(await load.run(clients, 1))
    await load.stop(clients)
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
    core, beside = processes.cores()
    if beside:
        os.sched_setaffinity(0, beside)
    known = patterns()
    asking = questions(known)
    async with opened(core if beside else set()) as none, opened(core if beside else set()) as full:
        found = await size(full, known)
        await register(full.mongo, [f"{name(n)}{last:04}" for n in range(REAL) for last in known[n % _PATTERNS]])
        await register(full.mongo, [f"{name(n)}{last:04}" for n in range(-FULL, 0) for last in range(10_000)])
        sparse = await reading(full, range(REAL), IN_EACH)
        dense = await reading(full, range(-FULL, 0), 10_000)
        for how, several in (("sparse", sparse), ("dense", dense)):
            found |= {f"{how}_{which}": value for which, value in several.items()}
        await none.know(asking.blocks, lambda number: ())
        found |= {"none_redis_us": await cost(none, asking.blocks), "full_redis_us": await cost(full, range(BLOCKS))}
        found |= await compare(none, full, asking)
    return found


if __name__ == "__main__":
    print(json.dumps(uvloop.run(figures())))

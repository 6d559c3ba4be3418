"""One push that every page gets, and how it looks from another process."""

import asyncio
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

import orjson
from redis.asyncio import Redis

from benchmarks import load, messages, servers, targets
from benchmarks.clients import SocketClient
from benchmarks.pages import PAGES
from benchmarks.processes import Server
from benchmarks.rows import Row
from benchmarks.turns import Bench
from server.embedded import EmbeddedStores
from server.events import topics
from tests.helpers import PASSWORD, PageClient

MOBILE = "15400000000"
PUSHES, PAUSE_S, PATIENCE_S = 6, 1, 20
ACROSS = 200


class WatchingClient(SocketClient):
    """Notes when the push came that all wait for."""

    kind: bytes
    heard: list[float]

    def hear(self, push: bytes) -> None:
        if self.kind in push:
            self.heard.append(perf_counter())


async def measure(bench: Bench) -> list[Row]:
    """To all pages of one process, then from one process to another."""
    last_ms, held_ms = await _to_all(bench)
    return rows(last_ms, held_ms, await _across(bench))


async def _to_all(bench: Bench) -> tuple[list[float], list[float]]:
    """All pages look at one number, which is told to be taken and freed, as by another process."""
    with tempfile.TemporaryDirectory(prefix="haoma-bench-") as folder:
        told, var_dir = Path(folder) / "held", Path(folder) / "var"
        settings = {"HELD_FILE": str(told), "VAR_DIR": str(var_dir), "PYTHONPATH": "."}
        async with (
            servers.haoma(bench.core, program="benchmarks/held.py", **settings) as server,
            _redis(var_dir) as redis,
        ):
            pages = await load.pages(WatchingClient, server.port, PAGES, messages.check(MOBILE))
            last_ms, held_ms = [], []
            for number in range(PUSHES):
                await server.rests()
                await _held_ms(server, told)
                last_ms.append(await _push(redis, "mobile.freed" if number % 2 else "mobile.taken"))
                await asyncio.sleep(PAUSE_S)
                held_ms.append(await _held_ms(server, told))
            await load.close(pages)
    return last_ms, held_ms


@asynccontextmanager
async def _redis(var_dir: Path) -> AsyncIterator[Redis]:
    """The server's."""
    given = os.environ.get("REDIS_URL")
    stores = EmbeddedStores(var_dir, redis=not given, mongo=False)
    redis = Redis.from_url(given or (await stores.start()).redis_url)
    try:
        yield redis
    finally:
        await redis.aclose()
        await stores.aclose()


async def _push(redis: Redis, kind: str) -> float:
    """Ms until the last page has it; PATIENCE_S if one never has."""
    WatchingClient.kind, WatchingClient.heard = f'"{kind}"'.encode(), []
    began = perf_counter()
    await redis.publish(topics.MOBILES, orjson.dumps({"kind": kind, "mobile": MOBILE}))
    while len(WatchingClient.heard) < PAGES and perf_counter() - began < PATIENCE_S:
        await asyncio.sleep(0.01)
    if missing := PAGES - len(WatchingClient.heard):
        print(f"{missing} pages never heard that {kind}", file=sys.stderr)
        return PATIENCE_S * 1000
    return (WatchingClient.heard[PAGES - 1] - began) * 1000


async def _held_ms(server: Server, told: Path) -> float:
    told.unlink(missing_ok=True)
    os.kill(server.pid, signal.SIGUSR1)
    while not told.exists():
        await asyncio.sleep(0.01)
    return float(told.read_text())


async def _across(bench: Bench) -> list[float]:
    """From a wrong code typed on a page of one process until a page of the other shows that an attempt is gone: in
    ms, with all that the one has to do before it tells."""
    async with servers.two(bench.core) as (both, _):
        typing, watching = [await PageClient.open(server.port) for server in both]
        found = [await _wrong_code(typing, watching, f"1540000{place:04d}") for place in range(ACROSS)]
        await typing.close()
        await watching.close()
    return found


async def _wrong_code(typing: PageClient, watching: PageClient, mobile: str) -> float:
    sent = (await typing.ask("sms.send", mobile=mobile, purpose="register"))["data"]
    await typing.state("delivered")
    seen = (await watching.ask("sms.watch", transaction=sent["transaction"]))["data"]
    form = {"mobile": mobile, "password": PASSWORD, "sms_code": "000000", "transaction": sent["transaction"]}
    began = perf_counter()
    asked = asyncio.create_task(typing.ask("user.register", **form))
    while seen["attempts_left"] == sent["attempts_left"] or seen["transaction"] != sent["transaction"]:
        seen = (await watching.next_event("sms.state"))["data"]
    took_ms = (perf_counter() - began) * 1000
    assert (await asked)["type"] == "error"
    return took_ms


def rows(last_ms: Sequence[float], held_ms: Sequence[float], across_ms: Sequence[float]) -> list[Row]:
    """The worst of all pushes."""
    what = f"a push to {PAGES:,} pages"
    return [
        Row(f"{what}: last one reached after", max(last_ms), "ms", target=targets.PUSH_LAST),
        Row(f"{what}: longest hold of the loop", max(held_ms), "ms", target=targets.PUSH_HOLD),
        Row(f"{what}: median of the longest holds", statistics.median(held_ms), "ms"),
        Row("a push across two processes, p99", load.percentile(across_ms, 99), "ms", target=targets.PUSH_ACROSS),
    ]

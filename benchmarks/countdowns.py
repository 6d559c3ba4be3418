"""Pages with a countdown each, made by an `sms.send` of each for a number of its own: how late the ticks come, and
what they cost. The interval is an hour instead of a minute, so that all run at once however long the sends take."""

import asyncio
import re
import time
from collections.abc import Iterable, Sequence

from benchmarks import load, messages, servers, targets
from benchmarks.clients import SocketClient
from benchmarks.pages import PAGES
from benchmarks.processes import REST_S
from benchmarks.rows import Row
from benchmarks.sends import SETTINGS
from benchmarks.turns import Bench

QUIET_S = 2
WATCHED_S = 20  # two looks of the service at all of them fall into it
_TICK = re.compile(rb'"remaining":(\d+),"resend_at":([\d.]+)')


class TickClient(SocketClient):
    """Notes when each tick came; what it says is read afterwards."""

    ticks: list[tuple[float, bytes]]
    moved_at: float

    def hear(self, push: bytes) -> None:
        if b'"countdown.tick"' in push:
            self.ticks.append((time.time(), push))
        else:
            TickClient.moved_at = time.time()


async def measure(bench: Bench) -> list[Row]:
    """Ours alone: no peer has such a thing."""
    settings = SETTINGS | {"SMS_INTERVAL_S": "3600", "SMS_EXPIRE_S": "3600"}
    async with servers.haoma(bench.core, **settings) as server:
        TickClient.ticks, TickClient.moved_at = [], time.time()
        pages = await load.pages(TickClient, server.port, PAGES, messages.sends())
        async with asyncio.timeout(REST_S):
            while time.time() < TickClient.moved_at + QUIET_S:  # SMS are still on their way
                await asyncio.sleep(QUIET_S / 10)
        TickClient.ticks, before = [], server.cpu_s()
        await asyncio.sleep(WATCHED_S)
        ticks, cpu_s = TickClient.ticks, server.cpu_s() - before
        await load.close(pages)
    return rows(len(ticks) / WATCHED_S / PAGES, lateness_ms(ticks), cpu_s / WATCHED_S)


def lateness_ms(ticks: Iterable[tuple[float, bytes]]) -> list[float]:
    """A tick is due where the seconds that it says are left are left; all clocks here are the machine's."""
    found = []
    for came, push in ticks:
        said = _TICK.search(push)
        assert said, push
        found.append((came - (float(said[2]) - int(said[1]))) * 1000)
    return found


def rows(ticks_each: float, late_ms: Sequence[float], core: float) -> list[Row]:
    """`ticks_each`: how many a page got in a second; those that came too late to be told are missing there."""
    what = f"{PAGES:,} running countdowns"
    return [
        Row(f"{what}: tick late by, p99", load.percentile(late_ms, 99), "ms", target=targets.TICK_LATE),
        Row(f"{what}: share of a core", core * 100, "%", target=targets.TICK_CORE),
        Row(f"{what}: tick late by, p50", load.percentile(late_ms, 50), "ms"),
        Row(f"{what}: of the ticks that were due, told", ticks_each * 100, "%"),
    ]

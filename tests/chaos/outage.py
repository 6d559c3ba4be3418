"""PV-8 in small: both vendors are away for a while. Who asks meanwhile is told how long to wait, and truly; what was
accepted drains at the vendors' rate afterwards; nothing else in the service feels it."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from tests.chaos.traffic import Ask, Breakers, Traffic, by_mobile, fall, rise
from tests.chaos.world import Server, Table, open_servers, open_stores, vendor_settings
from tests.vendors import AliyunStandIn, StandIn, YuntongxunStandIn

RATE = 10
PER_SECOND = 10
BURST = 100
WINDOW_S = 5
LATE = 2  # a message that the machine delays arrives together with the next ones
TRUE_S = 2.0  # a wait is told in whole seconds, and the next one to ask comes a moment later
CHECK_EVERY_S = 0.05


async def run(directory: Path, *, away_s: float, mode: str) -> Table:
    """A rush that fills the queue, the outage, and time to recover; sends all the while."""
    table = Table(f"both vendors away for {away_s:.0f} s at {PER_SECOND} sends/s, {RATE} SMS/s each: {mode}")
    async with AsyncExitStack() as stack:
        vendors = [await stack.enter_async_context(kind()) for kind in (YuntongxunStandIn, AliyunStandIn)]
        stores = await stack.enter_async_context(open_stores(directory))
        settings = stores | vendor_settings({each.name: each.port for each in vendors}, rate=RATE)
        servers = await stack.enter_async_context(open_servers(directory, 2, settings))
        traffic, others = Traffic(servers), Others(servers[0])
        breakers = await stack.enter_async_context(Breakers(servers[1], [each.name for each in vendors]))
        checking = asyncio.create_task(others.run())
        await traffic.run(BURST, BURST)
        for vendor in vendors:
            await fall(vendor, mode)
        await traffic.run(round(away_s * PER_SECOND), PER_SECOND)
        back_at = time.time()
        for vendor in vendors:
            await rise(vendor, mode)
        await traffic.run(round((away_s + 15) * PER_SECOND), PER_SECOND)
        await traffic.settle()
        others.enough.set()
        await checking
        _judge(table, traffic.asks, vendors, back_at)
        table.add("most jobs in the queue (metric)", breakers.deepest)
        others.judge(table)
    return table


class Others:
    """Somebody who only fills in the form."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._answers: list[tuple[int, float]] = []
        self.enough = asyncio.Event()

    async def run(self) -> None:
        """Ask again and again whether a number is free."""
        loop = asyncio.get_running_loop()
        while not self.enough.is_set():
            began = loop.time()
            answer = await self._server.rest.get("/user/mobile/15499999999/")
            self._answers.append((answer.status, loop.time() - began))
            await asyncio.sleep(CHECK_EVERY_S)

    def judge(self, table: Table) -> None:
        took = sorted(seconds for _, seconds in self._answers)
        failed = sum(status != 200 for status, _ in self._answers)
        table.require("other requests that failed", failed, holds=not failed)
        table.add("other requests, p99 (ms)", took[len(took) * 99 // 100] * 1000)


def _judge(table: Table, asks: list[Ask], vendors: list[StandIn], back_at: float) -> None:
    answers = Counter(ask.status for ask in asks)
    table.require("accepted", answers[202], holds=answers.keys() <= {202, 503})
    table.require("told to wait (503 sms_unavailable)", answers[503], holds=answers[503] > 0 and _all_named(asks))
    late_s = _told_too_little(asks)
    table.require("the last wait was too short by (s)", late_s, holds=late_s <= TRUE_S)
    states = Counter(ask.state.get("status") for ask in asks if ask.status == 202)
    arrived = by_mobile(*vendors)
    lost = sum(ask.state.get("status") == "accepted" and ask.mobile not in arrived for ask in asks)
    table.add("failed, as no vendor was left or the code too old", states["failed"])
    table.require("lost", lost, holds=not lost and states.keys() <= {"accepted", "failed"})
    for vendor in vendors:
        times = [taken.at for taken in vendor.taken]
        busiest = _most_within(times, WINDOW_S)
        table.add(f"most SMS in 1 s, {vendor.name}", _most_within(times, 1))
        table.require(f"most SMS in {WINDOW_S} s, {vendor.name}", busiest, holds=busiest <= RATE * WINDOW_S + LATE)
    drained_at = max(arrived[ask.mobile][-1].at for ask in asks if ask.at < back_at and ask.mobile in arrived)
    table.add("backlog drained after the return (s)", drained_at - back_at)


def _all_named(asks: list[Ask]) -> bool:
    return all(ask.body["error"]["code"] == "sms_unavailable" for ask in asks if ask.status == 503)


def _told_too_little(asks: list[Ask]) -> float:
    """How much longer than promised the last one who was told to wait would have had to wait."""
    last = max((ask for ask in asks if ask.status == 503), key=lambda ask: ask.at)
    due = last.at + last.body["error"]["params"]["retry_after"]
    return max(0.0, next(ask.at for ask in asks if ask.at > last.at) - due)


def _most_within(times: list[float], window_s: float) -> int:
    return max((sum(begin <= at < begin + window_s for at in times) for begin in times), default=0)

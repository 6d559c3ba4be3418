"""The first of two vendors dies in the middle of many sends. All arrive, through one of the two; a second SMS only
after an answer that got lost; the breaker opens, and closes by a probe when the vendor is back."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

from tests.chaos.traffic import Breakers, Traffic, by_mobile, fall, rise
from tests.chaos.world import Table, open_servers, open_stores, vendor_settings
from tests.vendors import AliyunStandIn, StandIn, Taken, YuntongxunStandIn

QUIET_S = 10.0  # PV-3 in docs/security.md
RATE = 200


async def run(directory: Path, *, sends: int, mode: str, per_second: float = 50) -> Table:
    """Half of the sends before its death, half after; then it comes back."""
    table = Table(f"vendor 1 dies in the middle of {sends} sends: {mode}")
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(YuntongxunStandIn())
        second = await stack.enter_async_context(AliyunStandIn())
        stores = await stack.enter_async_context(open_stores(directory))
        settings = stores | vendor_settings({each.name: each.port for each in (first, second)}, rate=RATE)
        servers = await stack.enter_async_context(open_servers(directory, 2, settings))
        traffic = Traffic(servers)
        breakers = await stack.enter_async_context(Breakers(servers[1], [first.name, second.name]))

        await traffic.run(sends // 2, per_second)
        await fall(first, mode)
        await traffic.run(sends - sends // 2, per_second)
        await breakers.until(first.name, is_open=True)
        await traffic.settle()
        _judge(table, traffic, first, second)
        await _come_back(table, traffic, breakers, first, mode)
        for vendor in (first, second):
            table.add(f"times the breaker of {vendor.name} opened (metric)", breakers.openings[vendor.name])
    return table


async def _come_back(table: Table, traffic: Traffic, breakers: Breakers, first: StandIn, mode: str) -> None:
    """Somebody has to ask for an SMS, or there is nothing to probe with."""
    await rise(first, mode)
    before, began = len(first.taken), asyncio.get_running_loop().time()
    probing = asyncio.create_task(traffic.run(60, 2))
    async with asyncio.timeout(30):
        await breakers.until(first.name, is_open=False)
    traffic.enough.set()
    await probing
    table.add("breaker closed after the return (s, metric)", asyncio.get_running_loop().time() - began)
    taken = len(first.taken) - before
    table.require("SMS through vendor 1 since its return", taken, holds=taken > 0)


def _judge(table: Table, traffic: Traffic, first: StandIn, second: StandIn) -> None:
    arrived = by_mobile(first, second)
    ends = Counter(_end(arrived.get(ask.mobile, [])) for ask in traffic.asks)
    refused = sum(ask.status != 202 for ask in traffic.asks)
    failed = sum(ask.state.get("status") == "failed" for ask in traffic.asks)
    table.require("acknowledged", len(traffic.asks) - refused, holds=refused == 0)
    for end in ("once, through vendor 1", "once, through vendor 2"):
        table.add(end, ends[end])
    table.add("a second SMS after a lost answer", ends["again"])
    table.require("a second SMS without reason", ends["twice"], holds=not ends["twice"])
    table.require("failed", failed, holds=not failed)
    table.require("lost", ends["lost"], holds=not ends["lost"])


def _end(taken: list[Taken]) -> str:
    """How one SMS arrived. A second one is excused by its distance: no answer that was heard leads to one."""
    if not taken:
        return "lost"
    if len(taken) == 1:
        return f"once, through vendor {1 if taken[0].message_id.startswith('yuntongxun') else 2}"
    late = all(later.at - earlier.at >= QUIET_S for earlier, later in pairwise(taken))
    return "again" if late else "twice"

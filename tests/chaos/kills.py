"""Servers are killed while SMS are on their way. Each send that was acknowledged must end as one SMS, or as a failure
that the page was told of; a second SMS only where a kill left it open whether there had been a first."""

import asyncio
import random
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPClientError

from tests.chaos.world import FINAL, Server, Table, VendorProcess, number, open_stores, vendor_settings
from tests.helpers import PageClient

SENDS = 3
LONGEST_LATENCY_S = 0.1
SETTLED_S = 60.0  # PR-1 in docs/security.md
QUIET_S = 10.0  # PV-3 in docs/security.md
LOOK_S = 0.5
NEAR_S = 1.0  # a kill that can have left the outcome of a call open was as near to it
Order = dict[str, Any]
BROKEN = ("lost", "failed, but not released", "failed, but sent")
GONE = (OSError, HTTPClientError)


@dataclass
class Send:
    """One acknowledged send; `killed_at`, the moment of the kill that followed it."""

    mobile: str
    transaction: str
    killed_at: float = 0
    settled_at: float = 0
    state: dict[str, Any] = field(default_factory=dict)


class Fleet:
    """Two servers, and a third that is just starting, to take the place of one that is killed."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        self._start = lambda: asyncio.create_task(Server.start(directory, settings))
        self._spare = self._start()
        self.up: list[Server] = []
        self.kills: list[float] = []

    async def open(self) -> None:
        while len(self.up) < 2:
            await self._promote()

    async def kill(self, server: Server) -> None:
        """`kill -9`, and a new one in its place."""
        self.up.remove(server)
        self.kills.append(time.time())
        await server.kill()
        await self._promote()

    async def aclose(self) -> None:
        await self._promote()
        self._spare.cancel()
        await asyncio.gather(self._spare, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in self.up))

    async def _promote(self) -> None:
        self.up.append(await self._spare)
        self._spare = self._start()


class Kills:
    """The rounds, and a watcher beside them that follows every send to its end."""

    def __init__(self, fleet: Fleet, vendor: VendorProcess, chance: random.Random, *, longest_wait_s: float) -> None:
        self._fleet = fleet
        self._vendor = vendor
        self._chance = chance
        self._longest_wait_s = longest_wait_s
        self._count = 0
        self._over_at = 0.0
        self.sends: list[Send] = []
        self.unacknowledged = 0

    async def round(self, count: int) -> None:
        """Sends, a moment, a kill - with one more send that may still be under way."""
        await self._vendor.behave(latency_s=self._chance.uniform(0, LONGEST_LATENCY_S))
        server, other = self._chance.sample(self._fleet.up, 2)
        way = self._by_socket if count % 2 else self._by_rest
        sent = await way(server, [self._number() for _ in range(SENDS)])
        victim = self._chance.choice([server, server, other])
        wait_s = self._chance.uniform(0, self._longest_wait_s)
        late_s = self._chance.uniform(0, 0.02)
        await asyncio.sleep(max(0, wait_s - late_s))
        late = asyncio.create_task(self._late(victim))
        await asyncio.sleep(min(wait_s, late_s))
        await self._fleet.kill(victim)
        sent += await late
        for send in sent:
            send.killed_at = self._fleet.kills[-1]
        self.sends += sent

    async def watch(self) -> None:
        """Look how far each send is, until the rounds are over and all are settled, or it takes too long."""
        while not self._over_at or (self._open_sends() and time.time() < self._over_at + SETTLED_S + 5):
            for send in self._open_sends():
                await self._look(send)
            await asyncio.sleep(LOOK_S)

    def over(self) -> None:
        """There are no more rounds."""
        self._over_at = time.time()

    def _open_sends(self) -> list[Send]:
        return [send for send in self.sends if not send.settled_at]

    async def _by_rest(self, server: Server, mobiles: list[str]) -> list[Send]:
        return await asyncio.gather(*(self._post(server, mobile) for mobile in mobiles))

    async def _by_socket(self, server: Server, mobiles: list[str]) -> list[Send]:
        page = await PageClient.open(server.port)
        frames = await asyncio.gather(*(page.ask("sms.send", mobile=each, purpose="register") for each in mobiles))
        assert {frame["type"] for frame in frames} == {"sms.queued"}, frames
        return [Send(mobile, frame["data"]["transaction"]) for mobile, frame in zip(mobiles, frames, strict=True)]

    async def _post(self, server: Server, mobile: str) -> Send:
        answer = await server.rest.post("/user/sms/", {"mobile": mobile, "purpose": "register"})
        assert answer.status == 202, answer
        return Send(mobile, answer.body["transaction"])

    async def _late(self, victim: Server) -> list[Send]:
        """A send whose request the kill may meet: then nothing was promised."""
        try:
            return [await self._post(victim, self._number())]
        except GONE:
            self.unacknowledged += 1
            return []

    async def _look(self, send: Send) -> None:
        try:
            answer = await self._fleet.up[0].rest.get(f"/user/sms/{send.transaction}/")
        except GONE:
            return
        send.state = answer.body
        if answer.status == 200 and answer.body["status"] in FINAL:
            send.settled_at = time.time()

    def _number(self) -> str:
        self._count += 1
        return number(self._count)


def judge(sends: list[Send], orders: list[Order], kills: list[float]) -> Table:
    """Compare what was promised with what the vendor got."""
    at_vendor: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        at_vendor[order["mobile"]].append(order)
    ends = {send.mobile: _end(send, at_vendor[send.mobile], kills) for send in sends}
    pairs = [pair for found in at_vendor.values() for pair in pairwise(found)]
    bad = [pair for pair in pairs if not _has_reason(*pair, kills)]
    gaps = [second["at"] - first["at"] for first, second in pairs]
    took = [send.settled_at - send.killed_at for send in sends if send.settled_at]
    found = list(ends.values())
    table = Table("kill -9 at a random moment after an acknowledged send")
    table.add("kills", len(kills))
    table.add("acknowledged", len(sends))
    table.add("one SMS", found.count("one"))
    table.add("second SMS with the same key", found.count("again"))
    table.add("failed, shown and released", found.count("failed"))
    for broken in BROKEN:
        table.require(broken, found.count(broken), holds=broken not in found)
    table.require("duplicate without reason", len(bad), holds=not bad)
    table.add("shortest time between two SMS (s)", min(gaps) if gaps else "-")
    longest = max(took, default=0.0)
    table.require("longest time to settle after a kill (s)", longest, holds=longest <= SETTLED_S)
    table.broken += [f"{mobile} {end}" for mobile, end in ends.items() if end in BROKEN]
    table.broken += [f"{first} then {second}" for first, second in bad]
    return table


def _end(send: Send, orders: list[Order], kills: list[float]) -> str:
    """What became of an acknowledged send."""
    if not send.settled_at:
        return "lost"
    if send.state["status"] != "failed":
        return ("one" if len(orders) == 1 else "again") if orders else "lost"
    if not send.state["can_resend"]:
        return "failed, but not released"
    # After two calls whose ends nobody heard, the page is told the worst.
    return "failed" if all(_met_a_kill(order, kills) for order in orders) else "failed, but sent"


def _has_reason(first: Order, second: Order, kills: list[float]) -> bool:
    """The same message to whoever knows its key, late enough, and after a call whose end nobody heard."""
    late = second["at"] - first["at"] >= QUIET_S
    return late and first["key"] == second["key"] and _met_a_kill(first, kills)


def _met_a_kill(order: Order, kills: list[float]) -> bool:
    return any(abs(kill - order["at"]) <= NEAR_S for kill in kills)


async def run(directory: Path, *, rounds: int, seed: int, longest_wait_s: float = 0.3) -> Table:
    """So many kills, each up to `longest_wait_s` after sends were acknowledged; every figure in one table."""
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(directory))
        vendor = await stack.enter_async_context(VendorProcess.open("yuntongxun"))
        fleet = Fleet(directory, stores | vendor_settings(vendor.ports, rate=1000))
        stack.push_async_callback(fleet.aclose)
        await fleet.open()
        kills = Kills(fleet, vendor, random.Random(seed), longest_wait_s=longest_wait_s)
        async with asyncio.TaskGroup() as group:
            group.create_task(kills.watch())
            for count in range(rounds):
                await kills.round(count)
            kills.over()
        table = judge(kills.sends, await vendor.sent(), fleet.kills)
        table.add("requests that a kill met, so nothing was promised", kills.unacknowledged)
    return table

"""People who ask for SMS at an even pace, and what became of each of them."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Self

from tests.chaos.world import FINAL, Server, number
from tests.vendors import StandIn, Taken

LOOK_S = 0.2


@dataclass
class Ask:
    """One request for an SMS: when, what was answered, and how it stands. `at`, in seconds since the epoch."""

    mobile: str
    at: float
    status: int
    body: dict[str, Any]
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        return self.status != 202 or self.state.get("status") in FINAL


class Traffic:
    """Asks one server after the other."""

    def __init__(self, servers: list[Server]) -> None:
        self._servers = servers
        self.asks: list[Ask] = []
        self.enough = asyncio.Event()

    async def run(self, count: int, per_second: float) -> None:
        """So many at an even pace, however long each answer takes, or until it is enough."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for place in range(count):
                await asyncio.sleep(began + place / per_second - loop.time())
                if self.enough.is_set():
                    break
                group.create_task(self._ask(len(self.asks) + 1, place))

    async def settle(self) -> None:
        """Until every accepted one has come to its end."""
        while waiting := [ask for ask in self.asks if not ask.settled]:
            for ask in waiting:
                rest = self._servers[0].rest
                ask.state = (await rest.get(f"/user/sms/{ask.body['transaction']}/")).body
            await asyncio.sleep(LOOK_S)

    async def _ask(self, count: int, place: int) -> None:
        ask = Ask(number(count), time.time(), 0, {})
        self.asks.append(ask)
        server = self._servers[place % len(self._servers)]
        answer = await server.rest.post("/user/sms/", {"mobile": ask.mobile, "purpose": "register"})
        ask.status, ask.body = answer.status, answer.body


class Breakers:
    """Watches the metric of each breaker, as a monitor would."""

    def __init__(self, server: Server, names: list[str]) -> None:
        self._server = server
        self._changed = asyncio.Condition()
        self._enough = False
        self.open = dict.fromkeys(names, False)
        self.openings = dict.fromkeys(names, 0)
        self.deepest = 0

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._enough = True
        await self._watching

    async def until(self, name: str, *, is_open: bool) -> None:
        """Until the metric says so."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.open[name] == is_open)

    async def _watch(self) -> None:
        while not self._enough:
            for name in self.open:
                is_open = await self._server.metric(f'haoma_provider_breaker_open{{provider="{name}"}}') == 1
                await self._note(name, is_open)
            states = ("waiting", "delayed", "working")
            depth = [await self._server.metric(f'haoma_jobs{{state="{state}"}}') for state in states]
            self.deepest = max(self.deepest, int(sum(found or 0 for found in depth)))
            await asyncio.sleep(LOOK_S)

    async def _note(self, name: str, is_open: bool) -> None:
        async with self._changed:
            self.openings[name] += is_open and not self.open[name]
            self.open[name] = is_open
            self._changed.notify_all()


async def fall(vendor: StandIn, mode: str) -> None:
    """The vendor dies: `refuse` connections, answer `500`, or `hang`."""
    if mode == "refuse":
        await vendor.stop()
    elif mode == "500":
        vendor.behave("status", status=500)
    else:
        vendor.behave("hang")


async def rise(vendor: StandIn, mode: str) -> None:
    """And is back, where it was."""
    if mode == "refuse":
        await vendor.start()
    vendor.behave()


def by_mobile(*vendors: StandIn) -> dict[str, list[Taken]]:
    """What all vendors took, in the order of time."""
    found: dict[str, list[Taken]] = {}
    for taken in sorted((taken for vendor in vendors for taken in vendor.taken), key=lambda taken: taken.at):
        found.setdefault(taken.mobile, []).append(taken)
    return found

"""Are the stores there? Asked every second, told to every page when it changes."""

import asyncio
from collections.abc import Awaitable, Callable

from server.clock import Clock
from server.errors import StoreUnavailable
from server.logs import get_log
from server.metrics import Metrics
from server.tasks import Tasks

_log = get_log(__name__)
PROBE_S = 1
Probe = Callable[[], Awaitable[object]]


class HealthService:
    """Readiness of this process."""

    def __init__(self, *, probes: dict[str, Probe], metrics: Metrics, clock: Clock) -> None:
        self._probes = probes
        self._metrics = metrics
        self._tasks = Tasks(clock)
        self._up = dict.fromkeys(probes, True)
        self._listeners: list[Callable[[str, str], None]] = []
        self.draining = False

    async def start(self) -> None:
        """Begin to probe."""
        for name in self._probes:
            self._tasks.keep(f"health.{name}", lambda name=name: self._probe(name), every_s=PROBE_S)  # type: ignore[misc]

    async def aclose(self) -> None:
        """Stop probing."""
        await self._tasks.aclose()

    def on_change(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener("degraded" | "restored", store)` at each change."""
        self._listeners.append(listener)

    def degraded(self) -> list[str]:
        """The stores that did not answer when last asked."""
        return [name for name, up in self._up.items() if not up]

    async def ready(self) -> list[str]:
        """What stands against serving now, asked afresh; empty is ready."""
        await asyncio.gather(*map(self._probe, self._probes))
        return [*self.degraded(), *(["draining"] if self.draining else [])]

    async def _probe(self, name: str) -> None:
        try:
            up = await self._probes[name]() is not False
        except StoreUnavailable:
            up = False
        self._metrics.stores.labels(name).set(up)
        if up != self._up[name]:
            self._up[name] = up
            _log.warning("store.restored" if up else "store.degraded", store=name)
            for listener in self._listeners:
                listener("restored" if up else "degraded", name)

"""The sandbox's panel: which faults are played, and what was tried. Development only."""

from collections.abc import Callable
from typing import Any

from server.clock import Clock
from server.errors import StoreUnavailable
from server.events import START_PATIENCE_S, EventBus, topics
from server.sms.faults import NO_FAULT, Tried
from server.sms.provider import Sms
from server.stores.sandbox import SandboxStore
from server.tasks import Tasks

Listener = Callable[[str, dict[str, Any]], None]


class SandboxService:
    """One panel for all processes; each open one sees every change."""

    def __init__(self, *, store: SandboxStore, events: EventBus, clock: Clock) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._tasks = Tasks(clock)
        self._listeners: list[Listener] = []

    async def start(self) -> None:
        """Begin to hear of what any process does."""
        await self._events.subscribe(topics.SANDBOX, self._on_event, patience_s=START_PATIENCE_S)

    async def aclose(self) -> None:
        """Tell nobody any more."""
        await self._tasks.aclose()

    def listen(self, listener: Listener) -> None:
        """Call `listener("sandbox.state" | "sandbox.tried", data)` at each change."""
        self._listeners.append(listener)

    def forget(self, listener: Listener) -> None:
        """End what `listen` began."""
        self._listeners.remove(listener)

    async def set(self, fault: str, count: int | None) -> dict[str, Any]:
        """Play `fault` to the next `count` messages, or until another one is set; answers `state()`."""
        if fault == NO_FAULT:
            await self._store.clear_faults()
        else:
            await self._store.set_faults(fault, count)
        await self._events.publish(topics.SANDBOX)
        return await self.state()

    async def state(self) -> dict[str, Any]:
        """What the panel plays, and how many messages are still to meet it: None for all."""
        fault, left = await self._store.get_faults()
        return {"fault": fault or NO_FAULT, "left": left}

    async def tries(self) -> list[dict[str, Any]]:
        """What was tried, newest first."""
        return await self._store.tries()

    async def meet(self, sms: Sms, provider: str, by_number: str | None) -> Tried:
        """What the next try of this message meets. The panel goes before the number."""
        fault, attempt, took = await self._store.meet(sms.id, by_number)
        if took:
            await self._events.publish(topics.SANDBOX)
        return Tried(provider, attempt, fault)

    async def note(self, sms: Sms, tried: Tried, outcome: str) -> None:
        """Keep what came of a try and show it on the open panels."""
        entry = {
            "mobile": sms.mobile,
            "provider": tried.provider,
            "attempt": tried.attempt,
            "fault": tried.fault,
            "outcome": outcome,
            "at": self._clock.now(),
        }
        await self._store.note(entry)
        await self._events.publish(topics.SANDBOX, tried=entry)

    def _on_event(self, _: str, data: dict[str, Any]) -> None:
        if "tried" in data:
            self._tell("sandbox.tried", data["tried"])
        elif self._listeners:
            self._tasks.start(self._tell_state())

    async def _tell_state(self) -> None:
        """Read it afresh: messages overtake each other."""
        try:
            self._tell("sandbox.state", await self.state())
        except StoreUnavailable:
            pass  # The panel shows what it knew; the next change is told again.

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        for listener in [*self._listeners]:
            listener(kind, data)

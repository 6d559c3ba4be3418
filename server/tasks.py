"""Background tasks that are watched over: none dies unseen, none is forgotten, all end with their owner."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from server.clock import Clock
from server.logs import get_log

_log = get_log(__name__)


class Tasks:
    """Strong references to the tasks of one owner."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` once; an exception is logged, not lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return task

    def keep(self, name: str, step: Callable[[], Awaitable[None]], *, every_s: float) -> asyncio.Task[None]:
        """Run `step` again and again, `every_s` apart; a failed step is logged and does not end the row."""
        return self.start(self._repeat(name, step, every_s))

    async def _repeat(self, name: str, step: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            try:
                await step()
            except Exception as fault:
                _log.warning("task.step_failed", task=name, why=repr(fault))
                await self._clock.sleep(max(every_s, 0.5))
                continue
            await self._clock.sleep(every_s)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            _log.error("task.failed", task=task.get_coro().__qualname__, exc_info=fault)  # type: ignore[union-attr]

    async def aclose(self) -> None:
        """Cancel what runs and wait for its end. A library may swallow a cancellation that comes in the same
        turn as its answer, so it is said again until it was heard."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=0.2)

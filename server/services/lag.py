"""How late the loop is: measured all the time, and told with the stack when something holds it."""

import asyncio
import sys
import threading
import time
import traceback

from server.clock import Clock
from server.logs import get_log
from server.metrics import Metrics
from server.tasks import Tasks

_log = get_log(__name__)
STEP_S = 0.05
HELD_S = 0.1
_STACK_MAX = 4000


class LagService:
    """A task that wants to run every STEP_S, and a thread that looks whether it did (PR-5 in docs/security.md)."""

    def __init__(self, *, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._tasks = Tasks(clock)
        self._ran_at = time.monotonic()
        self._worst_s = 0.0
        self._stopped = threading.Event()

    async def start(self) -> None:
        """Begin to measure."""
        self._thread_id = threading.get_ident()
        self._ran_at = time.monotonic()
        self._tasks.start(self._run())
        threading.Thread(target=self._watch, name="loop-lag", daemon=True).start()

    async def aclose(self) -> None:
        """Stop measuring."""
        self._stopped.set()
        await self._tasks.aclose()

    def worst_ms(self) -> float:
        """The worst lateness since this was last asked."""
        worst, self._worst_s = self._worst_s, 0.0
        return round(worst * 1000, 1)

    async def _run(self) -> None:
        while True:
            due = time.monotonic() + STEP_S
            await asyncio.sleep(STEP_S)
            self._ran_at = time.monotonic()
            late_s = max(0.0, self._ran_at - due)
            self._worst_s = max(self._worst_s, late_s)
            self._metrics.lag.observe(late_s)

    def _watch(self) -> None:
        """In a thread of its own: a loop that is held cannot tell by what."""
        told = 0.0
        while not self._stopped.wait(STEP_S):
            ran_at = self._ran_at
            if time.monotonic() - ran_at - STEP_S > HELD_S and ran_at != told:
                told = ran_at  # Once each time that it is held.
                frame = sys._current_frames().get(self._thread_id)
                stack = "".join(traceback.format_stack(frame)) if frame else ""
                _log.warning("loop.held", stack=stack[-_STACK_MAX:])

"""The worker: takes jobs from the durable queue, one asyncio task each, and never loses one.

A job is handed out at least once, so what it does must bear being done again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from server.clock import Clock
from server.errors import StoreUnavailable
from server.logs import get_log
from server.stores.jobs import Claim, JobStore
from server.tasks import Tasks

_log = get_log(__name__)
TEND_S = 1
Job = dict[str, str]


class JobFailed(Exception):
    """The job has ended in failure and must not be tried again; the message is the reason for the dead letter."""


class JobDelayed(Exception):
    """The job must be tried again, but not before `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"in {wait_s:.1f} s")
        self.wait_s = wait_s


class QueueMeter(Protocol):
    """Where the figures of a queue go."""

    def show_queue(self, waiting: int, delayed: int, working: int, oldest_s: float) -> None:
        """The queue as it stands, the same in every process."""

    def note_dead(self, reason: str) -> None:
        """A job was given up."""


class Outside:
    """Counts the jobs that wait for somebody else, a vendor above all: those take no turn of our loop."""

    def __init__(self) -> None:
        self.count = 0
        self.changed: Callable[[], None] = lambda: None

    def __enter__(self) -> None:
        self.count += 1
        self.changed()

    def __exit__(self, *_: object) -> None:
        self.count -= 1


class Worker:
    """Runs `work(job)` for each job, at most `concurrency` at once; `give_up(job)` after `max_tries` crashes,
    `lapsed(intent)` for each job that was announced and never came. At most `busy_max` are not `outside`."""

    def __init__(
        self,
        store: JobStore,
        *,
        work: Callable[[Job], Awaitable[None]],
        give_up: Callable[[Job], Awaitable[None]],
        lapsed: Callable[[str], Awaitable[None]],
        outside: Outside,
        clock: Clock,
        metrics: QueueMeter,
        concurrency: int = 256,
        busy_max: int = 32,
        max_tries: int = 5,
    ) -> None:
        self._store = store
        self._work = work
        self._give_up = give_up
        self._lapsed = lapsed
        self._clock = clock
        self._metrics = metrics
        self._outside = outside
        self._concurrency = concurrency
        self._busy_max = busy_max
        self._worth_asking = min(concurrency, busy_max // 4)
        self._max_tries = max_tries
        self._supervisor = Tasks(clock)
        self._leases = Tasks(clock)
        self._jobs = Tasks(clock)
        self._mine: dict[str, Claim] = {}
        self._room = asyncio.Event()
        self._sooner = asyncio.Event()
        self._idle = asyncio.Event()
        self._room.set()
        self._idle.set()
        outside.changed = self._room.set

    async def start(self) -> None:
        """Begin to take jobs."""
        await self._store.prepare()
        self._supervisor.keep("jobs.take", self._take, every_s=0.1)
        self._leases.keep("jobs.renew", self._renew, every_s=self._store.lease_s / 3)
        self._supervisor.keep("jobs.adopt", self._adopt, every_s=self._store.lease_s / 5)
        self._supervisor.keep("jobs.tend", self._tend, every_s=0)
        self._supervisor.keep("jobs.sweep", self._store.forget_dead_consumers, every_s=600)

    async def aclose(self, grace_s: float = 20) -> None:
        """Take no more, give running jobs `grace_s`, hand the rest back to the queue."""
        await self._supervisor.aclose()
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("jobs.handed_back", count=len(self._mine))
        await self._leases.aclose()
        await self._jobs.aclose()
        try:
            for claim in [*self._mine.values()]:
                await self._store.hand_back(claim)
            await self._store.leave()
        except StoreUnavailable as fault:
            _log.warning("jobs.leases_left_to_lapse", why=str(fault))

    async def _take(self) -> None:
        async for claim in self._store.claims(self._free):
            self._begin(claim)

    async def _free(self) -> int:
        """A job that waits for a vendor costs nothing; of those that keep the loop busy there are few at a time, so
        that a long queue is worked off at full speed and nobody's page has to wait for it."""
        while (free := self._room_left()) < self._worth_asking:
            self._room.clear()
            await self._room.wait()
        return free

    def _room_left(self) -> int:
        mine = len(self._mine)
        return min(self._concurrency - mine, self._busy_max + self._outside.count - mine)

    async def _renew(self) -> None:
        await self._store.renew([*self._mine.values()])

    async def _adopt(self) -> None:
        """Also runs on an idle queue: a dead worker's jobs must not wait for the next visitor."""
        if (free := self._room_left()) > 0:
            for claim in await self._store.orphans(free):
                if claim.entry not in self._mine:
                    _log.info("job.adopted", job=claim.job_id)
                    self._begin(claim)

    async def _tend(self) -> None:
        """At least once a second, and exactly when the next delayed job is due."""
        self._sooner.clear()
        stands = await self._store.tend()
        self._metrics.show_queue(stands.depth, stands.delayed, stands.working, stands.oldest_s)
        await asyncio.gather(*map(self._lapsed, stands.lapsed))  # a MongoDB that is away keeps each for a second
        wait_s = TEND_S if stands.next_due_s is None else min(TEND_S, stands.next_due_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(wait_s, 0.001)):
                await self._sooner.wait()

    def _begin(self, claim: Claim) -> None:
        self._mine[claim.entry] = claim
        self._idle.clear()
        self._jobs.start(self._run(claim))

    async def _run(self, claim: Claim) -> None:
        try:
            await self._run_once(claim)
        except asyncio.CancelledError:
            raise  # Still in `_mine`: it will be handed back.
        except Exception as fault:
            # Not acknowledged: the lease lapses and the job is tried again, here or elsewhere.
            _log.warning("job.crashed", job=claim.job_id, why=repr(fault))
        self._mine.pop(claim.entry, None)
        self._room.set()
        if not self._mine:
            self._idle.set()

    async def _run_once(self, claim: Claim) -> None:
        job = await self._store.begin(claim)
        if not job:
            await self._store.finish(claim, dead="no record")
            return
        if int(job["tries"]) > self._max_tries:
            await self._give_up(job)
            await self._store.finish(claim, dead="tried too often")
            self._metrics.note_dead("tried too often")
            return
        try:
            await self._work(job)
        except JobDelayed as fault:
            await self._store.hand_back(claim, after_s=fault.wait_s)
            self._sooner.set()
            return
        except JobFailed as fault:
            await self._store.finish(claim, dead=str(fault) or "failed")
            self._metrics.note_dead(str(fault))
            return
        await self._store.finish(claim)

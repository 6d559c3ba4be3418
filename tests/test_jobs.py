"""The queue loses nothing, and gives up in words."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from server.jobs import Job, JobFailed, Outside, Worker
from server.metrics import Metrics
from server.stores.jobs import Claim, JobStore
from tests.conftest import Stack
from tests.helpers import MOBILE

pytestmark = pytest.mark.gen_test(timeout=30)
LEASE_S = 0.3


class Work:
    """What the workers of a test do, and a record of it."""

    def __init__(self, *steps: Callable[[Job], Awaitable[None]]) -> None:
        self._steps = [*steps]
        self.done: list[str] = []
        self.given_up: list[str] = []
        self.lapsed: list[str] = []
        self._changed = asyncio.Condition()

    async def run(self, job: Job) -> None:
        if self._steps:
            await self._steps.pop(0)(job)
        await self._note(self.done, job)

    async def give_up(self, job: Job) -> None:
        await self._note(self.given_up, job)

    async def lapse(self, intent: str) -> None:
        self.lapsed.append(intent)

    async def _note(self, where: list[str], job: Job) -> None:
        async with self._changed:
            where.append(job["id"])
            self._changed.notify_all()

    async def until(self, count: int) -> None:
        async with self._changed, asyncio.timeout(10):
            await self._changed.wait_for(lambda: len(self.done) + len(self.given_up) >= count)


def _store(stack: Stack) -> JobStore:
    """A queue of our own, of which the service's worker knows nothing."""
    return JobStore(stack.redis, queue="test", lease_s=LEASE_S)


@asynccontextmanager
async def worker(stack: Stack, work: Work, *, grace_s: float = 0.2, **options: int) -> AsyncIterator[JobStore]:
    store = _store(stack)
    running = Worker(
        store,
        work=work.run,
        give_up=work.give_up,
        lapsed=work.lapse,
        outside=Outside(),
        clock=stack.clock,
        metrics=Metrics(),
        **options,  # type: ignore[arg-type]
    )
    await running.start()
    try:
        yield store
    finally:
        await running.aclose(grace_s)


async def _empty(stack: Stack) -> bool:
    client = stack.redis.client
    pending = await client.xpending("jobs:{test}:stream", "workers")
    return await client.xlen("jobs:{test}:stream") == 0 == pending["pending"]


async def _until_empty(stack: Stack) -> None:
    async with asyncio.timeout(10):
        while not await _empty(stack):
            pass


async def test_a_job_is_done_once_however_often_it_is_put_in_line(stack: Stack) -> None:
    """Its id is its identity."""
    work = Work()
    async with worker(stack, work) as store:
        assert await store.enqueue("j1", {"mobile": MOBILE})
        assert not await store.enqueue("j1", {"mobile": MOBILE})
        await store.enqueue("j2", {"mobile": MOBILE})
        await work.until(2)
        await _until_empty(stack)
    assert sorted(work.done) == ["j1", "j2"]
    assert "mobile" not in await stack.redis.client.hgetall("jobs:{test}:job:j1")


async def test_a_job_of_a_dead_worker_is_adopted_when_its_lease_lapses(stack: Stack) -> None:
    """Also on a queue on which nothing else happens."""
    dead = _store(stack)
    await dead.prepare()
    await dead.enqueue("j1", {})
    (claim,) = [one async for one in _first(dead)]
    work = Work()
    async with worker(stack, work):
        await work.until(1)
        await _until_empty(stack)
    assert not await dead.finish(claim), "who lost a job can no longer end it"


async def test_orphans_are_found_behind_jobs_that_others_work_on(stack: Stack) -> None:
    """Also by a worker that has room for one job only, where a look covers ten."""
    dead, busy, other = (_store(stack) for _ in range(3))
    await busy.prepare()
    working = []
    for number in range(25):
        await busy.enqueue(f"j{number:02}", {})
        working += [one async for one in _first(dead if number == 24 else busy)]
    await stack.clock.sleep(LEASE_S)
    await busy.renew(working[:-1])
    assert await other.orphans(1) == working[-1:]


async def test_a_lease_that_was_lost_is_not_taken_back(stack: Stack) -> None:
    """Its worker was frozen for a while. Whoever adopted the job ends it."""
    frozen, other = _store(stack), _store(stack)
    await frozen.prepare()
    await frozen.enqueue("j1", {})
    (claim,) = [one async for one in _first(frozen)]
    await stack.clock.sleep(LEASE_S)
    while not (adopted := await other.orphans(1)):
        pass
    await frozen.renew([claim])
    assert await other.finish(adopted[0])


async def test_a_lease_is_renewed_while_the_work_lasts(stack: Stack) -> None:
    """Longer than the lease, with an idle second worker beside it: still done once."""
    gate = asyncio.Event()

    async def wait(_: Job) -> None:
        await gate.wait()

    work = Work(wait)
    async with worker(stack, work) as store, worker(stack, work):
        await store.enqueue("j1", {})
        await stack.clock.sleep(LEASE_S * 4)
        gate.set()
        await work.until(1)
        await _until_empty(stack)
    assert work.done == ["j1"]


async def test_a_job_that_crashes_is_tried_again_and_in_the_end_given_up(stack: Stack) -> None:
    """Then it is kept aside with its reason, and whoever waits for it is told."""

    async def crash(_: Job) -> None:
        raise RuntimeError("boom")

    work = Work(crash, crash, crash)
    async with worker(stack, work, max_tries=2) as store:
        await store.enqueue("j1", {})
        await work.until(1)
        await _until_empty(stack)
    assert (work.done, work.given_up) == ([], ["j1"])
    ((_, letter),) = await stack.redis.client.xrange("jobs:{test}:dead")
    assert (letter["job"], letter["reason"]) == ("j1", "tried too often")
    assert int(letter["age_ms"]) > 0


async def test_a_job_that_failed_for_good_is_not_tried_again(stack: Stack) -> None:
    """Its reason stands with the dead letters."""

    async def fail(_: Job) -> None:
        raise JobFailed("provider_failed")

    work = Work(fail)
    async with worker(stack, work) as store:
        await store.enqueue("j1", {})
        await _until_empty(stack)
    ((_, letter),) = await stack.redis.client.xrange("jobs:{test}:dead")
    assert (letter["job"], letter["reason"]) == ("j1", "provider_failed")
    assert work.done == []


async def test_an_entry_without_a_record_goes_to_the_dead_letters(stack: Stack) -> None:
    """Not round and round."""
    work = Work()
    async with worker(stack, work):
        await stack.redis.client.xadd("jobs:{test}:stream", {"nonsense": "1"})
        await _until_empty(stack)
    assert await stack.redis.client.xlen("jobs:{test}:dead") == 1


async def test_sends_whose_jobs_never_came_are_seen_to_together(stack: Stack) -> None:
    """One that has to wait for a store holds up no other, nor the jobs whose time has come."""
    both, seen = asyncio.Barrier(2), asyncio.Event()

    async def lapse(_: str) -> None:
        await both.wait()
        seen.set()

    work = Work()
    work.lapse = lapse  # type: ignore[method-assign]
    for intent in ("j1 a x", "j2 b x"):
        await _store(stack).admit(intent, lapse_s=0, providers=[])
    async with worker(stack, work), asyncio.timeout(10):
        await seen.wait()


async def test_pr_3_what_is_not_finished_at_the_stop_is_handed_back_at_once(stack: Stack) -> None:
    """Another worker need not wait for the lease."""
    never = asyncio.Event()

    async def wait(_: Job) -> None:
        await never.wait()

    first, second = Work(wait), Work()
    async with worker(stack, first) as store:
        await store.enqueue("j1", {})
        async with asyncio.timeout(5):
            while (await stack.redis.client.hget("jobs:{test}:job:j1", "status")) != "working":
                pass
    assert (await stack.redis.client.xpending("jobs:{test}:stream", "workers"))["pending"] == 0
    async with worker(stack, second):
        await second.until(1)


async def test_pr_3_a_lease_is_renewed_also_while_the_last_jobs_are_finished(stack: Stack) -> None:
    """Who is about to stop has not lost what it is still working on."""
    started, gate = asyncio.Event(), asyncio.Event()

    async def wait(_: Job) -> None:
        started.set()
        await gate.wait()

    async def adopt() -> list[Claim]:
        await stack.clock.sleep(LEASE_S * 4)
        found = await _store(stack).orphans(1)
        gate.set()
        return found

    work = Work(wait)
    async with worker(stack, work, grace_s=20) as store:
        await store.enqueue("j1", {})
        await started.wait()
        adopting = asyncio.create_task(adopt())
    assert await adopting == []
    assert work.done == ["j1"]


async def test_no_more_jobs_are_taken_than_there_is_room_for(stack: Stack) -> None:
    """The others stay in line for other processes."""
    gate, started = asyncio.Event(), []

    async def wait(job: Job) -> None:
        started.append(job["id"])
        await gate.wait()

    work = Work(*[wait] * 10)
    async with worker(stack, work, concurrency=3) as store:
        for number in range(10):
            await store.enqueue(f"j{number}", {})
        await stack.clock.sleep(LEASE_S)
        assert len(started) == 3
        gate.set()
        await work.until(10)
        await _until_empty(stack)
    assert len(set(work.done)) == 10


async def _first(store: JobStore) -> AsyncIterator[Claim]:
    async def one() -> int:
        return 1

    claims = store.claims(one)
    async for claim in claims:
        yield claim
        break
    await claims.aclose()  # type: ignore[attr-defined]

"""Background work is watched over: what fails is seen, and harms nobody else."""

import asyncio
import gc
import io

import pytest

from server.tasks import Tasks
from tests.conftest import Stack
from tests.helpers import MOBILE, FakeClock

pytestmark = pytest.mark.gen_test(timeout=20)


async def test_pr_6_a_failed_step_does_not_end_the_row(logged: io.StringIO) -> None:
    """It is logged, and the next one comes."""
    tasks, turns = Tasks(FakeClock()), asyncio.Queue[int]()

    async def step() -> None:
        turns.put_nowait(1)
        raise RuntimeError("boom")

    tasks.keep("rows", step, every_s=0)
    for _ in range(2):
        await turns.get()
    await tasks.aclose()
    assert "task.step_failed" in logged.getvalue()


async def test_pr_6_an_exception_in_a_task_is_logged_not_lost(logged: io.StringIO) -> None:
    """And never "was never retrieved"."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    tasks = Tasks(FakeClock())

    async def fail() -> None:
        raise RuntimeError("boom")

    await asyncio.wait([tasks.start(fail())])
    await tasks.aclose()
    gc.collect()
    assert "task.failed" in logged.getvalue()
    assert complaints == []


async def test_a_task_that_misses_its_cancellation_is_told_again() -> None:
    """A library that swallows one cancellation does not keep the service from ending."""
    tasks, swallowed = Tasks(FakeClock()), []

    async def deaf_once() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(1)
                if len(swallowed) > 1:
                    raise

    tasks.start(deaf_once())
    await asyncio.sleep(0)
    await tasks.aclose()
    assert len(swallowed) == 2


async def test_pr_6_a_failing_listener_does_not_keep_events_from_others(stack: Stack) -> None:
    """The page still hears."""
    page = await stack.page()
    await page.ask("mobile.check", mobile=MOBILE)
    events = stack.services.accounts._events

    def fail(topic: str, data: dict[str, object]) -> None:
        raise RuntimeError("boom")

    events._listeners["events:mobiles"].insert(0, fail)
    await events.publish("events:mobiles", kind="mobile.taken", mobile=MOBILE)
    assert (await page.next_event("mobile.taken"))["data"] == {"mobile": MOBILE}


async def test_pr_6_an_operation_that_breaks_answers_and_keeps_its_connection(stack: Stack) -> None:
    """500 and nothing more, no slot lost, and the next message is answered."""

    async def fail(_: object) -> set[str]:
        raise RuntimeError("secret detail")

    real = stack.services.mobiles.surely_free
    stack.services.mobiles.surely_free = fail  # type: ignore[method-assign]
    page, rest = await stack.page(), stack.rest()
    broken = await page.ask("mobile.check", mobile=MOBILE)
    assert broken["data"]["code"] == "internal_error"
    assert "secret" not in str(broken)
    answer = await rest.get(f"/user/mobile/{MOBILE}/")
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    stack.services.mobiles.surely_free = real  # type: ignore[method-assign]
    assert (await page.ask("mobile.check", mobile=MOBILE))["data"]["available"] is True
    await asyncio.wait_for(stack.dispatcher.idle(), 1)

"""Many time limits under one timer keep what asyncio.timeout promises."""

import asyncio

import pytest

from server.deadlines import Deadlines

pytestmark = pytest.mark.gen_test(timeout=20)


async def test_what_takes_too_long_is_cancelled_and_times_out() -> None:
    """The body hears of it, the caller gets TimeoutError, and nothing of the cancellation is left."""
    with pytest.raises(TimeoutError):
        await _wait(Deadlines(), 0.01)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_ends_in_time_is_left_alone() -> None:
    """Also while others run out of theirs, before and after it."""
    deadlines = Deadlines()
    late = [asyncio.create_task(_wait(deadlines, seconds)) for seconds in (0.01, 0.01)]
    with deadlines.within(60):
        outcomes = await asyncio.gather(*late, return_exceptions=True)
    assert [type(one) for one in outcomes] == [TimeoutError, TimeoutError]


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    """It is not taken for the limit's, even if that runs out at the same moment."""
    deadlines = Deadlines()
    for seconds in (60.0, 0.0):
        task = asyncio.create_task(_wait(deadlines, seconds))
        await asyncio.sleep(0)
        task.cancel()
        if not seconds:
            for deadline in [*deadlines._running]:
                deadline.expire()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_an_exception_of_the_body_comes_through() -> None:
    """And a limit that has ended is looked after no more."""
    deadlines = Deadlines()
    with pytest.raises(KeyError), deadlines.within(60):
        raise KeyError
    assert not deadlines._running


async def _wait(deadlines: Deadlines, seconds: float) -> None:
    with deadlines.within(seconds):
        await asyncio.Event().wait()

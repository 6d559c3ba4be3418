"""All that is asked in one turn of the loop is answered together, and each as if it were alone."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.caller import Caller
from server.errors import AppError
from server.services.questions import MOST_TOGETHER, Question
from tests.conftest import Stack
from tests.helpers import MOBILE
from tests.people import sign_up

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]
CALLER = Caller(address="203.0.113.7", request_id="r")


async def steps_run(stack: Stack) -> int:
    """How many calls of a script Redis has seen."""
    return int((await stack.redis.call("INFO", "commandstats"))["cmdstat_evalsha"]["calls"])


async def ask(stack: Stack, mobiles: list[str], caller: Caller = CALLER) -> list[Any]:
    """All in one turn."""
    questions = (stack.services.questions.answer(caller, mobile, captcha_passed=True) for mobile in mobiles)
    return await asyncio.gather(*questions, return_exceptions=True)


async def test_the_questions_of_one_turn_are_asked_together(start: Start) -> None:
    """One call for all limits and one for all numbers, and a few that others make meanwhile."""
    stack = await start(LIMITS="observe")
    mobiles = [f"154001380{number:02}" for number in range(40)]
    made = stack.services.metrics.registry_blocks.labels("made")
    while not made._value.get():  # Redis gets to know the block.
        await ask(stack, mobiles[:1])
    before = await steps_run(stack)
    assert await ask(stack, mobiles) == [True] * 40
    assert 2 <= await steps_run(stack) - before < 10


async def test_each_gets_its_own_answer(stack: Stack) -> None:
    """Taken, free, and refused, all in one turn and in the order of asking."""
    await sign_up(stack)
    limit = stack.settings.limit_rules.check_address_minute
    numbers = [MOBILE, "15400138001"] * limit * 3
    found = await ask(stack, numbers)
    told = [one.code if isinstance(one, AppError) else one for one in found]
    assert told[:4] == [False, True, False, True]
    assert told.count("rate_limited") > len(told) / 10
    assert all(one in ("rate_limited", bool(at % 2)) for at, one in enumerate(told))


async def test_a_page_that_cannot_be_told_keeps_no_other_waiting(stack: Stack, logged: io.StringIO) -> None:
    """What goes wrong there is logged."""
    heard: list[object] = []

    def fail(_: object) -> None:
        raise RuntimeError("boom")

    ended = asyncio.Event()
    for done in (fail, heard.append, lambda _: ended.set()):
        stack.services.questions.ask(Question(CALLER, MOBILE, True, done))
    await ended.wait()
    assert heard == [True]
    assert "question.not_told" in logged.getvalue()


async def test_a_crowd_is_answered_in_parts(start: Start) -> None:
    """So that answering it does not hold the loop for all the others."""
    stack = await start(LIMITS="observe")
    found = await ask(stack, ["15400138000"] * (2 * MOST_TOGETHER + 1))
    assert found == [True] * (2 * MOST_TOGETHER + 1)


async def test_who_is_refused_watches_nothing(start: Start) -> None:
    """Or a refused question would be answered by what is pushed later."""
    stack = await start(CAPTCHA_PROVIDER="altcha", LIMIT_CHECK_NUMBERS="3")
    page = await stack.page()
    answers = [await page.ask("mobile.check", mobile=f"1540013800{number}") for number in (1, 3, 5, 7)]
    assert [answer["data"].get("available") for answer in answers[:3]] == [True] * 3
    assert answers[3]["data"]["code"] == "captcha_required"
    assert not stack.services.mobiles._watched

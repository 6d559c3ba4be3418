"""What becomes of an SMS when providers do their worst. The rules are those of docs/delivery.md."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.errors import StoreUnavailable
from server.sms.router import Route
from server.stores.codes import CodeRules, CodeStore
from server.stores.jobs import QUEUE_MAX
from server.stores.providers import Candidate
from tests.conftest import Stack
from tests.helpers import MOBILE, PageClient, ScriptedProvider

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]


def pair(**options: Any) -> tuple[ScriptedProvider, ScriptedProvider, list[Route]]:
    """Two providers in order."""
    first, second = ScriptedProvider("first"), ScriptedProvider("second")
    return first, second, [Route(first, rate=1000, **options), Route(second, rate=1000)]


async def send(page: PageClient, mobile: str = MOBILE, **more: Any) -> dict[str, Any]:
    answer = await page.ask("sms.send", mobile=mobile, purpose="register", **more)
    assert answer["type"] == "sms.queued", answer
    return dict(answer["data"])


async def until_delayed(stack: Stack) -> None:
    """Until a job waits for its time."""
    async with asyncio.timeout(10):
        while await stack.redis.call("ZCARD", "jobs:{sms}:delayed") == 0:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", ["config", "limit_service"])
async def test_pv_1_the_next_provider_is_asked_at_once_when_the_account_is_at_fault(start: Start, kind: str) -> None:
    """A wrong key or an empty balance does not mend itself in a second."""
    first, second, routes = pair()
    first.refuse(kind)
    stack = await start(routes=routes)
    page = await stack.page()
    await send(page)
    state = await page.state("delivered")
    assert (len(first.sent), len(second.sent), state["attempt"]) == (1, 1, 2)
    assert first.sent[0].id == second.sent[0].id


async def test_pv_1_a_provider_in_trouble_is_asked_three_times_and_then_the_next(start: Start) -> None:
    """With a pause that differs from job to job; each try is shown to the page."""
    first, second, routes = pair()
    first.refuse("transient", "transient", "transient")
    stack = await start(routes=routes)
    page = await stack.page()
    await send(page)
    seen = [(await page.next_event("sms.state"))["data"]]
    while seen[-1]["status"] != "delivered":
        seen.append((await page.next_event("sms.state"))["data"])
    assert (len(first.sent), len(second.sent)) == (3, 1)
    assert {state["attempt"] for state in seen} >= {2, 3, 4}
    assert len({sms.id for sms in first.sent + second.sent}) == 1, "one idempotency key for all tries"


@pytest.mark.parametrize(("kind", "reason"), [("limit_user", "number_limit"), ("permanent", "number_refused")])
async def test_pv_1_what_is_about_the_number_is_asked_of_nobody_else(start: Start, kind: str, reason: str) -> None:
    """The page learns why, and may ask again at once."""
    first, second, routes = pair()
    first.refuse(kind)
    stack = await start(routes=routes)
    page = await stack.page()
    await send(page)
    failed = await page.state("failed")
    assert (failed["reason"]["code"], failed["can_resend"]) == (reason, True)
    assert (len(first.sent), second.sent) == (1, [])


async def test_pv_1_when_nobody_is_left_the_sms_has_failed(start: Start) -> None:
    """And the interval is given back, once."""
    first, second, routes = pair()
    first.refuse("config")
    second.refuse("limit_service")
    stack = await start(routes=routes)
    page = await stack.page()
    await send(page)
    failed = await page.state("failed")
    assert (failed["reason"]["code"], failed["attempt"]) == ("provider_failed", 2)


async def test_pv_3_nothing_is_sent_within_ten_seconds_of_a_lost_answer(start: Start) -> None:
    """Then the same provider first, under the same key, and told that it may have heard it before."""
    first, second, routes = pair()
    first.refuse("unknown")
    stack = await start(routes=routes)
    page = await stack.page()
    await send(page)
    await first.nth(1)
    await until_delayed(stack)
    stack.clock.advance(9)
    assert (await stack.queue.tend()).delayed == 1
    assert (len(first.sent), second.sent) == (1, [])
    stack.clock.advance(2)
    again = await first.nth(2)
    assert (again.id, again.repeated, first.sent[0].repeated) == (first.sent[0].id, True, False)
    assert (await page.state("delivered"))["attempt"] == 2


async def test_pv_3_a_second_lost_answer_sends_the_next_one_to_somebody_else(start: Start) -> None:
    """The vendor may be hanging for good."""
    first, second, routes = pair()
    first.refuse("unknown", "unknown")
    stack = await start(routes=routes)
    page = await stack.page()
    await send(page)
    await until_delayed(stack)
    stack.clock.advance(11)
    await first.nth(2)
    await until_delayed(stack)
    stack.clock.advance(11)
    await second.nth(1)
    assert (await page.state("delivered"))["attempt"] == 3


async def test_pv_3_enough_for_the_number_after_a_lost_answer_means_that_it_was_taken(start: Start) -> None:
    """A vendor that allows one SMS a minute refuses the repeated one because of the first."""
    first, second, routes = pair()
    first.refuse("unknown", "limit_user")
    stack = await start(routes=routes)
    page = await stack.page()
    await send(page)
    await until_delayed(stack)
    stack.clock.advance(11)
    assert (await page.state("accepted"))["attempt"] == 2
    assert second.sent == []


async def test_what_was_accepted_is_not_failed_by_a_latecomer(start: Start) -> None:
    """A worker that was taken for dead, or whoever clears up after it, speaks of an older moment."""
    first = ScriptedProvider("first", delivers=False)
    stack = await start(routes=[Route(first, rate=1000)])
    page = await stack.page()
    transaction = (await send(page))["transaction"]
    await page.state("accepted")
    job = await stack.queue.get(first.sent[0].id)
    await stack.services.delivery.lapse(f"{first.sent[0].id} {transaction} {job['name']}")
    assert (await page.ask("sms.watch", transaction=transaction))["data"]["status"] == "accepted"


async def test_otp_12_a_retry_that_would_be_too_late_fails_at_once(start: Start) -> None:
    """Nobody waits for a moment at which nothing can happen any more."""
    first, _, routes = pair()
    first.refuse("unknown")
    stack = await start(routes=routes[:1], SMS_EXPIRE_S="12")
    page = await stack.page()
    await send(page)
    assert (await page.state("failed"))["reason"]["code"] == "too_late"


async def test_otp_12_an_sms_that_waited_too_long_is_not_sent(start: Start) -> None:
    """Its code has less than a minute left when its turn comes; the page is told and may ask for another."""
    first, second, routes = pair()
    first.refuse("transient")
    stack = await start(routes=routes)
    page = await stack.page()
    await send(page)
    await until_delayed(stack)
    stack.clock.advance(241)
    failed = await page.state("failed")
    assert (failed["reason"]["code"], failed["can_resend"]) == ("too_late", True)
    assert (len(first.sent), second.sent) == (1, [])


async def test_weights_share_the_first_tries(start: Start) -> None:
    """Three to one; what fails still goes to the other."""
    first, second = ScriptedProvider("first"), ScriptedProvider("second")
    stack = await start(routes=[Route(first, 1000, 3), Route(second, 1000, 1)], LIMITS="observe")
    page = await stack.page()
    for number in range(60):
        await send(page, f"154000010{number:02d}")
    async with asyncio.timeout(20):
        while len(first.sent) + len(second.sent) < 60:
            await page.next_event("sms.state")
    assert 3 < len(second.sent) < 30 < len(first.sent) < 57


class TestBreaker:
    """PV-2: opens at half of twenty in thirty seconds, one probe per ten seconds, closes when one works."""

    async def _open(self, stack: Stack, provider: str = "first") -> None:
        for number in range(20):
            outcome = "bad" if number % 2 else "ok"
            await stack.breakers.note("jobs:{sms}:job:none", provider, outcome)

    async def test_pv_2_an_open_provider_is_passed_over(self, start: Start) -> None:
        """Without a try."""
        first, second, routes = pair()
        stack = await start(routes=routes)
        await self._open(stack)
        page = await stack.page()
        await send(page)
        await page.state("delivered")
        assert (first.sent, len(second.sent)) == ([], 1)

    async def test_pv_2_with_all_open_a_send_is_refused_before_anything_is_charged(self, start: Start) -> None:
        """503 with the true wait; the number may be used at once when a provider is back."""
        first, _, routes = pair()
        stack = await start(routes=routes[:1])
        await self._open(stack)
        rest = stack.rest()
        answer = await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})
        assert (answer.status, answer.error["code"]) == (503, "sms_unavailable")
        assert 8 <= int(answer.headers["Retry-After"]) <= 10
        assert await stack.redis.call("KEYS", "sms:*") == []
        assert await stack.redis.call("KEYS", "limit:*") == []
        stack.clock.advance(int(answer.headers["Retry-After"]))
        answer = await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})
        assert answer.status == 202
        await first.nth(1)

    async def test_pv_2_one_probe_per_pause_and_a_good_one_closes(self, start: Start) -> None:
        """While it runs, the others wait for it or go elsewhere."""
        first, second, routes = pair()
        stack = await start(routes=routes, LIMITS="observe")
        await self._open(stack)
        stack.clock.advance(11)
        first.gate.clear()
        page = await stack.page()
        for number in range(4):
            await send(page, f"1540000200{number}")
        await second.nth(3)
        first.gate.set()
        await first.nth(1)
        async with asyncio.timeout(8):
            while (await stack.breakers.breakers(["first"]))["first"] != (False, 0):
                await asyncio.sleep(0.01)

    async def test_pv_2_a_bad_probe_keeps_it_open(self, start: Start) -> None:
        """For another pause."""
        first, _, routes = pair()
        first.refuse("transient")
        stack = await start(routes=routes)
        await self._open(stack)
        stack.clock.advance(11)
        page = await stack.page()
        await send(page)
        await page.state("delivered")
        is_open, wait_s = (await stack.breakers.breakers(["first"]))["first"]
        assert is_open
        assert wait_s > 9

    async def test_pv_2_old_failures_are_forgotten(self, start: Start) -> None:
        """Nineteen bad ones half a minute ago and one now are one."""
        stack = await start(routes=pair()[2])
        for _ in range(19):
            await stack.breakers.note("jobs:{sms}:job:none", "first", "bad")
        stack.clock.advance(31)
        assert await stack.breakers.note("jobs:{sms}:job:none", "first", "bad") == "closed"


async def test_pv_8_a_backlog_leaves_at_the_provider_s_rate(start: Start) -> None:
    """Each job gets its own place in the rate, in whatever process: two at once, the others a twentieth of a second
    apart; nobody is given a place that is too far away."""
    stack = await start()
    slow = [Candidate("slow", 20)]
    chosen = await asyncio.gather(
        *(stack.breakers.choose(f"jobs:{{sms}}:job:x{n}", slow, longest_wait_s=0.9) for n in range(40))
    )
    waits = sorted(choice.wait_s for choice in chosen if choice.name)
    assert waits[1] == 0
    assert all(later - earlier > 0.02 for earlier, later in itertools.pairwise(waits[4:]))
    assert waits[-1] <= 0.9
    assert all(choice.wait_s > 0.9 for choice in chosen if not choice.name)


async def test_pv_8_a_provider_without_room_passes_an_sms_on_to_one_that_has_room(start: Start) -> None:
    """And with none that has room at once, the one who has it soonest is waited for."""
    stack = await start()
    slow, spare = Candidate("slow", 1), Candidate("spare", 0.5)
    chosen = [
        await stack.breakers.choose(f"jobs:{{sms}}:job:x{number}", [slow, spare], longest_wait_s=2)
        for number in range(3)
    ]
    assert [choice.name for choice in chosen] == ["slow", "spare", "slow"]
    assert [choice.wait_s > 0 for choice in chosen] == [False, False, True]


async def test_pv_8_a_queue_that_is_full_takes_no_more(stack: Stack) -> None:
    """503 with a wait, before anything is charged; with room again the number may be used at once."""
    line = {f"job{number}:0": 9e12 for number in range(QUEUE_MAX)}
    await stack.redis.client.zadd("jobs:{sms}:delayed", line)
    rest = stack.rest()
    refused = await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})
    assert (refused.status, refused.error["code"]) == (503, "busy")
    assert int(refused.headers["Retry-After"]) >= 1
    assert await stack.redis.call("KEYS", "sms:*") == []
    assert await stack.redis.call("KEYS", "limit:*") == []
    await stack.redis.client.zrem("jobs:{sms}:delayed", "job0:0")
    assert (await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})).status == 202
    await stack.provider.nth(1)


async def test_pr_1_a_call_that_nobody_finished_counts_as_a_lost_answer(start: Start) -> None:
    """The worker died while the vendor was being asked: not again within ten seconds, then under the same key."""
    first, _, routes = pair()
    stack = await start(routes=routes)
    first.faults.append(StoreUnavailable("redis", "as if we had died"))
    page = await stack.page()
    await send(page)
    await until_delayed(stack)
    stack.clock.advance(9)  # since it was found; the call itself is longer ago
    assert (await stack.queue.tend()).delayed == 1
    assert len(first.sent) == 1
    stack.clock.advance(2)
    again = await first.nth(2)
    assert (again.id, again.repeated) == (first.sent[0].id, True)
    await page.state("delivered")
    outcomes = stack.services.metrics.outcomes
    assert [outcomes.labels("first", one)._value.get() for one in ("unknown", "accepted")] == [1, 1]


async def test_a_try_that_was_overtaken_does_not_go_on(start: Start) -> None:
    """Its process was frozen until another one had taken the job over and began a try of its own."""
    stack = await start()
    stack.provider.gate.clear()
    state = await send(await stack.page())
    codes = CodeStore(stack.redis, CodeRules())
    record = await codes.get_record(state["transaction"])
    assert record is not None
    moved = [
        await codes.move(
            record.transaction,
            record.fields["mobile_name"],
            record.fields["owner"],
            "sending",
            attempt=attempt,
            reason="",
            provider="scripted",
            topic="events:none",
            only_accepted=False,
        )
        for attempt in (9, 8, 9, 10)
    ]
    assert [since is not None for since in moved] == [True, False, False, True]
    stack.provider.gate.set()


async def test_a_send_whose_job_never_came_is_failed_and_given_back(start: Start) -> None:
    """The process died between charging and queueing: within ten seconds the page may ask again."""
    stack = await start()
    page = await stack.page()
    state = await send(page)
    await page.state("delivered")
    stack.clock.advance(61)
    codes, delivery = stack.services.codes, stack.services.delivery
    again = codes.plan(MOBILE, state["transaction"])
    await delivery.admit(again)
    await codes.issue(again, "register", locale="zh_CN")  # ... and here it dies
    stack.clock.advance(7)
    failed = await page.state("failed")
    assert (failed["reason"]["code"], failed["can_resend"]) == ("provider_failed", True)
    assert await stack.redis.call("ZCARD", "jobs:{sms}:intents") == 0


async def test_a_job_that_comes_after_its_intent_lapsed_is_refused(start: Start) -> None:
    """What was failed is not sent."""
    stack = await start()
    codes, delivery = stack.services.codes, stack.services.delivery
    planned = codes.plan(MOBILE, None)
    await delivery.admit(planned)
    issued = await codes.issue(planned, "register", locale="zh_CN")
    stack.clock.advance(7)
    async with asyncio.timeout(8):
        while await stack.redis.call("ZCARD", "jobs:{sms}:intents"):
            await asyncio.sleep(0.01)
    with pytest.raises(Exception, match="busy"):
        await delivery.queue(issued)
    assert stack.provider.sent == []

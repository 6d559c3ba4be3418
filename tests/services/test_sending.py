"""Asking for an SMS: once per interval, capped, taken back when something later refuses."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.errors import AppError, StoreUnavailable
from server.services.codes import Send
from tests.conftest import Stack
from tests.helpers import MOBILE, PageClient

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]


async def _send(page: PageClient, mobile: str = MOBILE, **more: str) -> dict[str, Any]:
    return await page.ask("sms.send", mobile=mobile, purpose="register", **more)


async def test_rl_1_the_wait_is_true_to_the_second(stack: Stack) -> None:
    """Retrying at `retry_after` succeeds, a second sooner does not."""
    page = await stack.page()
    await _send(page)
    stack.clock.advance(20.4)
    refused = await _send(page)
    assert refused["data"]["code"] == "sms_too_soon"
    wait = refused["data"]["params"]["retry_after"]
    assert wait in (39, 40)
    stack.clock.advance(wait - 1)
    assert (await _send(page))["data"]["params"] == {"retry_after": 1}
    stack.clock.advance(1)
    assert (await _send(page))["type"] == "sms.queued"


async def test_rl_2_parallel_sends_for_one_number_give_one_sms(stack: Stack) -> None:
    """100 over websocket and REST: one acceptance, 99 refusals that say when."""
    pages = [await stack.page() for _ in range(5)]
    rest = stack.rest()
    body = {"mobile": MOBILE, "purpose": "register"}
    frames, answers = await asyncio.gather(
        asyncio.gather(*(_send(pages[number % 5]) for number in range(50))),
        asyncio.gather(*(rest.post("/user/sms/", body) for _ in range(50))),
    )
    accepted = [f for f in frames if f["type"] == "sms.queued"] + [a for a in answers if a.status == 202]
    codes = [f["data"]["code"] for f in frames if f["type"] == "error"]
    codes += [a.error["code"] for a in answers if a.status != 202]
    assert len(accepted) == 1
    assert codes == ["sms_too_soon"] * 99
    assert all(59 <= a.error["params"]["retry_after"] <= 60 for a in answers if a.status != 202)
    await stack.provider.nth(1)
    assert await stack.redis.client.xlen("jobs:{sms}:stream") <= 1


@pytest.mark.parametrize("notation", ["+86 154-0000-0001", "0086 15400000001", "1 5 4 0000 0001"])
async def test_rl_4_another_notation_is_the_same_number(stack: Stack, notation: str) -> None:
    """So is another socket."""
    await _send(await stack.page())
    assert (await _send(await stack.page(), notation))["data"]["code"] == "sms_too_soon"


async def test_a_number_gets_five_sms_an_hour_and_the_countdown_says_so(stack: Stack) -> None:
    """The sixth waits for the first to be an hour old, and `resend_at` is that moment (OTP-17)."""
    page = await stack.page()
    for _ in range(5):
        state = (await _send(page))["data"]
        stack.clock.advance(60)
    refused = (await _send(page))["data"]
    assert refused["code"] == "sms_limit"
    now = (await page.ask("sms.watch", transaction=state["transaction"]))["data"]
    assert refused["params"]["retry_after"] == pytest.approx(now["resend_at"] - now["server_now"], abs=1)
    stack.clock.advance(refused["params"]["retry_after"])
    assert (await _send(page))["type"] == "sms.queued"


async def test_a_number_gets_ten_sms_a_day(stack: Stack) -> None:
    """Spread as one likes, the eleventh waits."""
    page = await stack.page()
    for _ in range(10):
        assert (await _send(page))["type"] == "sms.queued"
        stack.clock.advance(1000)
    assert (await _send(page))["data"]["code"] == "sms_limit"


async def test_an_address_that_is_refused_costs_the_number_nothing(stack: Stack) -> None:
    """What a later limit refuses is taken back: interval, caps, transaction and code."""
    rest = stack.rest()
    refused = None
    for number in range(40):
        mobile = f"154{number:04d}{number:04d}"
        answer = await rest.post("/user/sms/", {"mobile": mobile, "purpose": "register"})
        if answer.status != 202:
            refused = (mobile, answer.error)
            break
    assert refused is not None
    mobile, error = refused
    assert error["code"] == "sms_limit"
    assert not [key async for key in stack.redis.client.scan_iter("sms:*") if await _is_about(stack, key, mobile)]
    stack.clock.advance(error["params"]["retry_after"])
    assert (await rest.post("/user/sms/", {"mobile": mobile, "purpose": "register"})).status == 202


async def test_a_refused_resend_leaves_the_code_that_was_sent_good(stack: Stack) -> None:
    """A new code was drawn and taken back with the send: the old one, which the person holds, still counts."""
    rest = stack.rest()
    body = {"mobile": MOBILE, "purpose": "register"}
    first = (await rest.post("/user/sms/", body)).body
    code = (await stack.provider.nth(1)).code
    stack.clock.advance(200)
    for number in range(40):
        if (
            await rest.post("/user/sms/", {"mobile": f"154{number:04d}{number:04d}", "purpose": "register"})
        ).status == 429:
            break
    refused = await rest.post("/user/sms/", body | {"transaction": first["transaction"]})
    assert refused.error["code"] == "sms_limit"
    async with stack.services.codes.used(MOBILE, "register", first["transaction"], code):
        pass


async def test_a_resend_must_name_a_transaction_of_its_own_number(stack: Stack) -> None:
    """Of another, or of none, it is unknown: 404 (docs/rest.md)."""
    page = await stack.page()
    state = (await _send(page))["data"]
    stack.clock.advance(61)
    for mobile, transaction in (
        ("15400000002", state["transaction"]),
        (MOBILE, "00000000.AAAAAAAAAAAAAAAAAAAAAA"),
        (MOBILE, state["transaction"][:9] + "A" * 22),
        (MOBILE, "nonsense"),
    ):
        assert (await _send(page, mobile, transaction=transaction))["data"]["code"] == "transaction_unknown"
    assert (await _send(page, transaction=state["transaction"]))["type"] == "sms.queued"


async def test_rl_3_an_sms_that_failed_for_good_frees_the_resend_at_once(stack: Stack) -> None:
    """The interval is given back, the page is told why, in words; the caps keep their count (RL-3)."""
    stack.provider.refuse("config")
    page = await stack.page(lang="en")
    state = (await _send(page))["data"]
    failed = await page.state("failed")
    assert failed["reason"]["code"] == "provider_failed"
    assert "could not be sent" in failed["reason"]["message"]
    assert failed["can_resend"]
    assert failed["resend_at"] <= failed["server_now"]
    again = await _send(page, transaction=state["transaction"])
    assert again["type"] == "sms.queued"
    assert (await page.state("delivered"))["transaction"] == state["transaction"]


async def test_the_service_budget_stops_all_sends_and_takes_them_back(stack: Stack) -> None:
    """60 a minute for everybody together; the refusal is a 503 with its wait."""
    for _ in range(60):
        await stack.services.limits.charge_service()
    page = await stack.page()
    refused = (await _send(page))["data"]
    assert refused["code"] == "sms_budget_exhausted"
    stack.clock.advance(refused["params"]["retry_after"])
    assert (await _send(page))["type"] == "sms.queued"


async def test_with_limits_observed_nothing_is_refused_but_all_is_counted(start: Start) -> None:
    """LIMITS=observe is for load tests."""
    stack = await start(LIMITS="observe")
    page = await stack.page()
    for _ in range(12):
        assert (await _send(page))["type"] == "sms.queued"
    exposition = stack.services.metrics.exposition().decode()
    assert 'haoma_limit_refusals_total{action="sms.send",dimension="mobile_too_soon"}' in exposition


async def _is_about(stack: Stack, key: str, mobile: str) -> bool:
    masked = f"{mobile[:3]}****{mobile[-4:]}"
    return (await stack.redis.client.type(key)) == "hash" and (await stack.redis.client.hget(key, "mobile")) == masked


async def test_tries_decided_while_a_send_is_taken_back_stay_counted(stack: Stack) -> None:
    """Whether it would have repeated the code or made a new one."""
    codes = stack.services.codes
    for wait in (61, 200):
        mobile = f"15400009{wait:03d}"
        first = await codes.issue(codes.plan(mobile, None), "register", locale="zh_CN")
        stack.clock.advance(wait)
        again = await codes.issue(codes.plan(mobile, first.transaction), "register", locale="zh_CN")
        for _ in range(2):
            with pytest.raises(AppError):
                async with codes.used(mobile, "register", first.transaction, "not it"):
                    pass
        await codes.undo(again)
        state = await codes.require_state(first.transaction)
        assert state["attempts_left"] == 3
        assert state["can_resend"]


async def test_a_send_whose_job_did_not_reach_the_queue_costs_nothing(stack: Stack) -> None:
    """An answer that promises nothing takes nothing: one may ask again at once."""
    page = await stack.page()
    real = stack.services.delivery.queue

    async def fail(_: object) -> None:
        stack.services.delivery.queue = real  # type: ignore[method-assign]
        raise StoreUnavailable("redis", "gone")

    stack.services.delivery.queue = fail  # type: ignore[method-assign]
    assert (await _send(page))["data"]["code"] == "unavailable"
    assert (await _send(page))["type"] == "sms.queued"


async def test_an_sms_that_is_on_its_way_is_acknowledged_whatever_else_happens(stack: Stack) -> None:
    """Its state can neither be watched nor read just then; the page gets its transaction, and later the steps."""
    events, codes = stack.services.countdowns._events, stack.services.codes
    subscribe, get_state = events.subscribe, codes.get_state

    async def fail(*_: object) -> None:
        raise StoreUnavailable("redis", "gone")

    events.subscribe, codes.get_state = fail, fail  # type: ignore[method-assign, assignment]
    stack.provider.gate.clear()
    page = await stack.page()
    queued = await _send(page)
    assert queued["type"] == "sms.queued"
    assert queued["data"]["status"] == "queued"
    assert (await page.next_event("countdown.tick"))["data"]["remaining"] in (59, 60)
    events.subscribe, codes.get_state = subscribe, get_state  # type: ignore[method-assign]
    await stack.services.countdowns._resync()
    stack.provider.gate.set()
    assert (await page.state("delivered"))["transaction"] == queued["data"]["transaction"]


async def test_a_send_that_took_long_answers_with_the_time_of_its_answer(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The countdown is not late by what was done between."""
    codes = stack.services.codes
    issue = codes.issue

    async def long_ago(send: Send, purpose: str, **more: Any) -> Send:
        accepted = await issue(send, purpose, **more)
        return dataclasses.replace(accepted, accepted_at=accepted.accepted_at - 5)

    monkeypatch.setattr(codes, "issue", long_ago)
    stack.provider.gate.clear()
    page = await stack.page()
    by_page = (await _send(page))["data"]
    assert (await page.next_event("countdown.tick"))["data"]["remaining"] == 55
    form = {"mobile": "15400000077", "purpose": "register"}
    by_post = (await stack.rest().post("/user/sms/", form)).body
    for state in (by_page, by_post.get("data", by_post)):
        assert 54.5 < state["resend_at"] - state["server_now"] <= 55.001
    stack.provider.gate.set()


@pytest.mark.parametrize("resend", [False, True])
async def test_a_send_whose_acceptance_was_never_heard_costs_nothing(stack: Stack, resend: bool) -> None:
    """The step ran and its reply got lost: what it took is given back."""
    page = await stack.page()
    more = {}
    if resend:
        more["transaction"] = (await _send(page))["data"]["transaction"]
        await page.state("delivered")
        stack.clock.advance(61)
    real = stack.redis.run

    async def lose_the_reply(script: str, *given: Any, **more: Any) -> Any:
        answer = await real(script, *given, **more)
        if script != "issue_code":
            return answer
        stack.redis.run = real  # type: ignore[method-assign]
        raise StoreUnavailable("redis", "reply lost")

    stack.redis.run = lose_the_reply  # type: ignore[method-assign]
    assert (await _send(page, **more))["data"]["code"] == "unavailable"
    assert (await _send(page, **more))["type"] == "sms.queued"


async def test_a_refund_gives_back_what_was_charged_and_no_more(stack: Stack) -> None:
    """A soft limit that was used up was not charged, so nothing of it comes back."""
    limits = stack.services.limits
    for _ in range(5):
        await limits.charge_address("sms.send", "192.0.2.1")
    assert await limits.under_pressure("sms.send", "192.0.2.1")
    charge = await limits.charge_address("sms.send", "192.0.2.1", captcha_passed=True)
    assert [limit.dimension for _, (limit,) in charge.dues] == ["address_hour"]
    await limits.refund(charge)
    assert await limits.under_pressure("sms.send", "192.0.2.1")

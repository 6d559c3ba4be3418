"""What the whole service may send."""

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from server.errors import StoreUnavailable
from tests.conftest import Stack
from tests.helpers import PageClient, on_both_drivers
from tests.services.test_captcha import solve

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]


async def _send(page: PageClient, number: int, **more: str) -> dict[str, Any]:
    return await page.ask("sms.send", mobile=f"1540002{number:04d}", purpose="register", **more)


async def _go_to_noon(stack: Stack) -> datetime:
    """Move time on to the next noon at UTC+8, so that no test runs over the end of a day."""
    seconds, micros = await stack.redis.client.time()
    now = datetime.fromtimestamp(seconds + micros / 1e6 + stack.clock.offset_ms / 1000, timezone(timedelta(hours=8)))
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    noon += timedelta(days=int(noon < now))
    stack.clock.advance((noon - now).total_seconds())
    return noon


async def test_rl_7_the_budget_of_a_day_holds_over_a_flushed_redis(start: Start) -> None:
    """At the limit 503 and nothing leaves; the wait is until the day ends, and then it goes on."""
    stack = await start(SMS_BUDGET_DAY="3")
    await _go_to_noon(stack)
    page, rest = await stack.page(), stack.rest()
    for number in range(3):
        assert (await _send(page, number))["type"] == "sms.queued"
        await stack.provider.nth(number + 1)
        await stack.redis.each("FLUSHALL")
    refused = await rest.post("/user/sms/", {"mobile": "15400029999", "purpose": "register"})
    assert (refused.status, refused.error["code"]) == (503, "sms_budget_exhausted")
    wait = refused.error["params"]["retry_after"]
    assert 12 * 3600 - 20 < wait <= 12 * 3600
    assert refused.headers["Retry-After"] == str(wait)
    assert await stack.redis.client.xlen("jobs:{sms}:stream") == 0
    stack.clock.advance(wait - 1)
    assert (await _send(page, 9999))["data"]["params"] == {"retry_after": 1}
    stack.clock.advance(1)
    assert (await _send(page, 9999))["type"] == "sms.queued"
    await stack.provider.nth(4)
    assert len(stack.provider.sent) == 4


async def test_rl_7_the_minute_is_a_setting_and_its_wait_knows_of_the_day(start: Start) -> None:
    """Where both are used up the longer wait is told."""
    stack = await start(SMS_BUDGET_MINUTE="2", SMS_BUDGET_DAY="3")
    await _go_to_noon(stack)
    page = await stack.page()
    for number in range(2):
        assert (await _send(page, number))["type"] == "sms.queued"
    refused = (await _send(page, 2))["data"]
    assert refused["code"] == "sms_budget_exhausted"
    assert refused["params"]["retry_after"] in (29, 30)
    stack.clock.advance(30)
    assert (await _send(page, 2))["type"] == "sms.queued"
    assert (await _send(page, 3))["data"]["params"]["retry_after"] > 11 * 3600


async def test_rl_7_a_send_that_is_taken_back_is_given_back_to_the_day(start: Start) -> None:
    """No SMS was promised, so none is counted."""
    stack = await start(SMS_BUDGET_DAY="1")
    await _go_to_noon(stack)
    page = await stack.page()
    real = stack.services.delivery.queue

    async def fail(_: object) -> None:
        raise StoreUnavailable("redis", "gone")

    stack.services.delivery.queue = fail  # type: ignore[method-assign]
    for number in range(3):
        assert (await _send(page, number))["data"]["code"] == "unavailable"
    stack.services.delivery.queue = real  # type: ignore[method-assign]
    assert (await _send(page, 4))["type"] == "sms.queued"
    assert (await _send(page, 5))["data"]["code"] == "sms_budget_exhausted"


@on_both_drivers
async def test_rl_7_parallel_sends_count_exactly(stack: Stack) -> None:
    """Also the first ones of a day, which all want to begin it."""
    store = stack.services.budget._store
    expires = datetime.now(UTC) + timedelta(days=2)
    counted = await _together(lambda: store.add("2027-01-31", limit=20, expires=expires), 50)
    assert sorted(n for n in counted if n) == list(range(1, 21))
    assert counted.count(None) == 30
    await store.subtract("2027-01-31")
    assert await store.get("2027-01-31") == 19
    assert await store.get("2027-02-01") == 0


async def test_rl_7_from_four_fifths_on_everybody_has_to_solve_the_dearer_captcha(start: Start) -> None:
    """One that was cheap is then not enough, from an address that never asked for anything."""
    stack = await start(CAPTCHA_PROVIDER="altcha", SMS_BUDGET_DAY="5")
    now = await _go_to_noon(stack)
    page = await stack.page()
    cheap = solve((await page.ask("captcha.new", purpose="register"))["data"]["challenge"])
    for _ in range(4):
        await stack.services.budget.charge_day(now.timestamp())
    refused = await _send(page, 1, captcha=cheap)
    assert (refused["data"]["code"], refused["data"]["params"]) == ("captcha_required", {"purpose": "register"})
    dearer = (await page.ask("captcha.new", purpose="register"))["data"]["challenge"]
    assert dearer["parameters"]["data"]["dearer"] == "1"
    assert (await _send(page, 1, captcha=solve(dearer)))["type"] == "sms.queued"


async def test_rl_7_another_process_knows_how_much_is_used_up(start: Start) -> None:
    """It reads what it has not counted itself: of a day that it did not know of, at once."""
    stack = await start(SMS_BUDGET_DAY="5")
    tomorrow = (await _go_to_noon(stack) + timedelta(days=1)).date().isoformat()
    budget = stack.services.budget
    for _ in range(4):
        await budget._store.add(tomorrow, limit=5, expires=datetime.now(UTC) + timedelta(days=3))
    assert not await budget.under_pressure()
    stack.clock.advance(24 * 3600)
    assert await budget.under_pressure()


async def test_rl_7_operators_hear_of_half_of_four_fifths_and_of_all(start: Start, logged: io.StringIO) -> None:
    """One line each a day, and a gauge."""
    stack = await start(SMS_BUDGET_DAY="10")
    now = (await _go_to_noon(stack)).timestamp()
    budget, metrics = stack.services.budget, stack.services.metrics
    for _ in range(10):
        await budget.charge_day(now)
    assert "haoma_sms_budget_used_ratio 1.0" in metrics.exposition().decode()
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    told = [(line["percent"], line["used"]) for line in lines if line["event"] == "sms.budget"]
    assert told == [(50, 5), (80, 8), (100, 10)]


async def _together(call: Callable[[], Coroutine[Any, Any, Any]], count: int) -> list[Any]:
    return list(await asyncio.gather(*(call() for _ in range(count))))

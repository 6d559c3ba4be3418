"""Who may do what how often."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.errors import AppError
from server.limit_rules import LimitRules
from server.rates import LocalRate, Rate
from server.services.limits import address_group, address_rates
from server.stores.limits import LimitStore
from server.tags import Tag
from tests.conftest import Stack
from tests.services.test_captcha import solve

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]
_WHO = Tag("abcdef01", "somebody")
_RATE = Rate("r", 3, 60, 3)


async def test_rl_1_gcra_lets_a_burst_through_and_then_one_per_interval(stack: Stack) -> None:
    """After a refusal exactly the wait it told is enough, a second less is not."""
    store = LimitStore(stack.redis)
    for _ in range(3):
        assert (await store.charge("t", _WHO, (_RATE,), mode="enforce")).outcome == "ok"
    refused = await store.charge("t", _WHO, (_RATE,), mode="enforce")
    assert refused.outcome == "refused"
    assert 19_000 < refused.wait_ms <= 20_000
    stack.clock.advance(refused.wait_ms / 1000 - 1)
    assert (await store.charge("t", _WHO, (_RATE,), mode="enforce")).outcome == "refused"
    stack.clock.advance(1)
    assert (await store.charge("t", _WHO, (_RATE,), mode="enforce")).outcome == "ok"


async def test_all_dimensions_are_checked_before_any_is_charged(stack: Stack) -> None:
    """One that refuses costs the others nothing, and the longest wait is told."""
    store = LimitStore(stack.redis)
    wide, narrow, narrowest = Rate("wide", 5, 50, 5), Rate("narrow", 1, 100, 1), Rate("narrowest", 1, 200, 1)
    assert (await store.charge("t", _WHO, (wide, narrow, narrowest), mode="enforce")).outcome == "ok"
    for _ in range(20):
        refused = await store.charge("t", _WHO, (wide, narrow, narrowest), mode="enforce")
        assert refused.limit == narrowest
    for _ in range(4):
        assert (await store.charge("t", _WHO, (wide,), mode="enforce")).outcome == "ok"
    assert (await store.charge("t", _WHO, (wide,), mode="enforce")).outcome == "refused"


async def test_of_several_subjects_one_that_refuses_costs_the_others_nothing(stack: Stack) -> None:
    """All in one step; what was charged comes back to each of them."""
    store, other = LimitStore(stack.redis), Tag("12345678", "else")
    narrow = Rate("narrow", 1, 100, 1)
    dues = [(_WHO, (_RATE,)), (other, (_RATE, narrow))]
    assert store.together(dues) == [dues]
    for outcome in ("ok", "refused", "refused"):
        verdict = await store.charge_dues("t", dues, mode="enforce")
        assert verdict.outcome == outcome
    assert verdict.limit == narrow
    await store.refund("t", dues)
    for who, limits in dues:
        assert (await store.charge("t", who, limits, mode="enforce")).outcome == "ok"
    for _ in range(2):
        assert (await store.charge("t", _WHO, (_RATE,), mode="enforce")).outcome == "ok"
    assert (await store.charge("t", _WHO, (_RATE,), mode="enforce")).outcome == "refused"


async def test_a_short_rate_does_not_end_a_long_one_that_lies_in_the_same_key(stack: Stack) -> None:
    """All rates of a subject end with the last of them, whichever is charged last."""
    store, day = LimitStore(stack.redis), Rate("day", 1, 86_400, 1)
    assert (await store.charge("t", _WHO, (day,), mode="enforce")).outcome == "ok"
    assert (await store.charge("t", _WHO, (_RATE,), mode="enforce")).outcome == "ok"
    (key,) = await stack.redis.call("KEYS", "limit:{abcdef01}:t:*")
    assert await stack.redis.call("PTTL", key) > 86_400_000
    assert (await store.charge("t", _WHO, (_RATE, day), mode="enforce")).limit == day


async def test_a_refund_gives_one_charge_back(stack: Stack) -> None:
    """No more and no less."""
    store = LimitStore(stack.redis)
    for _ in range(3):
        await store.charge("t", _WHO, (_RATE,), mode="enforce")
    await store.refund("t", [(_WHO, (_RATE,))])
    outcomes = [(await store.charge("t", _WHO, (_RATE,), mode="enforce")).outcome for _ in range(2)]
    assert outcomes == ["ok", "refused"]


async def test_what_was_only_observed_can_be_given_back(stack: Stack) -> None:
    """A limit that is used up charges nothing there, so nothing is given back when the send comes to nothing."""
    store = LimitStore(stack.redis)
    for _ in range(3):
        await store.charge("t", _WHO, (_RATE,), mode="observe")
    observed = await store.charge("t", _WHO, (_RATE,), mode="observe")
    assert (observed.outcome, observed.charged) == ("refused", [])
    await store.refund("t", [])


async def test_rl_11_an_address_is_asked_for_a_captcha_before_it_is_refused(start: Start) -> None:
    """Soft limit: 403 captcha_required; with a captcha it goes on; at five times the limit 429."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    limits, rest = stack.services.limits, stack.rest()
    for _ in range(30):
        await limits.charge_address("session.login", "127.0.0.1")
    body = {"account": "15400000001", "password": "whatever it is"}
    asked = await rest.post("/user/login/", body)
    assert (asked.status, asked.error["code"]) == (403, "captcha_required")
    assert asked.error["params"] == {"purpose": "login"}
    issued = (await rest.get("/user/captcha/?purpose=login")).body
    answered = await rest.post("/user/login/", body | {"captcha": solve(issued["challenge"])})
    assert answered.error["code"] == "credentials_invalid"
    for _ in range(119):
        await limits.charge_address("session.login", "127.0.0.1", captcha_passed=True)
    issued = (await rest.get("/user/captcha/?purpose=login")).body
    refused = await rest.post("/user/login/", body | {"captcha": solve(issued["challenge"])})
    assert (refused.status, refused.error["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == str(refused.error["params"]["retry_after"])


async def test_rl_11_for_an_sms_the_captcha_of_a_busy_address_gets_dearer(start: Start) -> None:
    """A cheap one is then not enough, and a fresh one costs more."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    page = await stack.page()
    cheap = solve((await page.ask("captcha.new", purpose="register"))["data"]["challenge"])
    for _ in range(5):
        await stack.services.limits.charge_address("sms.send", "127.0.0.1")
    refused = await page.ask("sms.send", mobile="15400000001", purpose="register", captcha=cheap)
    assert refused["data"]["code"] == "captcha_required"
    dearer = (await page.ask("captcha.new", purpose="register"))["data"]["challenge"]
    assert dearer["parameters"]["data"]["dearer"] == "1"
    answer = await page.ask("sms.send", mobile="15400000001", purpose="register", captcha=solve(dearer))
    assert answer["type"] == "sms.queued"


async def test_every_operation_that_costs_has_an_address_limit(stack: Stack) -> None:
    """And its hard limit is five times the soft one."""
    for rates in address_rates(LimitRules()).values():
        for soft, hard in zip(rates[::2], rates[1::2], strict=True):
            assert (soft.soft, hard.soft) == (True, False)
            assert hard.count == 5 * soft.count


def test_rl_5_an_address_group_is_an_ipv4_address_or_an_ipv6_64() -> None:
    """A household's 2^64 addresses are one."""
    assert address_group("203.0.113.7") == "203.0.113.7"
    assert address_group("::ffff:203.0.113.7") == "203.0.113.7"
    assert address_group("2001:db8:1:2:3:4:5:6") == address_group("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert address_group("2001:db8:1:3::9") != address_group("2001:db8:1:2::9")


def test_a_socket_may_burst_and_then_keeps_the_pace() -> None:
    """Refusals cost nothing and tell the wait."""
    at = [100.0]
    local = LocalRate((Rate("second", 20, 1, 40),), now=lambda: at[0])
    for _ in range(40):
        local.charge()
    for _ in range(100):
        with pytest.raises(AppError) as refused:
            local.charge()
    assert refused.value.params == {"retry_after": 1}
    at[0] += 1
    for _ in range(20):
        local.charge()

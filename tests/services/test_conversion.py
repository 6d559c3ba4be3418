"""The breaker on conversion: a block whose codes are never used is closed, then stopped."""

import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.errors import AppError
from server.services.codes import Send
from server.tags import Tag
from tests.conftest import Stack
from tests.helpers import PASSWORD, PageClient
from tests.services.test_captcha import solve

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
BLOCK, OTHER = "1540003", "1540004"
_numbers = itertools.count()


async def _note(stack: Stack, block: str = BLOCK, *, verified: bool = False, dearer: bool = True) -> Send:
    """One send to a number of the block, as far as the breaker sees it."""
    number = next(_numbers)
    send = Send(
        f"t{number}", f"{block}{number % 10_000:04d}", "name", f"o{number}", "", False, state={"purpose": "register"}
    )
    await stack.services.conversion.admit(send, address="192.0.2.9", dearer=dearer)
    if verified:
        await stack.services.conversion.verified(send.mobile, send.transaction)
    return send


async def _settle(stack: Stack, sends: int, verified: int, block: str = BLOCK) -> None:
    """So many sends of which so many were verified, all old enough to be judged."""
    for number in range(sends):
        await _note(stack, block, verified=number < verified)
    stack.clock.advance(301)


async def _go_bad(stack: Stack, verified: int, late: int = 0) -> None:
    """60 sends to the block of which `verified` were, seen as low for ten minutes; all others do well. So many `late`
    ones left just before the end of that."""
    await _settle(stack, 140, 140, OTHER)
    await _settle(stack, 60, verified)
    await _states(stack)
    stack.clock.advance(590)
    for _ in range(late):
        await _note(stack)
    stack.clock.advance(10)


async def _states(stack: Stack, block: str = BLOCK) -> tuple[str, str]:
    found = await stack.services.conversion.describe(block + "0000")
    return found["block"]["state"], found["total"]["state"]


async def _refusal(stack: Stack, block: str = BLOCK, *, dearer: bool = False) -> AppError:
    with pytest.raises(AppError) as refused:
        await _note(stack, block, dearer=dearer)
    return refused.value


async def test_rl_6_a_block_under_a_fifth_for_ten_minutes_is_closed_to_dearer_captchas(start: Start) -> None:
    """Not a second sooner; others go on; the page is asked for a dearer captcha, gets one, and is let through."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    await _settle(stack, 140, 140, OTHER)
    await _settle(stack, 60, 11)
    assert await _states(stack) == ("open", "open")
    stack.clock.advance(599)
    assert await _states(stack) == ("open", "open")
    stack.clock.advance(1)
    assert await _states(stack) == ("captcha", "open")
    page = await stack.page()
    cheap = [solve((await page.ask("captcha.new", purpose="register"))["data"]["challenge"]) for _ in range(2)]
    refused = await _send(page, BLOCK + "9999", captcha=cheap[0])
    assert (refused["data"]["code"], refused["data"]["params"]) == ("captcha_required", {"purpose": "register"})
    assert (await _send(page, OTHER + "9999", captcha=cheap[1]))["type"] == "sms.queued"
    dearer = (await page.ask("captcha.new", purpose="register"))["data"]["challenge"]
    assert dearer["parameters"]["data"]["dearer"] == "1"
    assert (await _send(page, BLOCK + "9999", captcha=solve(dearer)))["type"] == "sms.queued"


async def test_rl_6_a_block_under_a_twentieth_is_stopped_with_a_true_wait(start: Start) -> None:
    """No captcha opens it before; after the wait one does, a second sooner none. What was under way is not held
    against it then."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    await _go_bad(stack, 2, late=60)
    refused = await _refusal(stack, dearer=True)
    assert (refused.code, refused.params) == ("sms_limit", {"retry_after": 600})
    stack.clock.advance(598)
    assert (await _refusal(stack, dearer=True)).params["retry_after"] in (1, 2)
    await _note(stack, OTHER)
    stack.clock.advance(2)
    assert (await _refusal(stack, dearer=False)).code == "captcha_required"
    await _note(stack, dearer=True)


async def test_rl_6_a_block_that_goes_on_badly_after_its_stop_is_stopped_again(start: Start) -> None:
    """By what was sent since, without ten more minutes; one that does well is open again."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    await _go_bad(stack, 0)
    assert (await _states(stack))[0] == "stopped"
    stack.clock.advance(600)
    await _settle(stack, 60, 0)
    assert (await _states(stack))[0] == "stopped"
    stack.clock.advance(600)
    assert (await _states(stack))[0] == "captcha"
    await _settle(stack, 60, 30)
    assert (await _states(stack))[0] == "open"


async def test_rl_6_all_numbers_together_are_judged_too(start: Start) -> None:
    """An attack that takes a few numbers of each block."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    for block in range(12):
        await _settle(stack, 10, 1, f"15401{block:02d}")
    await _states(stack)
    stack.clock.advance(600)
    assert await _states(stack, "1540200") == ("open", "captcha")
    assert (await _refusal(stack, "1540200")).code == "captcha_required"


async def test_rl_6_a_send_is_not_judged_before_its_code_is_over(start: Start) -> None:
    """A rush of new ones proves nothing, and neither do fewer than fifty."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    for _ in range(100):
        await _note(stack)
    stack.clock.advance(299)
    assert (await stack.services.conversion.describe(BLOCK + "0000"))["block"]["judged"] == 0
    stack.clock.advance(2)
    found = (await stack.services.conversion.describe(BLOCK + "0000"))["block"]
    assert (found["judged"], found["verified"]) == (100, 0)
    await _settle(stack, 49, 0, OTHER)
    await _states(stack, OTHER)
    stack.clock.advance(601)
    assert (await stack.services.conversion.describe(OTHER + "0000"))["block"]["state"] == "open"


async def test_rl_6_the_end_of_a_rush_of_honest_people_closes_nothing(start: Start) -> None:
    """Verified or not, sends are judged in the order in which they left, so the slow ones do not pile up."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    for number in range(400):
        await _note(stack, verified=number % 2 == 0)
    stack.clock.advance(301)
    found = (await stack.services.conversion.describe(BLOCK + "0000"))["block"]
    assert (found["judged"], found["state"]) == (200, "open")
    assert 95 <= found["verified"] <= 105


async def test_rl_6_a_code_that_is_used_counts_as_verified(stack: Stack) -> None:
    """From the page's first request to the account; a transaction counts once, however often its SMS was repeated."""
    page = await stack.page()
    first = (await _send(page, BLOCK + "0001"))["data"]
    stack.clock.advance(61)
    await _send(page, BLOCK + "0001", transaction=first["transaction"])
    code = (await stack.provider.nth(2)).code
    await _send(page, BLOCK + "0002")
    form = {"mobile": BLOCK + "0001", "password": PASSWORD, "sms_code": code, "transaction": first["transaction"]}
    assert (await page.ask("user.register", **form))["type"] == "user.registered"
    stack.clock.advance(301)
    for found in (await stack.services.conversion.describe(BLOCK + "0000")).values():
        assert found == {"state": "open", "judged": 2, "verified": 1}


async def test_rl_6_a_send_that_came_to_nothing_is_not_held_against_its_block(start: Start) -> None:
    """A resend that is refused clears nothing away either: its transaction had an SMS."""
    stack = await start(SMS_BUDGET_DAY="1")
    page = await stack.page()
    first = (await _send(page, BLOCK + "0001"))["data"]
    assert (await _send(page, BLOCK + "0002"))["data"]["code"] == "sms_budget_exhausted"
    stack.clock.advance(61)
    again = await _send(page, BLOCK + "0001", transaction=first["transaction"])
    assert again["data"]["code"] == "sms_budget_exhausted"
    stack.clock.advance(301)
    assert (await stack.services.conversion.describe(BLOCK + "0000"))["block"]["judged"] == 1


async def test_rl_6_without_a_captcha_a_closed_block_is_closed(stack: Stack) -> None:
    """There is none that could open it."""
    await _go_bad(stack, 8)
    assert (await _refusal(stack, dearer=True)).code == "captcha_required"


async def test_rl_6_observed_limits_judge_and_refuse_nothing(start: Start) -> None:
    """As all other limits under LIMITS=observe."""
    stack = await start(LIMITS="observe")
    await _go_bad(stack, 0)
    assert (await _states(stack))[0] == "stopped"
    await _note(stack, dearer=False)


async def test_rl_6_operators_see_it_and_no_number_is_shown_or_kept(start: Start) -> None:
    """Counters by scope and state; keys by tag, in one slot for each group, bounded and with a life."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    await _go_bad(stack, 0)
    assert (await _refusal(stack)).code == "sms_limit"
    exposition = stack.services.metrics.exposition().decode()
    assert 'haoma_sms_breaker_total{scope="block",state="stopped"} 1.0' in exposition
    assert 'haoma_limit_refusals_total{action="sms.send",dimension="block_stopped"} 1.0' in exposition
    assert "haoma_sms_verified_ratio 0.7" in exposition
    keys = [key async for key in stack.redis.client.scan_iter("conversion:*")]
    assert keys
    assert not [key for key in keys if BLOCK in key]
    assert all([0 < await stack.redis.client.pttl(key) <= 3_600_000 for key in keys])


async def test_rl_6_what_waits_to_be_judged_is_bounded_and_is_judged_all_the_same(stack: Stack) -> None:
    """New ones are left out until there is room again."""
    store = stack.services.conversion._store
    group = Tag("abcdef01", "somebody")
    waiting = "conversion:{abcdef01}:waiting:somebody"
    seconds, _ = await stack.redis.client.time()
    await stack.redis.client.zadd(waiting, {f"old{number}": seconds * 1000 for number in range(5000)})
    assert (await store.admit(group, "left out", mode="enforce", dearer=False)).noted
    assert await stack.redis.client.zcard(waiting) == 5000
    assert await stack.redis.client.zscore(waiting, "left out") is None
    stack.clock.advance(301)
    found = await store.admit(group, "new", mode="enforce", dearer=False)
    assert (found.noted, found.judged) == (True, 200)
    assert await stack.redis.client.zscore(waiting, "new") is not None
    assert await stack.redis.client.zcard(waiting) == 4501


async def _send(page: PageClient, mobile: str, **more: str) -> dict[str, Any]:
    return await page.ask("sms.send", mobile=mobile, purpose="register", **more)

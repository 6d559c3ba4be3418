"""The second check of a send, which Redis cannot lose."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.errors import StoreUnavailable
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, PageClient

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]


async def _send(page: PageClient, mobile: str = MOBILE) -> dict[str, Any]:
    return await page.ask("sms.send", mobile=mobile, purpose="register")


async def _go_to_bucket_second(stack: Stack, second: float, interval_s: int = 60) -> None:
    """Move time on to that second of a bucket, so that a test knows how much of it is left."""
    seconds, micros = await stack.redis.client.time()
    now = seconds + micros / 1_000_000 + stack.clock.offset_ms / 1000
    stack.clock.advance((second - now) % interval_s)


async def test_st_4_a_redis_that_lost_its_data_cannot_send_a_number_two_sms_in_an_interval(stack: Stack) -> None:
    """Also when the flush comes again and again, until the very end of the interval that the wait names."""
    page = await stack.page()
    await _go_to_bucket_second(stack, 10)
    assert (await _send(page))["type"] == "sms.queued"
    await stack.provider.nth(1)
    for _ in range(3):
        await stack.redis.each("FLUSHALL")
        refused = (await _send(page))["data"]
        assert refused["code"] == "sms_too_soon"
        assert 45 <= refused["params"]["retry_after"] <= 50
    await _go_to_bucket_second(stack, 59.1)
    assert (await _send(page))["data"]["params"] == {"retry_after": 1}
    stack.clock.advance(1)
    assert (await _send(page))["type"] == "sms.queued"
    await stack.provider.nth(2)
    assert [sms.mobile for sms in stack.provider.sent] == [MOBILE] * 2


async def test_st_4_parallel_sends_while_redis_forgets_are_accepted_once(stack: Stack) -> None:
    """Whatever gets past Redis meets the unique id in Mongo."""
    pages = [await stack.page() for _ in range(4)]
    await _go_to_bucket_second(stack, 10)

    async def forget() -> dict[str, Any]:
        await stack.redis.each("FLUSHALL")
        return {"type": "forgotten"}

    answers = await asyncio.gather(*(step for page in pages * 5 for step in (_send(page), forget())))
    outcomes = Counter(answer["data"]["code"] for answer in answers if answer["type"] == "error")
    accepted = [answer["type"] for answer in answers].count("sms.queued")
    # An accepted one may be forgotten before its state is read for the answer.
    assert accepted + outcomes["transaction_unknown"] == 1
    # A send whose announcement was forgotten meanwhile is refused as well.
    assert outcomes["sms_too_soon"] + outcomes["busy"] == 19
    assert await stack.mongo.db.outbox.count_documents({}) == 1
    assert len(stack.provider.sent) <= 1


async def test_st_4_what_the_second_check_refuses_costs_nothing(stack: Stack) -> None:
    """Neither the day's budget nor the interval in Redis, which would outlast the bucket."""
    page = await stack.page()
    await _go_to_bucket_second(stack, 10)
    await _send(page)
    await stack.provider.nth(1)
    await stack.redis.each("FLUSHALL")
    assert (await _send(page))["data"]["code"] == "sms_too_soon"
    # What operators see of it stays for a day.
    left = await stack.redis.client.keys("sms:*")
    assert [key for key in left if not any(part in key for part in (":trace", ":masked:"))] == []
    counted = await stack.mongo.db.counters.find_one({})
    assert counted["n"] == 1


async def test_st_4_a_code_whose_use_redis_forgot_makes_no_second_account(stack: Stack) -> None:
    """A replica that had not heard of it took over: the transaction is as before, and the unique indexes refuse."""
    page = await stack.page()
    transaction = (await _send(page))["data"]["transaction"]
    form = {"mobile": MOBILE, "sms_code": (await stack.provider.nth(1)).code}
    key = f"sms:{{{transaction[:8]}}}:tx:{transaction}"
    before = await stack.redis.client.hgetall(key)
    assert (await page.ask("user.register", transaction=transaction, password=PASSWORD, **form))[
        "type"
    ] == "user.registered"
    await stack.redis.client.hset(key, mapping=before)
    again = await page.ask("user.register", transaction=transaction, password="another " + PASSWORD, **form)
    assert again["data"]["code"] == "mobile_taken"
    assert await stack.mongo.db.users.count_documents({}) == 1


async def test_st_4_without_its_second_check_no_sms_leaves(stack: Stack) -> None:
    """Mongo wrote the document and its answer got lost: 503, and asking again at once succeeds."""
    page = await stack.page()
    store = stack.services.sending._outbox._store
    real = store.record

    async def lose_the_answer(*args: Any, **more: Any) -> bool:
        await real(*args, **more)
        store.record = real  # type: ignore[method-assign]
        raise StoreUnavailable("mongo", "answer lost")

    store.record = lose_the_answer  # type: ignore[method-assign]
    assert (await _send(page))["data"]["code"] == "unavailable"
    assert stack.provider.sent == []
    assert await stack.mongo.db.outbox.count_documents({}) == 0
    assert (await _send(page))["type"] == "sms.queued"


async def test_st_4_a_write_that_the_driver_repeated_is_no_second_send(stack: Stack) -> None:
    """After a failover it meets its own document."""
    store = stack.services.sending._outbox._store
    assert await store.record("a" * 32, 7, owner="me", at=1.0, day="2027-01-31")
    assert await store.record("a" * 32, 7, owner="me", at=1.0, day="2027-01-31")
    assert not await store.record("a" * 32, 7, owner="another", at=1.0, day="2027-01-31")
    assert await store.remove("a" * 32, "another") is None
    assert await store.remove("a" * 32, "me") == "2027-01-31"


async def test_rl_3_an_sms_that_failed_gives_its_bucket_back_before_the_page_hears_of_it(stack: Stack) -> None:
    """So that whoever asks again on being told is not refused; the budget keeps its count."""
    stack.provider.refuse("permanent")
    page = await stack.page()
    await _go_to_bucket_second(stack, 10)
    await _send(page)
    await page.state("failed")
    assert await stack.mongo.db.outbox.count_documents({}) == 0
    assert (await _send(page))["type"] == "sms.queued"
    assert (await stack.mongo.db.counters.find_one({}))["n"] == 2


async def test_with_limits_observed_the_second_check_counts_and_refuses_nothing(start: Start) -> None:
    """As all other limits."""
    stack = await start(LIMITS="observe", SMS_BUDGET_DAY="1")
    page = await stack.page()
    await _go_to_bucket_second(stack, 10)
    assert [(await _send(page))["type"] for _ in range(3)] == ["sms.queued"] * 3
    exposition = stack.services.metrics.exposition().decode()
    for dimension in ("outbox", "service_day"):
        assert f'haoma_limit_refusals_total{{action="sms.send",dimension="{dimension}"}} 2.0' in exposition


async def test_old_documents_clear_themselves_away_and_name_nobody(stack: Stack) -> None:
    """A TTL index on a date; the id is a keyed tag, not a number."""
    await _send(await stack.page())
    document = await stack.mongo.db.outbox.find_one({})
    assert (await stack.mongo.db.outbox.index_information())["expires_1"]["expireAfterSeconds"] == 0
    assert (document["expires"].timestamp() - document["at"]) == pytest.approx(86400, abs=1)
    assert MOBILE not in str(document)

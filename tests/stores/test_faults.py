"""Redis or Mongo is away, silent, or comes back. Nothing fails open."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from tornado.ioloop import IOLoop

from server.embedded import Urls
from server.errors import StoreUnavailable
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, PageClient, Relay, on_both_drivers

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
LIMITED = [
    ("mobile.check", {"mobile": MOBILE}),
    ("sms.send", {"mobile": MOBILE, "purpose": "register"}),
    ("captcha.new", {"purpose": "register"}),
    ("session.login", {"account": MOBILE, "password": PASSWORD}),
]


class Between:
    """A service whose stores are reached through relays."""

    def __init__(self, stack: Stack, redis: Relay, mongo: Relay) -> None:
        self.stack, self.redis, self.mongo = stack, redis, mongo


@pytest.fixture
def relays(io_loop: IOLoop, store_urls: Urls) -> Iterator[tuple[Relay, Relay]]:
    """To Redis and to Mongo. They outlast the service, as PyMongo forgets a socket that it is still connecting."""
    assert store_urls.redis_url is not None
    assert store_urls.mongo_url is not None
    address = store_urls.mongo_url.partition("@")[2].partition("/")[0]
    redis, mongo = Relay(store_urls.redis_url.removeprefix("unix://")), Relay(address)
    io_loop.run_sync(redis.start)
    io_loop.run_sync(mongo.start)
    yield redis, mongo
    io_loop.run_sync(redis.aclose)
    io_loop.run_sync(mongo.aclose)


@pytest.fixture
def between(io_loop: IOLoop, relays: tuple[Relay, Relay], start: Start, store_urls: Urls) -> Between:
    redis, mongo = relays
    assert store_urls.mongo_url is not None
    credentials, _, rest = store_urls.mongo_url.removeprefix("mongodb://").partition("@")
    options = rest.partition("/")[2].replace("haoma?", f"test_{time.time_ns()}?")

    async def run() -> Between:
        stack = await start(
            REDIS_URL=f"redis://127.0.0.1:{redis.port}",
            MONGO_URL=f"mongodb://{credentials}@127.0.0.1:{mongo.port}/{options}",
        )
        return Between(stack, redis, mongo)

    found: Between = io_loop.run_sync(run)
    return found


async def _until_ready(stack: Stack, ready: bool) -> None:
    rest = stack.rest()
    async with asyncio.timeout(8):
        while ((await rest.get("/readyz")).status == 200) != ready:
            pass


@pytest.mark.parametrize("fault", ["cut", "hang"])
async def test_st_1_rl_9_without_redis_limited_actions_are_refused_not_let_through(
    between: Between, fault: str
) -> None:
    """503 with a wait on both transports; alive but not ready; the page's socket stays and is told."""
    page, rest = await between.stack.page(), between.stack.rest()
    await page.ask("ping")
    await _break(between.redis, fault)
    for kind, data in LIMITED:
        answer = await page.ask(kind, **data)
        assert answer["data"]["code"] == "unavailable", kind
        assert answer["data"]["params"]["retry_after"] >= 1
    answer = await rest.get(f"/user/mobile/{MOBILE}/")
    assert (answer.status, answer.error["code"], answer.headers["Retry-After"]) == (503, "unavailable", "1")
    assert (await page.next_event("degraded"))["data"] == {"what": "redis"}
    assert (await rest.get("/healthz")).status == 200
    assert (await rest.get("/readyz")).status == 503
    assert between.stack.provider.sent == []
    await _mend(between.redis, fault)
    assert (await page.next_event("restored"))["data"] == {"what": "redis"}
    await _until_works(page)


async def test_st_1_after_an_outage_pushes_work_again_without_a_restart(between: Between) -> None:
    """The subscription is made anew, and what was missed is mended."""
    page, other = await between.stack.page(), await between.stack.page()
    await page.ask("mobile.check", mobile=MOBILE)
    await between.redis.cut()
    assert (await page.next_event("degraded"))["data"] == {"what": "redis"}
    await between.redis.start()
    assert (await page.next_event("restored"))["data"] == {"what": "redis"}
    queued = await _until_works(other, mobile="15400000077")
    assert (await page.ask("sms.watch", transaction=queued["transaction"]))["type"] == "sms.state"
    await between.stack.services.accounts._events.publish("events:mobiles", kind="mobile.taken", mobile=MOBILE)
    assert (await page.next_event("mobile.taken"))["data"] == {"mobile": MOBILE}


@pytest.mark.parametrize("fault", ["cut", "hang"])
async def test_a_provider_s_yes_outlasts_an_outage_of_redis(between: Between, fault: str) -> None:
    """Redis goes while the provider is being asked: what was taken is recorded when it is back, not sent again."""
    stack = between.stack
    page = await stack.page()
    stack.provider.gate.clear()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await stack.provider.asked.wait()
    await _break(between.redis, fault)
    stack.provider.gate.set()
    sms = await stack.provider.nth(1)
    assert (await page.next_event("degraded"))["data"] == {"what": "redis"}
    await _mend(between.redis, fault)
    assert (await page.next_event("restored"))["data"] == {"what": "redis"}
    async with asyncio.timeout(20):
        while (await stack.redis.call("HGET", f"jobs:{{sms}}:job:{sms.id}", "status")) != "done":
            await asyncio.sleep(0.01)
    state = (await page.ask("sms.watch", transaction=queued["transaction"]))["data"]
    assert (state["status"], len(stack.provider.sent)) == ("delivered", 1)


@on_both_drivers
@pytest.mark.parametrize("fault", ["cut", "hang"])
async def test_st_5_without_mongo_uniqueness_is_unknown_never_free(between: Between, fault: str) -> None:
    """null on the websocket, 503 by REST, and no SMS, no account, no token."""
    page, *others = [await between.stack.page() for _ in range(4)]
    rest = between.stack.rest()
    await asyncio.gather(*(each.ask("ping") for each in (page, *others)))
    await _break(between.mongo, fault)
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": "123456", "transaction": "a.b"}
    checked, answer, refused, registered, login = await asyncio.gather(
        page.ask("mobile.check", mobile=MOBILE),
        rest.get(f"/user/mobile/{MOBILE}/"),
        others[0].ask("sms.send", mobile=MOBILE, purpose="register"),
        others[1].ask("user.register", **form),
        others[2].ask("session.login", account=MOBILE, password=PASSWORD),
    )
    assert checked["data"] == {"mobile": MOBILE, "available": None}
    assert (answer.status, answer.error["code"]) == (503, "check_unavailable")
    assert refused["data"]["code"] == "check_unavailable"
    assert registered["data"]["code"] == "unavailable"
    assert login["data"]["code"] == "unavailable"
    assert between.stack.provider.sent == []
    await _until_ready(between.stack, False)
    await _mend(between.mongo, fault)
    await _until_ready(between.stack, True)
    assert (await page.ask("mobile.check", mobile=MOBILE))["data"]["available"] is True


@on_both_drivers
async def test_st_6_a_lost_answer_to_the_insert_is_found_out_by_the_same_request(between: Between) -> None:
    """The account was written but nobody heard: not acknowledged, and trying again tells the truth."""
    page = await between.stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    code = (await between.stack.provider.nth(1)).code
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": code, "transaction": queued["transaction"]}
    users = between.stack.services.accounts._users
    real_insert = users._users.insert_one

    async def insert_and_lose_the_answer(user: dict[str, Any]) -> None:
        await real_insert(user)
        between.mongo.hang()
        raise AutoReconnect("answer lost")

    users._users = _Collection(users._users, insert_and_lose_the_answer)
    refused = await page.ask("user.register", **form)
    assert refused["data"]["code"] == "result_unknown"
    users._users = users._users.real
    between.mongo.flow()
    await _until_ready(between.stack, True)
    answer = await page.ask("user.register", **form)
    assert answer["type"] == "user.registered", answer
    assert await between.stack.mongo.db.users.count_documents({"mobile": MOBILE}) == 1


@on_both_drivers
async def test_st_6_a_lost_answer_whose_write_can_be_read_back_is_a_success(between: Between) -> None:
    """The service looks by `_id` before it answers."""
    page = await between.stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    code = (await between.stack.provider.nth(1)).code
    users = between.stack.services.accounts._users
    real_insert = users._users.insert_one

    async def insert_and_lose_the_answer(user: dict[str, Any]) -> None:
        await real_insert(user)
        raise AutoReconnect("answer lost")

    users._users = _Collection(users._users, insert_and_lose_the_answer)
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": code, "transaction": queued["transaction"]}
    assert (await page.ask("user.register", **form))["type"] == "user.registered"


@pytest.mark.parametrize("written", [False, True])
async def test_pr_2_a_registration_whose_process_died_is_finished_by_the_same_request(
    stack: Stack, written: bool
) -> None:
    """Before or after the account was written: nobody let go of the code. When its hold has lapsed the same request
    makes the account, or finds it, and there is one."""
    page = await stack.page()
    transaction = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]["transaction"]
    code = (await stack.provider.nth(1)).code
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": code, "transaction": transaction}
    users, codes = stack.services.accounts._users, stack.services.codes

    async def never_written(user: dict[str, Any]) -> bool:
        raise StoreUnavailable("mongo", "as if we had died")

    async def never_settled(step: Coroutine[Any, Any, bool]) -> None:
        step.close()

    with pytest.MonkeyPatch.context() as dead:
        dead.setattr(codes, "_settle", never_settled)
        if not written:
            dead.setattr(users, "insert", never_written)
        await page.ask("user.register", **form)
    assert await stack.mongo.db.users.count_documents({}) == int(written)
    assert (await page.ask("user.register", **form))["type"] == "error", "it may still be under way"
    stack.clock.advance(21)
    assert (await page.ask("user.register", **form))["type"] == "user.registered"
    assert await stack.mongo.db.users.count_documents({}) == 1


class _Collection:
    """A collection one of whose calls fails as the network would make it fail."""

    def __init__(self, real: Any, insert_one: Any) -> None:
        self.real, self.insert_one = real, insert_one

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


async def _break(relay: Relay, fault: str) -> None:
    if fault == "cut":
        await relay.cut()
    else:
        relay.hang()


async def _mend(relay: Relay, fault: str) -> None:
    if fault == "cut":
        await relay.start()
    else:
        relay.flow()


async def _until_works(page: PageClient, mobile: str = MOBILE) -> dict[str, Any]:
    async with asyncio.timeout(8):
        while True:
            answer = await page.ask("sms.send", mobile=mobile, purpose="register")
            if answer["type"] == "sms.queued":
                await page.state("delivered")
                return dict(answer["data"])
            await asyncio.sleep(0.1)


async def test_after_redis_lost_all_its_data_the_queue_works_again(stack: Stack) -> None:
    """The consumer group is made anew; nobody has to restart anything."""
    await stack.redis.client.flushall()
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    await page.state("delivered")


@pytest.mark.parametrize("together", [1, 2])
async def test_a_watch_that_cannot_be_promised_is_refused_and_leaves_nothing_behind(
    between: Between, together: int
) -> None:
    """Also when two pages ask for the same number at once."""
    pages = [await between.stack.page() for _ in range(together)]
    events = between.stack.services.countdowns._events
    before = set(events._listeners)
    between.redis.hang()
    listeners = [lambda topic, data: None for _ in pages]
    done = await asyncio.gather(*(events.subscribe("events:sms:x", one) for one in listeners), return_exceptions=True)
    assert [type(one) for one in done] == [StoreUnavailable] * together
    assert set(events._listeners) == before
    between.redis.flow()


async def test_a_subscription_that_broke_is_made_anew_and_says_so(stack: Stack) -> None:
    """Even a message that nobody can read ends it for a moment only."""
    page = await stack.page()
    await page.ask("mobile.check", mobile=MOBILE)
    gaps: asyncio.Queue[int] = asyncio.Queue()
    events = stack.services.accounts._events
    events.on_gap(lambda: gaps.put_nowait(1))
    for breakage in (("PUBLISH", "events:mobiles", "no json"), ("CLIENT", "KILL", "TYPE", "pubsub")):
        await stack.redis.client.execute_command(*breakage)
        async with asyncio.timeout(5):
            await gaps.get()
    await events.publish("events:mobiles", kind="mobile.taken", mobile=MOBILE)
    assert (await page.next_event("mobile.taken"))["data"] == {"mobile": MOBILE}

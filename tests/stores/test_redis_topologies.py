"""Behind Sentinels and in a Cluster: everything works, and goes on without a restart when a master dies."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.errors import StoreTooOld, StoreUnavailable
from server.events import EventBus
from server.stores.redis import CALL_TIMEOUT_S, Redis
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, FakeClock, PageClient
from tests.rigs import ClusterRig, SentinelRig, Server, session

pytestmark = pytest.mark.gen_test(timeout=130)
Start = Callable[..., Coroutine[Any, Any, Stack]]
Rig = SentinelRig | ClusterRig
SESSION = "session:{a}"


@asynccontextmanager
async def opened(rig: Rig, replicas: int = 0) -> AsyncIterator[Redis]:
    redis = Redis(rig.url, clock=FakeClock(), replicas=replicas)
    try:
        await redis.each("FLUSHALL")
        yield redis
    finally:
        await redis.aclose()


async def open_session(redis: Redis, key: str = SESSION, *, durable: bool = False) -> Any:
    return await redis.run("open_session", *session(key), "hash", 60_000, 60_000, 10, 1, "id", "1", durable=durable)


async def until_works(work: Callable[[], Coroutine[Any, Any, Any]]) -> list[str]:
    """Try until it is done; why it was not, each time. No try takes longer than a call may."""
    faults = []
    async with asyncio.timeout(20):
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S + 0.3):
                    await work()
                return faults
            except StoreUnavailable as fault:
                faults.append(str(fault))
                await asyncio.sleep(0.05)


def master_of(rig: Rig, key: str = SESSION) -> Server:
    return rig.master if isinstance(rig, SentinelRig) else rig.owner(key)


def keys_of_each(rig: ClusterRig) -> list[str]:
    """One session for each master."""
    found = {rig.owner(key).port: key for key in (f"session:{{{number}}}" for number in range(30))}
    assert len(found) == 3
    return list(found.values())


async def test_the_whole_flow_passes(rig: Rig, start: Start) -> None:
    """From the check to the end of a session; all keys of every step lie together, or a Cluster would refuse it."""
    stack = await start(REDIS_URL=rig.url, REDIS_WAIT_REPLICAS="1")
    page, rest, other = await stack.page(), stack.rest(), await stack.page()
    await other.ask("mobile.check", mobile=MOBILE)
    assert (await page.ask("mobile.check", mobile=MOBILE))["data"]["available"] is True
    assert (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["type"] == "sms.queued"
    transaction = (await page.state("delivered"))["transaction"]
    sms = await stack.provider.nth(1)
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": sms.code, "transaction": transaction}
    assert (await page.ask("user.register", **form))["type"] == "user.registered"
    assert (await other.next_event("mobile.taken"))["data"] == {"mobile": MOBILE}
    login = await rest.post("/user/login/", {"account": MOBILE, "password": PASSWORD})
    cookie = str(login.headers["Set-Cookie"]).partition(";")[0]
    assert (await rest.post("/user/refresh/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")).status == 200
    bearer = {"Authorization": f"Bearer {login.body['token']}"}
    assert len((await rest.get("/user/sessions/", **bearer)).body["sessions"]) == 2
    assert (await rest.ask("DELETE", "/user/sessions/", **bearer)).status == 204
    assert (await page.next_event("session.ended"))["data"] == {"reason": "ended"}
    assert (await rest.get("/readyz")).status == 200


async def test_a_master_that_dies_is_followed_to_its_replica_without_a_restart(rig: Rig) -> None:
    """Steps, single commands and the subscription; no call hangs meanwhile."""
    async with opened(rig) as redis:
        events, heard = EventBus(redis, clock=FakeClock()), asyncio.Queue[Any]()
        await events.start()
        await events.subscribe("events:x", lambda topic, data: heard.put_nowait(data["number"]))
        master_of(rig).kill()
        faults = await until_works(lambda: open_session(redis))
        assert faults, "it was the master that was killed"
        await until_works(lambda: redis.call("SET", SESSION, 1))
        async with asyncio.timeout(20):
            while heard.empty():
                await events.publish("events:x", number=1)
                await asyncio.sleep(0.1)
        await events.aclose()


async def test_a_master_that_is_silent_is_replaced_and_what_it_says_later_does_no_harm(rig: Rig) -> None:
    """When it wakes it believes for a moment to be master still."""
    async with opened(rig) as redis:
        await open_session(redis)
        asleep = master_of(rig)
        asleep.pause()
        assert await until_works(lambda: open_session(redis))
        asleep.resume()
        for _ in range(20):
            await until_works(lambda: redis.call("INCR", "{a}count"))
        assert int(await redis.call("GET", "{a}count")) == 20


async def test_on_a_cluster_only_the_slots_of_the_lost_master_are_out(cluster_rig: ClusterRig) -> None:
    """Others go on as if nothing had been, and so does what needs no key."""
    async with opened(cluster_rig) as redis:
        lost, *others = keys_of_each(cluster_rig)
        cluster_rig.owner(lost).pause()
        down = asyncio.create_task(until_works(lambda: open_session(redis, lost)))
        while not down.done():
            for key in others:
                assert await open_session(redis, key) == 1
            await asyncio.sleep(0.02)
        assert down.result()


async def test_a_node_of_a_cluster_does_not_pass_for_a_redis_of_its_own(cluster_rig: ClusterRig) -> None:
    """Two thirds of all keys would be refused; and one node that may evict is one too many."""
    async with opened(cluster_rig) as redis:
        await redis.require_usable()
        node = cluster_rig.masters[1]
        alone = Redis(f"redis://127.0.0.1:{node.port}", clock=FakeClock())
        with pytest.raises(StoreTooOld, match=r"redis\+cluster"):
            await alone.require_usable()
        await alone.aclose()
        node.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        with pytest.raises(StoreTooOld, match="noeviction"):
            await redis.require_usable()
        node.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_node_of_the_address_that_is_gone_is_passed_over(cluster_rig: ClusterRig) -> None:
    """The first question is answered, by the others."""
    scheme, _, hosts = cluster_rig.url.partition("://")
    redis = Redis(f"{scheme}://127.0.0.1:1,{hosts}", clock=FakeClock())
    await redis.require_usable()
    await redis.aclose()


async def test_a_step_follows_its_slot_to_another_node(cluster_rig: ClusterRig) -> None:
    """While the slot is moving (ASK) and after it has moved (MOVED); it is run once."""
    async with opened(cluster_rig) as redis:
        one, two, _ = keys_of_each(cluster_rig)
        source, target = cluster_rig.owner(one), cluster_rig.owner(two)
        slot, names = source.ask("CLUSTER", "KEYSLOT", one), [s.ask("CLUSTER", "MYID") for s in (source, target)]
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
        step = "limit", [one], '[[false, ""]]', "observe", '[[1, "rate", false, 1000, 0, "r"]]'
        assert await asyncio.gather(*(redis.run(*step) for _ in range(3)))
        assert await redis.call("EXISTS", one) == 1
        assert target.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
        for server in (target, source):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", names[1])
        assert await open_session(redis, f"{one}x") == 1
        assert await redis.call("DEL", one, f"{one}x", f"{one}x:all") == 3
        assert source.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
        await _give_back(cluster_rig, slot, source, names[0])


async def _give_back(rig: ClusterRig, slot: int, server: Server, name: str) -> None:
    server.ask("CLUSTER", "SETSLOT", slot, "NODE", name)
    server.ask("CLUSTER", "BUMPEPOCH")
    async with asyncio.timeout(20):
        while not all(_owns(teller, slot, server.port) for teller in rig.servers):
            await asyncio.sleep(0.05)


def _owns(teller: Server, slot: int, port: int) -> bool:
    return any(
        first <= slot <= last and place[1] == port for first, last, place, *_ in teller.ask("CLUSTER", "SLOTS")
    )


async def test_a_durable_step_counts_only_when_a_replica_has_it(rig: Rig) -> None:
    """A second try that finds its work done does not count either; steps that are not durable do not wait."""
    async with opened(rig, replicas=1) as redis:
        end = ("end_session", *session(SESSION), "reason", "0" * 64)
        assert await asyncio.gather(open_session(redis, durable=True), redis.run(*end, durable=True)) == [1, 0]
        master = master_of(rig)
        replica = int(master.info()["slave0"]["port"])
        asleep = next(server for server in rig.servers if server.port == replica)
        asleep.pause()
        done = await asyncio.gather(open_session(redis, durable=True), redis.run(*end), return_exceptions=True)
        assert [str(one) for one in done] == ["redis: not replicated", "0"]
        again = Redis(rig.url, clock=FakeClock(), replicas=1)
        # It has to connect first, and may run out of time before the replica has.
        with pytest.raises(StoreUnavailable, match=r"not replicated|TimeoutError"):
            await again.run(*end, durable=True)
        await again.aclose()
        asleep.resume()
        assert await until_works(lambda: open_session(redis, durable=True)) in (
            [],
            ["redis: not replicated"],
            ["redis: TimeoutError"],
        )


async def test_nothing_acknowledged_is_lost_when_a_master_dies_under_load(rig: Rig, start: Start) -> None:
    """With REDIS_WAIT_REPLICAS=1 each accepted SMS is known afterwards, and is delivered or said to have failed."""
    stack = await start(REDIS_URL=rig.url, REDIS_WAIT_REPLICAS="1", LIMITS="observe")
    page, turns, killed = await stack.page(), asyncio.Semaphore(20), []
    accepted: dict[str, str] = {}
    stack.provider.gate.clear()

    async def send(mobile: str) -> None:
        async with turns:
            answer = await page.ask("sms.send", mobile=mobile, purpose="register")
        if answer["type"] == "sms.queued":
            accepted[mobile] = answer["data"]["transaction"]
        if len(accepted) == 100 and not killed:
            killed.append(master_of(rig, "jobs:{sms}:stream"))
            killed[0].kill()

    await asyncio.gather(*(send(f"154{number:08}") for number in range(200)))
    stack.provider.gate.set()
    assert killed
    async with asyncio.timeout(90):
        for mobile, transaction in accepted.items():
            await _ended(stack, page, mobile, transaction)


async def _ended(stack: Stack, page: PageClient, mobile: str, transaction: str) -> None:
    while True:
        answer = await page.ask("sms.watch", transaction=transaction)
        assert answer["data"].get("code") in (None, "unavailable"), answer
        delivered = any(sms.mobile.endswith(mobile) for sms in stack.provider.sent)
        if answer["type"] == "sms.state" and (delivered or answer["data"]["status"] == "failed"):
            return
        await asyncio.sleep(0.1)

"""Which numbers are free is answered from Redis, and what is taken is never called free."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from server.embedded import Urls
from server.errors import StoreUnavailable
from server.stores.free_numbers import HOLD_S, READING_S, FreeNumbers
from server.stores.mongo import Mongo
from server.stores.registry import HEARD_S, RegistryStore
from server.stores.users import UserStore
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, FakeClock, Relay, on_both_drivers
from tests.people import bearer, code_for, sign_up
from tests.rigs import ClusterRig

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
BLOCK, OTHER = MOBILE[:7], "15400000002"


class SteadyClock(FakeClock):
    """Also its seconds for measuring move only when the test says so."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Mirror:
    """What one process knows of the numbers, on the stores of a running service but without its keeper."""

    def __init__(self, stack: Stack, mongo: Mongo | None = None) -> None:
        self.mongo, self.redis, self.clock = mongo or stack.mongo, stack.redis, SteadyClock()
        self.free = FreeNumbers(self.redis, stack.users._free._tagger)
        self.users = UserStore(self.mongo, self.free)
        self.registry = RegistryStore(self.mongo, self.free, clock=self.clock)
        self.missed: list[str] = []
        self.registry.on_miss(self.missed.append)

    async def register(self, mobile: str = MOBILE) -> dict[str, Any]:
        """An account that has just a number."""
        user = {"_id": mobile, "mobile": mobile, "username": mobile, "transaction": mobile, "version": 1}
        assert await self.users.insert(user)
        return user

    async def bit(self, mobile: str = MOBILE) -> int:
        return int(await self.redis.call("GETBIT", self.free.bitmap(mobile[:7]), int(mobile[7:])))

    async def set_bit(self, mobile: str, bit: int) -> None:
        await self.redis.call("SETBIT", self.free.bitmap(mobile[:7]), int(mobile[7:]), bit)

    async def asks_mongo(self, *mobiles: str) -> int:
        """Of how many of them Mongo is asked. Whether it is there was seen a moment ago."""
        await self.registry.taken([])
        await self.registry.hear()
        before = self.registry.answers["mongo"]
        await self.registry.taken(mobiles)
        return self.registry.answers["mongo"] - before


@pytest.fixture
def mirror(stack: Stack) -> Mirror:
    return Mirror(stack)


@on_both_drivers
async def test_a_free_number_costs_no_question_to_mongo_once_its_block_was_read(mirror: Mirror) -> None:
    """And a taken one always does, as do those of a block that nobody has read."""
    await mirror.register()
    assert await mirror.asks_mongo(OTHER) == 1
    assert mirror.missed == [BLOCK]
    mirror.redis._clock.offset_ms += HOLD_S * 1000
    assert await mirror.registry.load(BLOCK) == "made"
    assert await mirror.asks_mongo(OTHER, "15400009999", "15400000000") == 0
    assert await mirror.asks_mongo(MOBILE) == 1
    assert await mirror.asks_mongo("15400010000") == 1
    assert await mirror.registry.taken([MOBILE, OTHER, "15400010000"]) == {MOBILE}


async def test_old_data_that_is_no_number_does_not_stand_in_the_way(mirror: Mirror) -> None:
    """A block is read with whatever else lies between its first and its last number."""
    odd = [f"{BLOCK}00011", f"{BLOCK}12x4", f"{BLOCK}9"]
    await mirror.mongo.db.users.insert_many(
        [{"_id": it, "mobile": it, "username": it, "transaction": it} for it in (*odd, OTHER)]
    )
    assert await mirror.registry.load(BLOCK) == "made"
    assert [await mirror.bit(mobile) for mobile in (MOBILE, OTHER)] == [1, 0]


async def test_more_users_than_are_read_at_once_are_all_seen(mirror: Mirror) -> None:
    """700 in one block: two answers of Mongo."""
    mobiles = [f"{BLOCK}{number:04}" for number in range(0, 10_000, 14)]
    await mirror.mongo.db.users.insert_many(
        [{"_id": it, "mobile": it, "username": it, "transaction": it} for it in mobiles]
    )
    assert await mirror.registry.load(BLOCK) == "made"
    wrong = [number for number in range(10_000) if await mirror.bit(f"{BLOCK}{number:04}") != bool(number % 14)]
    assert wrong == []


async def test_a_number_is_withdrawn_before_its_account_is_written(mirror: Mirror) -> None:
    """Whoever is killed between the two, or right after, leaves nobody who is told that it is free."""
    await mirror.registry.load(BLOCK)
    bits = []

    class Watched:
        async def insert_one(self, user: dict[str, Any]) -> None:
            bits.append(await mirror.bit(user["mobile"]))
            raise asyncio.CancelledError

        async def update_one(self, known: Any, step: dict[str, Any]) -> None:
            bits.append(await mirror.bit(step["$set"]["mobile"]))
            raise asyncio.CancelledError

    mirror.users._users = Watched()
    with pytest.raises(asyncio.CancelledError):
        await mirror.users.insert({"_id": "u", "mobile": MOBILE})
    with pytest.raises(asyncio.CancelledError):
        await mirror.users.change({"_id": "u", "version": 1}, mobile=OTHER)
    assert bits == [0, 0]


async def test_without_redis_nobody_takes_a_number(mirror: Mirror) -> None:
    """Or it would go on being called free by those who still reach it."""
    await mirror.redis.aclose()
    with pytest.raises(StoreUnavailable):
        await mirror.register()
    assert await mirror.users.get(mobile=MOBILE) is None


async def test_without_redis_mongo_is_asked(mirror: Mirror) -> None:
    """The answers stay right."""
    await mirror.register()
    await mirror.registry.taken([OTHER])
    await mirror.redis.aclose()
    assert await mirror.registry.taken([MOBILE, OTHER]) == {MOBILE}


async def test_a_registration_while_a_block_is_read_is_not_lost(mirror: Mirror) -> None:
    """Written after its reader looked into Mongo: what was read is thrown away."""
    pen = await mirror.free.begin(BLOCK)
    read = await mirror.registry._read(BLOCK)
    await mirror.register()
    assert await mirror.free.fill(BLOCK, pen, read) == "overtaken"
    assert await mirror.registry.taken([MOBILE]) == {MOBILE}
    assert await mirror.bit() == 0


async def test_no_block_is_read_while_an_account_of_it_is_written(mirror: Mirror) -> None:
    """Withdrawn, and on its way to Mongo: whoever read now would miss it."""
    await mirror.free.withdraw(MOBILE)
    assert await mirror.registry.load(BLOCK) == "busy"
    mirror.redis._clock.offset_ms += HOLD_S * 1000 - 100
    assert await mirror.registry.load(BLOCK) == "busy"
    mirror.redis._clock.offset_ms += 100
    assert await mirror.registry.load(BLOCK) == "made"


async def test_a_flush_while_a_block_is_read_undoes_the_reading(mirror: Mirror) -> None:
    """With the pen went the word of whoever registered meanwhile."""
    pen = await mirror.free.begin(BLOCK)
    read = await mirror.registry._read(BLOCK)
    await mirror.register()
    await mirror.redis.each("FLUSHALL")
    assert await mirror.free.fill(BLOCK, pen, read) == "overtaken"
    assert await mirror.bit() == 0


async def test_a_freed_number_is_mended_when_it_is_asked_for(mirror: Mirror) -> None:
    """Deleting touches no bit, so it cannot undo that of whoever takes the number next."""
    user = await mirror.register()
    mirror.redis._clock.offset_ms += HOLD_S * 1000
    await mirror.registry.load(BLOCK)
    await mirror.users.delete(user)
    assert await mirror.bit() == 0
    assert await mirror.registry.taken([MOBILE]) == set()
    assert mirror.missed == [BLOCK]
    assert await mirror.registry.load(BLOCK) == "mended"
    assert await mirror.bit() == 1


async def test_a_bit_that_is_too_kind_ends_with_the_next_try_to_register(mirror: Mirror) -> None:
    """As a failover of Redis may leave one: the unique index refuses, and the bit is right from then on."""
    await mirror.register()
    await mirror.set_bit(MOBILE, 1)
    user = {"_id": "second", "mobile": MOBILE, "username": "second", "transaction": "second"}
    assert not await mirror.users.insert(user)
    assert await mirror.bit() == 0
    assert await mirror.registry.taken([MOBILE]) == {MOBILE}


async def test_of_two_processes_that_want_a_block_one_reads_it(mirror: Mirror, stack: Stack) -> None:
    """The other is told to leave it."""
    other = Mirror(stack)
    done = await asyncio.gather(*(one.registry.load(BLOCK) for one in (mirror, other)))
    assert sorted(done) == ["busy", "made"]


async def test_a_reader_that_was_killed_is_replaced_and_does_no_harm_when_it_was_only_slow(mirror: Mirror) -> None:
    """After ten seconds another reads the block; what the first one read counts no more."""
    pen = await mirror.free.begin(BLOCK)
    read = await mirror.registry._read(BLOCK)
    assert await mirror.registry.load(BLOCK) == "busy"
    mirror.redis._clock.offset_ms += READING_S * 1000
    assert await mirror.registry.load(BLOCK) == "made"
    await mirror.register()
    assert await mirror.free.fill(BLOCK, pen, read) == "overtaken"
    assert await mirror.bit() == 0


async def test_a_bitmap_is_of_short_life(mirror: Mirror) -> None:
    """So whatever is wrong in one, for reasons that nobody has thought of, is read anew within 30 hours; and they do
    not all end in the same moment."""
    blocks = [f"154{number:04}" for number in range(8)]
    for block in blocks:
        await mirror.registry.load(block)
    await mirror.register(f"{blocks[0]}0000")
    lives = {await mirror.redis.call("TTL", mirror.free.bitmap(block)) for block in blocks}
    assert all(18 * 3600 - 5 <= life <= 30 * 3600 for life in lives)
    assert len(lives) > 1


@pytest.fixture
def relay(io_loop: IOLoop, store_urls: Urls) -> Iterator[Relay]:
    """Before Mongo."""
    assert store_urls.mongo_url is not None
    relay = Relay(store_urls.mongo_url.partition("@")[2].partition("/")[0])
    io_loop.run_sync(relay.start)
    yield relay
    io_loop.run_sync(relay.aclose)


@asynccontextmanager
async def behind(relay: Relay, stack: Stack) -> AsyncIterator[Mirror]:
    """A process that reaches Mongo through `relay`, and knows that MOBILE is free."""
    credentials, _, rest = stack.settings.mongo_url.partition("@")
    mongo = Mongo(f"{credentials}@127.0.0.1:{relay.port}/{rest.partition('/')[2]}", stack.settings.mongo_driver)
    mirror = Mirror(stack, mongo)
    await mirror.registry.load(BLOCK)
    assert await mirror.asks_mongo(MOBILE) == 0
    yield mirror
    await mongo.aclose()


@on_both_drivers
async def test_st_5_a_bit_is_believed_for_a_second_after_mongo_was_heard(relay: Relay, stack: Stack) -> None:
    """Silent, not refusing: nobody can know it earlier. Then it is unknown, never free."""
    async with behind(relay, stack) as mirror:
        relay.hang()
        assert await mirror.registry.taken([MOBILE]) == set()
        assert await mirror.registry.surely_free([MOBILE]) == {MOBILE}
        mirror.clock.seconds += HEARD_S
        assert await mirror.registry.surely_free([MOBILE]) == set()
        with pytest.raises(StoreUnavailable):
            await mirror.registry.taken([MOBILE])
        relay.flow()
        assert await mirror.asks_mongo(MOBILE) == 0


@on_both_drivers
async def test_st_5_no_bit_is_believed_when_mongo_has_failed(relay: Relay, stack: Stack) -> None:
    """Whoever finds that out, a check or the ear, from then on it is unknown at once."""
    async with behind(relay, stack) as mirror:
        await relay.cut()
        with pytest.raises(StoreUnavailable):
            await mirror.registry.hear()
        assert await mirror.registry.surely_free([MOBILE]) == set()
        with pytest.raises(StoreUnavailable):
            await mirror.registry.taken([MOBILE])
        await relay.start()
        await mirror.registry.taken([MOBILE])
        assert await mirror.asks_mongo(MOBILE) == 0


async def test_bits_follow_what_people_do(stack: Stack) -> None:
    """Registering, moving to another number and leaving, over REST; a page is told the truth after each."""
    mirror, rest, page = Mirror(stack), stack.rest(), await stack.page()

    async def available() -> list[bool]:
        answers = [await page.ask("mobile.check", mobile=mobile) for mobile in (MOBILE, OTHER)]
        return [answer["data"]["available"] for answer in answers]

    await until_free(mirror, stack)
    token = (await sign_up(stack)).body["token"]
    assert await available() == [False, True]
    await until_free(mirror, stack, OTHER)
    assert await mirror.bit() == 0
    old = await code_for(stack, MOBILE, "change-old", token)
    new = await code_for(stack, OTHER, "change-new", token)
    form = {"password": PASSWORD, "new_mobile": OTHER} | old | {f"new_{name}": text for name, text in new.items()}
    moved = await rest.post("/user/mobile/", form, **bearer(token))
    assert moved.status == 200, moved.body
    assert await available() == [True, False]
    assert await mirror.bit(OTHER) == 0
    gone = await rest.ask(
        "DELETE", "/user/me/", {"password": PASSWORD}, **bearer(token), Content_Type="application/json"
    )
    assert gone.status == 204, gone.body
    assert await available() == [True, True]
    stack.clock.advance(HOLD_S)
    await until_free(mirror, stack)
    assert await mirror.bit(OTHER) == 1


async def until_free(mirror: Mirror, stack: Stack, mobile: str = MOBILE) -> None:
    """Ask for a number, more often than a page may, until the service has read its block."""
    async with asyncio.timeout(20):
        while not await mirror.bit(mobile):
            assert await stack.services.mobiles.available(mobile)


async def test_after_a_flush_the_answers_stay_right_and_the_blocks_come_back(stack: Stack) -> None:
    """Nobody has to do anything, and nobody is told that a taken number is free."""
    mirror, page = Mirror(stack), await stack.page()
    await sign_up(stack)
    await until_free(mirror, stack, OTHER)
    await stack.redis.each("FLUSHALL")
    checks = [page.ask("mobile.check", mobile=mobile) for mobile in (MOBILE, OTHER)]
    assert [answer["data"]["available"] for answer in await asyncio.gather(*checks)] == [False, True]
    await until_free(mirror, stack, OTHER)
    assert await mirror.bit() == 0


async def test_on_a_cluster_the_blocks_are_spread_and_one_that_is_lost_is_asked_of_mongo(
    cluster_rig: ClusterRig, start: Start
) -> None:
    """Three masters, none of which is needed for a right answer about a number."""
    mobiles = [f"154{number:04}0001" for number in range(12)]
    stack = await start(REDIS_URL=cluster_rig.url)
    mirror = Mirror(stack)
    assert len({cluster_rig.owner(mirror.free.bitmap(mobile[:7])).port for mobile in mobiles}) == 3
    await mirror.register(mobiles[0])
    for mobile in mobiles[1:]:
        assert await mirror.registry.load(mobile[:7]) == "made"
    assert await mirror.asks_mongo(*mobiles) == 1
    lost = cluster_rig.owner(mirror.free.bitmap(mobiles[1][:7]))
    lost.pause()
    assert await mirror.registry.taken(mobiles) == {mobiles[0]}
    lost.resume()

"""Whatever happens in whatever order: no bit calls a number free that is taken, and every answer is right."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tornado.ioloop import IOLoop

from server.stores.free_numbers import HOLD_S, READING_S
from tests.conftest import Stack
from tests.stores.test_registry import Mirror

MOBILES = ["15400000001", "15400000002"]
BLOCK = MOBILES[0][:7]
mobiles = st.sampled_from(MOBILES)
ACTS = st.one_of(
    st.tuples(st.just("withdraw"), mobiles),
    st.tuples(st.just("write"), mobiles),
    st.tuples(st.just("delete"), mobiles),
    st.tuples(st.just("change"), mobiles, mobiles),
    st.tuples(st.just("look")),
    st.tuples(st.just("fill")),
    st.tuples(st.just("lose"), mobiles),
    st.tuples(st.just("flush")),
    st.tuples(st.just("wait"), st.sampled_from([READING_S, HOLD_S])),
)


class Story:
    """Accounts and readers of blocks whose steps fall between each other's."""

    def __init__(self, stack: Stack) -> None:
        self.mirror = Mirror(stack)
        self.stack = stack
        self.holders: dict[str, dict[str, Any]] = {}
        self.made = 0
        self.withdrawn: set[str] = set()
        self.read: list[tuple[str, list[int]]] = []

    async def play(self, acts: list[tuple[Any, ...]]) -> None:
        await self.stack.mongo.db.users.delete_many({})
        await self.stack.redis.each("FLUSHALL")
        for act, *about in acts:
            await getattr(self, act)(*about)
            for mobile in MOBILES:
                assert not (mobile in self.holders and await self.mirror.bit(mobile)), "a taken number is called free"
            assert await self.mirror.registry.taken(MOBILES) == set(self.holders)

    async def withdraw(self, mobile: str) -> None:
        """The first half of a registration."""
        await self.mirror.free.withdraw(mobile)
        self.withdrawn.add(mobile)

    async def write(self, mobile: str) -> None:
        """The second half; in `mirror.users` nothing can come between the two."""
        if mobile in self.withdrawn and mobile not in self.holders:
            self.made += 1
            name = str(self.made)
            user = {"_id": name, "mobile": mobile, "username": name, "transaction": name, "version": 1}
            await self.stack.mongo.db.users.insert_one(user)
            self.holders[mobile] = user
        self.withdrawn.discard(mobile)

    async def delete(self, mobile: str) -> None:
        if user := self.holders.pop(mobile, None):
            assert await self.mirror.users.delete(user)

    async def change(self, mobile: str, new: str) -> None:
        if mobile in self.holders and new not in self.holders:
            changed = await self.mirror.users.change(self.holders.pop(mobile), mobile=new)
            assert changed
            self.holders[new] = changed

    async def look(self) -> None:
        """The first half of reading the block, by one process or another."""
        if pen := await self.mirror.free.begin(BLOCK):
            self.read.append((pen, await self.mirror.registry._read(BLOCK)))

    async def fill(self) -> None:
        """The second half, of whoever looked first."""
        if self.read:
            await self.mirror.free.fill(BLOCK, *self.read.pop(0))

    async def lose(self, mobile: str) -> None:
        """A 0 for no reason."""
        await self.mirror.set_bit(mobile, 0)

    async def flush(self) -> None:
        """But not in the milliseconds between the two halves of a registration (docs/decisions/0020-registry.md)."""
        for mobile in [*self.withdrawn]:
            await self.write(mobile)
        await self.stack.redis.each("FLUSHALL")

    async def wait(self, seconds: int) -> None:
        """No write takes as long as the hold lasts."""
        for mobile in [*self.withdrawn]:
            await self.write(mobile)
        self.stack.clock.advance(seconds)


@pytest.mark.gen_test(timeout=60)
def test_no_order_of_events_calls_a_taken_number_free(stack: Stack, io_loop: IOLoop) -> None:
    """Registering in two halves, leaving, moving, blocks read in two, bits and all of Redis lost."""

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(ACTS, min_size=6, max_size=30))
    def told(acts: list[tuple[Any, ...]]) -> None:
        io_loop.run_sync(lambda: Story(stack).play(acts))

    told()

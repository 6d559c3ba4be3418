"""Blocks of numbers that were asked for are read, one at a time, whatever happens to one of them."""

import asyncio

import pytest

from server.errors import StoreUnavailable
from server.metrics import Metrics
from server.services.registry_keeper import MOST_WANTED, RegistryKeeper
from server.stores.registry import RegistryStore
from tests.conftest import Stack

pytestmark = pytest.mark.gen_test(timeout=30)


class Slow(RegistryStore):
    """Reads a block when the test says so, or fails to."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack.mongo, stack.users._free, clock=stack.clock)
        self.read: asyncio.Queue[str] = asyncio.Queue()
        self.faults: list[Exception] = []
        self.gate = asyncio.Event()

    async def load(self, block: str) -> str:
        self.read.put_nowait(block)
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop()
        return await super().load(block)


async def test_a_block_is_read_once_however_many_ask_and_one_that_fails_holds_up_no_other(stack: Stack) -> None:
    """A failure is counted; the block is read when it is next asked for."""
    registry, metrics = Slow(stack), Metrics()
    keeper = RegistryKeeper(registry=registry, metrics=metrics, clock=stack.clock)
    await keeper.start()
    registry.faults = [StoreUnavailable("mongo", "away")]
    asked = ["15400010001", "15400010002", "15400020001"]
    await registry.taken(asked)
    await registry.taken(asked)
    registry.gate.set()
    assert [await registry.read.get() for _ in range(2)] == ["1540001", "1540002"]
    async with asyncio.timeout(5):
        while keeper._wanted:
            await asyncio.sleep(0)
    assert registry.read.empty()
    await registry.taken(asked)
    assert await registry.read.get() == "1540001"
    async with asyncio.timeout(5):
        while keeper._wanted:
            await asyncio.sleep(0)
    counts = {outcome: metrics.registry_blocks.labels(outcome)._value.get() for outcome in ("made", "failed")}
    assert counts == {"made": 2, "failed": 1}
    await keeper.aclose()


async def test_what_is_wanted_has_a_bound(stack: Stack) -> None:
    """Somebody who asks for numbers of all blocks costs no memory without end."""
    registry = Slow(stack)
    keeper = RegistryKeeper(registry=registry, metrics=Metrics(), clock=stack.clock)
    for number in range(MOST_WANTED + 5):
        keeper._want(f"1{number:06}")
    assert len(keeper._wanted) == MOST_WANTED
    await keeper.aclose()

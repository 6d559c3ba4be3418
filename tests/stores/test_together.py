"""What is asked for while a call is under way goes out together."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.errors import StoreUnavailable
from server.stores.budget import BudgetStore
from server.stores.outbox import OutboxStore
from server.stores.together import Together
from tests.conftest import Stack

pytestmark = pytest.mark.gen_test(timeout=30)
_whose: ContextVar[str] = ContextVar("whose", default="nobody's")


class Calls:
    """A store that answers when it is let."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.contexts: list[str] = []
        self.given_back: list[tuple[int, int]] = []
        self.gate = asyncio.Event()
        self.fault: Exception | None = None

    async def work(self, items: Sequence[int]) -> list[int]:
        self.made.append([*items])
        self.contexts.append(_whose.get())
        await self.gate.wait()
        if self.fault:
            raise self.fault
        return [10 * item for item in items]

    async def give_back(self, unheard: Sequence[tuple[int, int]]) -> None:
        self.given_back += unheard


async def _asking(together: Together[int, int], *items: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(together.ask(item)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_who_comes_while_a_call_is_under_way_goes_with_the_next_one() -> None:
    """Each hears what is its own."""
    calls = Calls()
    together = Together(calls.work, give_back=calls.give_back, most=3)
    first = await _asking(together, 1)
    rest = await _asking(together, 2, 3, 4, 5)
    calls.gate.set()
    assert await asyncio.gather(*first, *rest) == [10, 20, 30, 40, 50]
    assert calls.made == [[1], [2, 3, 4], [5]]


async def test_who_went_away_before_the_call_has_asked_nothing() -> None:
    """And takes nobody else's answer along."""
    calls = Calls()
    together = Together(calls.work, give_back=calls.give_back)
    (under_way,) = await _asking(together, 1)
    waiting, third = await _asking(together, 2, 3)
    under_way.cancel()
    waiting.cancel()
    calls.gate.set()
    assert await third == 30
    assert calls.made == [[1], [3]]
    assert calls.given_back == [(1, 10)], "what was done for one who went away meanwhile"


async def test_a_fault_is_told_to_all_whom_it_met_and_to_no_other() -> None:
    """The next call is made as if nothing had been."""
    calls = Calls()
    together = Together(calls.work, give_back=calls.give_back)
    first = await _asking(together, 1)
    met = await _asking(together, 2, 3)
    calls.fault = StoreUnavailable("mongo", "gone")
    calls.gate.set()
    told = await asyncio.gather(*first, *met, return_exceptions=True)
    assert [type(one) for one in told] == [StoreUnavailable] * 3
    calls.fault = None
    assert await together.ask(4) == 40


async def test_what_the_first_who_asked_has_set_holds_for_nobody_else() -> None:
    """The driver keeps its deadline in such a variable: a row of calls would end with that of the first."""
    calls = Calls()
    together = Together(calls.work, give_back=calls.give_back)
    _whose.set("the first one's")
    calls.gate.set()
    await together.ask(1)
    assert calls.contexts == ["nobody's"]


async def test_many_at_once_are_counted_one_by_one(stack: Stack) -> None:
    """Also the last of a day's budget: as many as there is room for, and each its own number."""
    store = BudgetStore(stack.mongo)
    now = datetime.now(UTC) + timedelta(days=1)
    told = await asyncio.gather(*(store.add("a-day", limit=25, expires=now) for _ in range(40)))
    assert sorted(one for one in told if one) == [*range(1, 26)]
    assert told.count(None) == 15
    assert await store.get("a-day") == 25


async def test_many_at_once_are_recorded_each_by_its_owner(stack: Stack) -> None:
    """Of one number and bucket only one; whoever it is and tries again hears yes again."""
    store = OutboxStore(stack.mongo)
    told = await asyncio.gather(
        *(store.record(f"n{number % 20}", 1, owner=f"o{number}", at=1e9, day="d") for number in range(60))
    )
    assert sum(told) == 20
    winner = told.index(True)
    assert await store.record(f"n{winner % 20}", 1, owner=f"o{winner}", at=1e9, day="d")
    assert not await store.record(f"n{winner % 20}", 1, owner="somebody", at=1e9, day="d")


async def test_who_gave_up_while_the_write_was_under_way_has_written_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a place in the outbox nor an SMS of the day."""
    outbox, budget = OutboxStore(stack.mongo), BudgetStore(stack.mongo)
    day_after = datetime.now(UTC) + timedelta(days=1)
    await budget.add("d", limit=None, expires=day_after)
    for store in (outbox, budget):
        together = vars(store)["_records" if store is outbox else "_additions"]
        real, written, go_on = together._work, asyncio.Event(), asyncio.Event()

        async def slow(items: Sequence[Any], real: Any = real, written: Any = written, go_on: Any = go_on) -> Any:
            answers = await real(items)
            written.set()
            await go_on.wait()
            return answers

        monkeypatch.setattr(together, "_work", slow)
        asking = (
            outbox.record("n1", 1, owner="o1", at=1e9, day="d")
            if store is outbox
            else budget.add("d", limit=None, expires=day_after)
        )
        task = asyncio.create_task(asking)
        await written.wait()
        task.cancel()
        go_on.set()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5):
            while together._going is not None:
                await asyncio.sleep(0)
    assert await stack.mongo.db.outbox.find_one({"owner": "o1"}) is None
    assert await budget.get("d") == 1

"""Work over thousands of pages, cut so that it never holds the loop for long: between two slices everybody else has
a turn."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from time import perf_counter
from typing import TypeVar

SLICE_S = 0.004
PART = 50  # So many questions to a store in one turn of the loop take about a slice.
Item = TypeVar("Item")


class Pace:
    """For a coroutine that may go through much without ever having to wait."""

    def __init__(self) -> None:
        self._until = perf_counter() + SLICE_S

    async def rest(self) -> None:
        """Let others have their turn if this slice is over."""
        if perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + SLICE_S


async def sliced(items: Iterable[Item]) -> AsyncIterator[Item]:
    """All that `items` has now, one by one."""
    pace = Pace()
    for item in [*items]:
        yield item
        await pace.rest()


def parts(items: Iterable[Item]) -> Iterator[Sequence[Item]]:
    """All that `items` has now, PART at a time."""
    rest = iter([*items])
    while part := [*islice(rest, PART)]:
        yield part


class Rounds:
    """Tells many pages without anybody waiting for it. Of one subject only the latest news is on its way: what is
    begun anew ends what it overtakes, so that no page hears old news after new."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, Iterator[object]] = {}
        self._going = False

    def begin(self, subject: Hashable, pages: Iterable[Item], tell: Callable[[Item], object]) -> None:
        """`tell` each of those that are in `pages` now, from the next turn of the loop on; `tell` must not raise."""
        # In the place of what it overtakes: who is told often is not put off each time.
        self._under_way[subject] = map(tell, [*pages])
        if not self._going:
            self._going = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        until = perf_counter() + SLICE_S
        while self._under_way:
            subject, telling = next(iter(self._under_way.items()))
            for _ in telling:
                if perf_counter() >= until:
                    asyncio.get_running_loop().call_soon(self._go_on)
                    return
            if self._under_way.get(subject) is telling:
                del self._under_way[subject]
        self._going = False

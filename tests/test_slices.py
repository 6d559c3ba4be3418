"""Many pages are told something without anybody having to wait for it."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from server import slices
from server.handlers.page_socket import OpenSockets
from server.slices import PART, Rounds, parts, sliced

pytestmark = pytest.mark.gen_test(timeout=30)


@pytest.fixture
def slices_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page takes as long as a slice may last."""
    monkeypatch.setattr(slices, "SLICE_S", 0)


class Page:
    """Notes what it is told, and in which turn of the loop."""

    def __init__(self, heard: list[tuple["Page", str, Any]]) -> None:
        self._heard = heard
        self.after: Callable[[], object] = lambda: None

    def push(self, kind: str, data: dict[str, Any]) -> None:
        self._heard.append((self, kind, data))
        self.after()

    def close(self, code: int, reason: str) -> None:
        self._heard.append((self, "closed", code))


class Turns:
    """Somebody who has something to do in every turn of the loop."""

    def __init__(self, heard: list[Any]) -> None:
        self._heard = heard
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            self._heard.append("another")
            await asyncio.sleep(0)

    def end(self) -> None:
        self._task.cancel()


async def _all_told(heard: list[Any], count: int) -> None:
    async with asyncio.timeout(5):
        while sum(one != "another" for one in heard) < count:
            await asyncio.sleep(0)


@pytest.mark.usefixtures("slices_of_one")
async def test_others_have_their_turn_between_two_pages_of_a_broadcast() -> None:
    """However many there are, nobody waits longer than one slice."""
    heard: list[Any] = []
    sockets = OpenSockets()
    sockets.update(Page(heard) for _ in range(50))  # type: ignore[misc]
    turns = Turns(heard)
    sockets.broadcast("degraded", "redis")
    await _all_told(heard, 50)
    turns.end()
    told = [number for number, one in enumerate(heard) if one != "another"]
    assert all("another" in heard[one:next_one] for one, next_one in itertools.pairwise(told))


@pytest.mark.usefixtures("slices_of_one")
async def test_others_have_their_turn_while_everybody_is_sent_away() -> None:
    """All are asked to come back, spread over the seconds, and closed; not in one turn of the loop."""
    heard: list[Any] = []
    sockets = OpenSockets()
    sockets.update(Page(heard) for _ in range(50))  # type: ignore[misc]
    turns = Turns(heard)
    await sockets.announce_end()
    await sockets.close_all()
    turns.end()
    told = [one for one in heard if one != "another"]
    assert sorted(data["retry_after"] for _, kind, data in told[:50] if kind == "server.closing") == [
        second for second in range(1, 11) for _ in range(5)
    ]
    assert {(kind, data) for _, kind, data in told[50:]} == {("closed", 1001)}
    assert {page for page, _, _ in told[50:]} == sockets
    assert len(heard) - len(told) >= 90


@pytest.mark.usefixtures("slices_of_one")
async def test_no_page_hears_old_news_after_new() -> None:
    """A store comes back while some have not heard yet that it was away: all hear that it is back, and that last."""
    heard: list[Any] = []
    sockets = OpenSockets()
    sockets.update(Page(heard) for _ in range(20))  # type: ignore[misc]
    sockets.broadcast("degraded", "redis")
    await _all_told(heard, 7)
    sockets.broadcast("restored", "redis")
    await _all_told(heard, 27)
    by_page = {page: [kind for one, kind, _ in heard if one is page] for page in sockets}
    assert {said[-1] for said in by_page.values()} == {"restored"}
    assert sum(said == ["degraded", "restored"] for said in by_page.values()) == 7


@pytest.mark.usefixtures("slices_of_one")
async def test_news_of_two_subjects_do_not_end_each_other() -> None:
    """Both stores are away: each page hears of both."""
    heard: list[Any] = []
    sockets = OpenSockets()
    sockets.update(Page(heard) for _ in range(20))  # type: ignore[misc]
    sockets.broadcast("degraded", "redis")
    sockets.broadcast("degraded", "mongo")
    await _all_told(heard, 40)
    assert {(page, data["what"]) for page, _, data in heard} == {
        (page, what) for page in sockets for what in ("redis", "mongo")
    }


@pytest.mark.usefixtures("slices_of_one")
async def test_pages_may_come_and_leave_while_all_are_told() -> None:
    """It goes on with those that were there; who comes later asks by itself when it opens."""
    heard: list[Any] = []
    sockets = OpenSockets()
    first, second, late = (Page(heard) for _ in range(3))
    sockets.update({first, second})  # type: ignore[arg-type]
    for page in (first, second):
        page.after = lambda: (sockets.clear(), sockets.add(late))  # type: ignore[arg-type]
    sockets.broadcast("degraded", "redis")
    await _all_told(heard, 2)
    assert {page for page, _, _ in heard} == {first, second}


async def test_what_is_begun_while_a_page_is_told_replaces_that_round_too() -> None:
    """Also from within."""
    heard: list[str] = []
    rounds = Rounds()

    def tell_old(page: str) -> None:
        heard.append(f"old {page}")
        rounds.begin("it", "ab", lambda page: heard.append(f"new {page}"))

    rounds.begin("it", "ab", tell_old)
    await _all_told(heard, 4)
    assert heard[0] == "old a"
    assert heard[-2:] == ["new a", "new b"]


@pytest.mark.usefixtures("slices_of_one")
async def test_who_is_told_often_is_not_put_off_each_time() -> None:
    """What is begun anew takes the place in line of what it overtakes."""
    heard: list[str] = []
    rounds = Rounds()
    for name in ("a", "b", "c"):
        rounds.begin(name, [f"old {name}"], heard.append)
    rounds.begin("a", ["new a"], heard.append)
    await _all_told(heard, 3)
    assert heard == ["new a", "old b", "old c"]


async def test_a_slice_ends_by_time_and_not_by_count() -> None:
    """Few are told in one turn, without a pause that nobody needs."""
    heard: list[Any] = []
    rounds = Rounds()
    rounds.begin("it", range(20), heard.append)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert heard == [*range(20)]
    assert [one async for one in sliced(range(5))] == [*range(5)]


def test_parts_are_all_there_is_in_its_order() -> None:
    """None twice, none left out."""
    given = [*range(2 * PART + 3)]
    found = [*parts(given)]
    assert [len(part) for part in found] == [PART, PART, 3]
    assert [one for part in found for one in part] == given

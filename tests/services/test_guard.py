"""Whether a session still lives: asked seldom, never believed for long, denied in doubt."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.caller import Caller, Identity
from server.embedded import Urls
from server.errors import AppError, StoreUnavailable
from server.events import topics
from server.services.guard import SessionGuard
from server.stores.sessions import SessionStore
from tests.conftest import Stack
from tests.helpers import FakeClock, Relay

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]
CALLER = Caller(address="203.0.113.7", request_id="r")
USER = {"_id": "u1", "username": "hm_abcdefghij", "version": 1}


class Page:
    """An open page that notes why it was sent away."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def session_ended(self, reason: str) -> None:
        self.ended.set_result(reason)


class Timepiece(FakeClock):
    """Its monotonic time moves with the test, too."""

    def monotonic(self) -> float:
        return self.offset_ms / 1000


async def session_of(stack: Stack) -> Identity:
    return (await stack.services.sessions.open(USER, CALLER)).who


async def refused(guard: SessionGuard, who: Identity | None, *, reading: bool) -> bool:
    try:
        await guard.require(who, reading=reading)
    except AppError as fault:
        return fault.code == "token_invalid"
    return False


def deaf(stack: Stack) -> SessionGuard:
    """The guard of a process whose events do not arrive."""
    clock = Timepiece()
    store = SessionStore(stack.redis, topic=topics.SESSIONS)
    return SessionGuard(store=store, events=stack.services.guard._events, clock=clock)


async def test_tok_6_reading_asks_redis_once_for_many_requests(stack: Stack) -> None:
    """And a change each time."""
    guard, who = deaf(stack), await session_of(stack)
    store, asked = guard._store, []
    version = store.version

    async def counted(user: str, sid: str) -> str:
        asked.append(sid)
        return await version(user, sid)

    store.version = counted  # type: ignore[method-assign]
    for _ in range(20):
        await guard.require(who, reading=True)
    assert len(asked) == 1
    for _ in range(3):
        await guard.require(who, reading=False)
    assert len(asked) == 4


async def test_tok_6_a_process_that_does_not_hear_of_the_end_finds_it_within_a_second(stack: Stack) -> None:
    """A change at once, reading when its second is over; no message is needed for either."""
    guard, who = deaf(stack), await session_of(stack)
    await guard.require(who, reading=True)
    await stack.services.sessions.end_all("u1", "password")
    assert not await refused(guard, who, reading=True)
    guard._clock.advance(0.999)  # type: ignore[attr-defined]
    assert await refused(guard, who, reading=True)
    assert await refused(deaf(stack), who, reading=False)


async def test_tok_6_an_end_that_is_heard_of_counts_at_once(stack: Stack) -> None:
    """For reading, too."""
    guard, who, page = stack.services.guard, await session_of(stack), Page()
    guard.bind(page, who)
    await guard.require(who, reading=True)
    await stack.services.sessions.end_all("u1", "password")
    assert await page.ended == "password"
    assert await refused(guard, who, reading=True)


async def test_tok_6_the_page_of_a_session_whose_end_got_lost_is_found(stack: Stack) -> None:
    """By the sweep: an end that was not published, and one that came by time."""
    guard, lost, late = deaf(stack), await session_of(stack), await session_of(stack)
    pages = Page(), Page(), Page()
    for page, who in zip(pages, (lost, late, dataclasses.replace(late, sid="x" * 22)), strict=True):
        guard.bind(page, who)
    await stack.redis.call("DEL", f"session:{{u1}}:{lost.sid}")
    await guard._sweep()
    assert pages[0].ended.result() == pages[2].ended.result() == "over"
    assert not pages[1].ended.done()
    stack.clock.advance(7 * 86400 + 1)
    await guard._sweep()
    assert pages[1].ended.result() == "over"


async def test_tok_6_a_page_that_comes_after_the_end_is_sent_away(stack: Stack) -> None:
    """Between the check of its token and its binding the session may end."""
    guard, who, first, second = stack.services.guard, await session_of(stack), Page(), Page()
    guard.bind(first, who)
    await stack.services.sessions.end_all("u1", "password")
    await first.ended
    guard.bind(second, who)
    assert second.ended.result() == "password"


async def test_tok_6_a_page_that_left_is_forgotten(stack: Stack) -> None:
    """Nothing is kept of it, and nothing told."""
    guard, who, page = stack.services.guard, await session_of(stack), Page()
    guard.bind(page, who)
    guard.unbind(page)
    assert (dict(guard._pages), guard._bound) == ({}, {})


async def test_tok_6_the_session_that_changed_its_account_goes_on_and_no_older_login_comes_in(stack: Stack) -> None:
    """Its token is good for as long as it would have been; whoever was let in by what the account was is too late."""
    who, other = await session_of(stack), await session_of(stack)
    await stack.services.sessions.end_all(who.user, "password_changed", but=who.sid, version=2)
    assert not await refused(stack.services.guard, who, reading=False)
    assert await refused(stack.services.guard, other, reading=False)
    with pytest.raises(AppError, match="credentials_invalid"):
        await session_of(stack)
    assert await refused(stack.services.guard, dataclasses.replace(who, version="3"), reading=False)


async def test_tok_12_without_redis_changes_are_refused_and_reading_goes_on(start: Start, store_urls: Urls) -> None:
    """While the token lasts, and unless this process has heard of the end."""
    assert store_urls.redis_url is not None
    relay = Relay(store_urls.redis_url.removeprefix("unix://"))
    await relay.start()
    stack = await start(REDIS_URL=f"redis://127.0.0.1:{relay.port}")
    guard, who, ended, page = stack.services.guard, await session_of(stack), await session_of(stack), Page()
    guard.bind(page, ended)
    await stack.services.sessions.end(ended, ended.sid, CALLER)
    await page.ended
    await relay.cut()
    with pytest.raises(StoreUnavailable):
        await guard.require(who, reading=False)
    await guard.require(who, reading=True)
    assert await refused(guard, ended, reading=True)
    stack.clock.advance(931)
    assert await refused(guard, who, reading=True)
    await relay.start()
    await relay.aclose()


async def test_tok_12_without_redis_an_operation_that_changes_something_is_503(
    start: Start, store_urls: Urls
) -> None:
    """Not 401: whoever is signed in stays so and may try again."""
    assert store_urls.redis_url is not None
    relay = Relay(store_urls.redis_url.removeprefix("unix://"))
    await relay.start()
    stack = await start(REDIS_URL=f"redis://127.0.0.1:{relay.port}")
    token = (await stack.services.sessions.open(USER, CALLER)).token
    await relay.cut()
    answer = await stack.rest().ask("DELETE", "/user/sessions/", Authorization=f"Bearer {token}")
    assert (answer.status, answer.error["code"]) == (503, "unavailable")
    await relay.start()
    await relay.aclose()

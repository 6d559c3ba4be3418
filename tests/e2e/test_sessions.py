"""A session that is ended elsewhere: its open pages leave."""

import asyncio

import pytest
from playwright.async_api import Route, WebSocket, expect

from tests.conftest import Stack
from tests.e2e.accounts import take_number
from tests.e2e.conftest import Visit
from tests.e2e.visitor import Visitor
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)


async def _sign_in(visit: Visit, stack: Stack) -> Visitor:
    """Signed in, on the home page, which listens."""
    before = len(stack.services.guard._bound)
    visitor = await visit(stack, "/login")
    await visitor.page.locator("#account").fill(MOBILE)
    await visitor.page.locator("#password").fill(PASSWORD)
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#username")).to_contain_text("hm_")
    async with asyncio.timeout(10):
        while len(stack.services.guard._bound) == before:
            await asyncio.sleep(0.01)
    return visitor


async def test_tok_6_an_open_page_leaves_when_its_session_is_ended_elsewhere(stack: Stack, visit: Visit) -> None:
    """Without a reload, and says so; the page of the session that ended it stays. Nothing tries again and again."""
    await take_number(stack)
    theirs, mine = await _sign_in(visit, stack), await _sign_in(visit, stack)
    *_, who = stack.services.guard._bound.values()
    connections: list[WebSocket] = []
    await theirs.page.clock.install()
    theirs.page.on("websocket", lambda opened: connections.append(opened))
    await stack.services.sessions.end_all(who.user, "ended", but=who.sid)
    await expect(theirs.page.locator("#signed-out")).to_be_visible()
    await expect(theirs.page.locator("#announcer")).to_have_text("这次登录已在别处结束，您已退出登录。")
    await expect(mine.page.locator("#signed-in")).to_be_visible()
    await theirs.page.clock.run_for(60_000)
    assert connections == []
    theirs.expects("401 /user/refresh/")
    await theirs.page.reload()
    await expect(theirs.page.locator("#signed-out")).to_be_visible()


async def test_signing_out_waits_for_the_answer_that_takes_the_cookie_away(stack: Stack, visit: Visit) -> None:
    """The websocket hears of the end before: a page that left then would come back with a cookie of no session."""
    await take_number(stack)
    visitor = await _sign_in(visit, stack)
    page, push_heard, gate = visitor.page, asyncio.Event(), asyncio.Event()
    connections: list[WebSocket] = []
    page.on("websocket", lambda opened: connections.append(opened))
    before = {*stack.services.guard._bound}
    await page.reload()
    await expect(page.locator("#signed-in")).to_be_visible()
    async with asyncio.timeout(10):
        while not stack.services.guard._bound.keys() - before:
            await asyncio.sleep(0.01)
    connections[0].on("close", lambda _: push_heard.set())

    async def late(route: Route) -> None:
        answer = await route.fetch()
        await gate.wait()
        await route.fulfill(response=answer)

    await page.route("**/user/logout/", late)
    await page.locator("#logout").click()
    await push_heard.wait()
    await expect(page.locator("#signed-in")).to_be_visible()
    gate.set()
    await expect(page.locator("#signed-out")).to_be_visible()
    await page.reload()
    await expect(page.locator("#signed-out")).to_be_visible()

"""A real browser in the loop of the tests, and people who visit with it.

Server, provider and browser driver share one loop, so a test must never block it.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright, expect
from tornado.ioloop import IOLoop

from server.embedded import Urls
from tests.conftest import Stack
from tests.e2e.visitor import Visitor
from tests.helpers import ROOT
from tools.find_browser import FLAGS

SCREENSHOTS = Path(__file__).parent / "screenshots"
_FAILED = pytest.StashKey[bool]()
expect.set_options(timeout=10_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note that a test failed, so that its pages are pictured before they are closed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def io_loop(store_urls: Urls) -> Iterator[IOLoop]:
    """One loop for all tests here, because the browser's driver lives in it.

    The stores come first: what starts them makes a loop of its own the current one.
    """
    loop = IOLoop(make_current=False)
    yield loop
    loop.close(all_fds=True)


@pytest.fixture(autouse=True)
def current_loop(io_loop: IOLoop) -> Iterator[None]:
    """Each test's task is made on the current loop, before that runs."""
    asyncio.set_event_loop(io_loop.asyncio_loop)  # type: ignore[attr-defined]
    yield
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def browser(io_loop: IOLoop) -> Iterator[Browser]:
    """Chromium, started once."""
    opened = AsyncExitStack()
    executable = find_browser()
    yield io_loop.run_sync(lambda: opened.enter_async_context(open_browser(executable)))
    io_loop.run_sync(opened.aclose)


def find_browser() -> str | None:
    """Its path; None for the one that Playwright brought. Without any the tests fail, they are not skipped."""
    if chosen := os.environ.get("CHROMIUM"):
        return chosen
    found = subprocess.run((sys.executable, "tools/find_browser.py"), cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        pytest.fail(found.stderr.strip())
    return found.stdout.strip() or None


@asynccontextmanager
async def open_browser(executable: str | None) -> AsyncIterator[Browser]:
    """Chromium with nothing on its mind but our pages."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        await browser.close()


Start = Callable[..., Awaitable[Stack]]
Visit = Callable[..., Awaitable[Visitor]]


@pytest.fixture
def visit(request: pytest.FixtureRequest, io_loop: IOLoop, browser: Browser, start: object) -> Iterator[Visit]:
    """`await visit(stack, "/register", lang="en")`: somebody with a browser of their own comes to a page, or to none.

    After the test each visitor must have met exactly the trouble that the test said to expect. What they saw when
    a test failed is in `screenshots/`.
    """
    visitors: list[Visitor] = []

    async def come(stack: Stack, path: str | None = "/register", *, lang: str = "", **options: Any) -> Visitor:
        # Motion changes nothing here but the time that the tests take.
        usual = {"locale": "en-US" if lang == "en" else "zh-CN", "reduced_motion": "reduce"}
        visitor = await Visitor.arrive(browser, stack.port, **(usual | options))
        visitors.append(visitor)
        if path is not None:
            await visitor.open(path + (f"?lang={lang}" if lang else ""))
        return visitor

    async def leave() -> None:
        if request.node.stash.get(_FAILED, False):
            await picture(visitors, re.sub(r"[^\w.-]+", "-", request.node.name))
        for visitor in visitors:
            await visitor.context.close()

    yield come
    io_loop.run_sync(leave)
    for visitor in visitors:
        visitor.require_only_expected_trouble()


async def picture(visitors: list[Visitor], name: str) -> None:
    """All pages that are open, numbered."""
    pages = [page for visitor in visitors for page in visitor.context.pages]
    for number, page in enumerate(pages, 1):
        await page.screenshot(path=SCREENSHOTS / f"{name}-{number}.png", full_page=True)

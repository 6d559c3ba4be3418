"""The documents as pages: Swagger UI under our policy, and the websocket's page with its console."""

import json

import pytest
from playwright.async_api import expect

from tests.conftest import Stack
from tests.e2e.accounts import take_number
from tests.e2e.conftest import Visit
from tests.e2e.states import try_check
from tests.helpers import MOBILE
from tests.people import sign_up

pytestmark = pytest.mark.gen_test(timeout=60)


async def test_a_request_is_tried_on_the_page(stack: Stack, visit: Visit) -> None:
    """It goes to this service and is answered; nothing is loaded from anywhere else."""
    visitor = await visit(stack, None)
    asked: list[str] = []
    visitor.context.on("request", lambda request: asked.append(request.url))
    await visitor.open("/docs")
    answer = await try_check(visitor.page)
    await expect(answer).to_contain_text('"available": true')
    assert [url for url in asked if not url.startswith(visitor.origin)] == []
    await expect(visitor.page.locator(".opblock")).to_have_count(len(await operations(stack)))


async def operations(stack: Stack) -> list[str]:
    """All that the document has."""
    paths = (await stack.rest().get("/openapi.json")).body["paths"]
    return [method for methods in paths.values() for method in methods]


async def test_what_needs_a_token_is_tried_with_one(stack: Stack, visit: Visit) -> None:
    """Also where the body goes with a DELETE."""
    token = (await sign_up(stack)).body["token"]
    page = (await visit(stack, "/docs")).page
    await page.locator(".btn.authorize").first.click()
    await page.locator(".auth-container input").first.fill(token)
    await page.locator(".auth-container .btn.authorize").first.click()
    await page.locator(".modal-ux .btn-done").first.click()
    deletion = page.locator(".opblock-delete:has([data-path='/user/me/'])")
    await deletion.locator(".opblock-summary-control").click()
    await deletion.locator(".execute").click()
    await expect(deletion.locator(".live-responses-table .response .response-col_status")).to_have_text("204")


async def test_a_frame_is_sent_and_the_answer_shown(stack: Stack, visit: Visit) -> None:
    """And what the server says by itself after that, until the connection ends."""
    visitor = await visit(stack, "/docs/realtime")
    page, log = visitor.page, visitor.page.locator("#console-log")
    await page.locator("[id='mobile.check'] [data-try]").click()
    frame = json.loads(await page.locator("#console-frame").input_value())
    await page.locator("#console-frame").fill(json.dumps(frame | {"data": {"mobile": MOBILE}}))
    await page.locator("#console-form [type=submit]").click()
    await expect(log.locator("[data-kind=received]").last).to_contain_text("mobile.checked")
    await expect(page.locator("#console-state")).to_have_attribute("data-state", "live")
    await take_number(stack)
    await expect(log.locator("[data-kind=received]").last).to_contain_text("mobile.taken")
    await stack.sockets.close_all()
    await expect(log.locator("[data-kind=closed]")).to_contain_text("1001")
    await page.locator("#console-form [type=submit]").click()
    await expect(log.locator("[data-kind=received]").last).to_contain_text('"available":false')


async def test_a_frame_is_copied(stack: Stack, visit: Visit) -> None:
    """As it stands there."""
    page = (await visit(stack, "/docs/realtime", permissions=["clipboard-read", "clipboard-write"])).page
    request = page.locator("[id='session.login']")
    await request.locator("[data-copy]").click()
    await expect(request.locator("[data-copy]")).to_contain_text("已复制")
    assert (
        await page.evaluate("() => navigator.clipboard.readText()") == await request.locator("pre").first.inner_text()
    )


async def test_both_pages_lead_to_each_other_and_keep_the_language(stack: Stack, visit: Visit) -> None:
    """And each request of the websocket has an address of its own."""
    page = (await visit(stack, "/docs", lang="en")).page
    await page.get_by_role("link", name="Realtime interface").click()
    await expect(page.get_by_role("heading", name="The realtime interface")).to_be_visible()
    await page.get_by_role("navigation").get_by_role("link", name="sms.send").click()
    await expect(page.locator("[id='sms.send']")).to_be_in_viewport()
    await page.get_by_role("link", name="REST interface").click()
    await expect(page.get_by_role("heading", name="The REST interface")).to_be_visible()
    await expect(page.locator(".opblock").first).to_be_visible()

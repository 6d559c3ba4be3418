"""The other ways in: by the code of an SMS, and by a new password for a forgotten one."""

import pytest
from playwright.async_api import Page, expect

from tests.conftest import Stack
from tests.e2e.accounts import take_number
from tests.e2e.conftest import Visit
from tests.helpers import MOBILE

pytestmark = pytest.mark.gen_test(timeout=60)
NEW = "another battery, staple"


async def account(stack: Stack) -> int:
    """Somebody's, a minute ago; how many SMS have been sent so far."""
    await take_number(stack)
    stack.clock.advance(61)
    return len(stack.provider.sent)


async def ask_for_code(page: Page) -> None:
    await page.locator("#mobile").fill(MOBILE)
    await page.locator("#send-code").click()
    await expect(page.locator("#sms-timeline")).to_be_visible()


@pytest.mark.parametrize("websocket", [True, False], ids=["live", "rest"])
async def test_a_code_signs_in(stack: Stack, visit: Visit, websocket: bool) -> None:
    """With a countdown, also over plain requests; the page says nothing about whether the number is known."""
    sent = await account(stack)
    visitor = await visit(stack, None)
    if not websocket:
        await visitor.loses_websockets()
    await visitor.open("/login")
    page = visitor.page
    await page.locator("#tab-code").click()
    await ask_for_code(page)
    await expect(page.locator(".timeline-note")).to_have_text("如果该号码已注册，短信即将送达")
    await expect(page.locator("#send-code")).to_contain_text("后可重发")
    await page.locator("#sms_code").fill((await stack.provider.nth(sent + 1)).code)
    await page.locator("#code-submit").click()
    await expect(page.locator("#username")).to_contain_text("hm_")


async def test_an_unknown_number_looks_like_a_known_one(stack: Stack, visit: Visit) -> None:
    """The same note and countdown; its code is simply wrong."""
    visitor = await visit(stack, "/login")
    visitor.expects("400 /user/login/")
    page = visitor.page
    await page.locator("#tab-code").click()
    await ask_for_code(page)
    await expect(page.locator(".timeline-note")).to_have_text("如果该号码已注册，短信即将送达")
    await page.locator("#sms_code").fill("000000")
    await page.locator("#code-submit").click()
    await expect(page.locator("#sms_code-verdict")).to_have_text("验证码不存在或已过期！")


async def test_a_reload_goes_on_with_the_code_that_is_on_its_way(stack: Stack, visit: Visit) -> None:
    """In its tab, with its number and its countdown."""
    page = (await visit(stack, "/login")).page
    await page.locator("#tab-code").click()
    await ask_for_code(page)
    await page.reload()
    await expect(page.locator("#mobile")).to_have_value(MOBILE)
    await expect(page.locator("#send-code")).to_contain_text("后可重发")


async def test_the_tabs_by_keyboard_and_the_number_goes_along(stack: Stack, visit: Visit) -> None:
    """Arrows choose; what was typed as a number in one way stands in the other."""
    page = (await visit(stack, "/login")).page
    await page.locator("#account").fill(f"+86 {MOBILE}")
    await page.locator("#tab-password").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#tab-code")).to_be_focused()
    await expect(page.locator("#tab-code")).to_have_attribute("aria-selected", "true")
    await expect(page.locator("#mobile")).to_have_value(MOBILE)
    await page.keyboard.press("Tab")
    await expect(page.locator("#mobile")).to_be_focused()


async def test_a_forgotten_password_is_replaced_and_then_signs_in(stack: Stack, visit: Visit) -> None:
    """By keyboard to the end; the number is handed on to the sign-in page, outside its address."""
    sent = await account(stack)
    page = (await visit(stack, "/reset")).page
    await ask_for_code(page)
    await page.locator("#sms_code").fill((await stack.provider.nth(sent + 1)).code)
    await page.locator("#new_password").fill(NEW)
    await page.keyboard.press("Enter")
    await expect(page.locator("#success h1")).to_be_focused()
    await page.locator("#go-login").click()
    await expect(page.locator("#account")).to_have_value(MOBILE)
    assert MOBILE not in page.url
    await page.locator("#password").fill(NEW)
    await page.locator("#submit").click()
    await expect(page.locator("#username")).to_contain_text("hm_")

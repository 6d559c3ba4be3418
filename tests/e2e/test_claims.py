"""A number that has left its holder, as both sides see it: the one who has it now, and the one who is signed in."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.conftest import Stack
from tests.e2e.accounts import take_number
from tests.e2e.conftest import Visit
from tests.e2e.states import claim_number
from tests.e2e.test_me import at_home, send_and_read
from tests.helpers import MOBILE, PASSWORD
from tests.people import bearer, sign_in
from tests.services.test_claims import HOUR_S, keeper

pytestmark = pytest.mark.gen_test(timeout=60)
OTHER = "15400000002"
on_both = pytest.mark.parametrize("websocket", [True, False], ids=["live", "rest"])


async def refuse(stack: Stack) -> None:
    """Somebody says no, on a device of their own."""
    token = (await sign_in(stack.rest())).body["token"]
    assert (await stack.rest().ask("DELETE", "/user/claim/", **bearer(token))).status == 204


async def claim_as_shown(stack: Stack, page: Page) -> None:
    await send_and_read(stack, page, "mobile", MOBILE)
    await page.locator("#submit").click()


@on_both
async def test_whoever_finds_his_number_taken_can_claim_it(stack: Stack, visit: Visit, websocket: bool) -> None:
    """The number goes along; then the day is told, and what happens until then."""
    await take_number(stack)
    stack.clock.advance(61)
    visitor = await visit(stack, None)
    page = visitor.page
    if not websocket:
        await visitor.loses_websockets()
        visitor.expects("409 /user/mobile/*")
    await visitor.open("/register")
    await page.locator("#mobile").fill(MOBILE)
    await page.get_by_role("link", name="这是我的新号码").click()
    await expect(page).to_have_url(visitor.origin + "/claim")
    await expect(page.locator("#mobile")).to_have_value(MOBILE)
    await claim_as_shown(stack, page)
    await expect(page.get_by_role("heading", name="申请已收到")).to_be_focused()
    await expect(page.locator("#claim-number")).to_contain_text(MOBILE)
    await expect(page.locator("#claim-due")).to_have_text(re.compile(r"\d+年\d+月\d+日 \d+:\d+"))
    found = await stack.mongo.db.users.find_one({"mobile": MOBILE})
    assert found["claim"]["kind"] == "release"


async def test_a_claimant_who_was_refused_is_told_for_how_long(stack: Stack, visit: Visit) -> None:
    """In days, not in seconds."""
    await take_number(stack)
    await claim_number(stack)
    await refuse(stack)
    stack.clock.advance(61)
    visitor = await visit(stack, "/claim")
    await claim_as_shown(stack, visitor.page)
    await expect(visitor.page.locator("#form-message")).to_contain_text("不同意让出它，请在13天23小时后再申请")


@pytest.mark.parametrize("path", ["/", "/me"], ids=["home", "me"])
async def test_who_is_signed_in_sees_a_claim_at_once_and_refuses_it(stack: Stack, visit: Visit, path: str) -> None:
    """Without a reload: what is asked, until when, and the name to sign in by; another tab hears the end of it."""
    username = await take_number(stack)
    visitor = await at_home(visit, stack, path=path)
    page = visitor.page
    await expect(page.locator("#claim")).to_be_hidden()
    await claim_number(stack)
    await expect(page.locator("#claim-title")).to_have_text("有人要收回手机号 154****0001")
    await expect(page.locator("#claim-what")).to_contain_text(re.compile("（还有(13天23小时|14天)）"))
    await expect(page.locator("#claim-then")).to_contain_text(username)
    tab = await visitor.new_tab(path)
    await expect(tab.locator("#claim-refuse")).to_be_visible()
    await page.locator("#claim-refuse").focus()
    await page.keyboard.press("Enter")
    for seen in (page, tab):
        await expect(seen.locator("#claim-title")).to_have_text("这个申请已作废，手机号没有变。")
        await expect(seen.locator("#claim-refuse")).to_be_hidden()
    await expect(page.locator("#claim-title")).to_be_focused()
    assert "claim" not in await stack.mongo.db.users.find_one({"mobile": MOBILE})


async def test_without_a_websocket_a_claim_is_seen_and_refused_too(stack: Stack, visit: Visit) -> None:
    """It is asked for when the page is opened."""
    await take_number(stack)
    await claim_number(stack)
    page = (await at_home(visit, stack, websocket=False)).page
    await page.locator("#claim-refuse").click()
    await expect(page.locator("#claim-title")).to_have_text("这个申请已作废，手机号没有变。")


async def test_a_released_number_signs_its_pages_out_and_says_why(stack: Stack, visit: Visit) -> None:
    """And how to come back."""
    await take_number(stack)
    await claim_number(stack)
    visitor = await at_home(visit, stack)
    visitor.expects("401 /user/refresh/")
    await expect(visitor.page.locator("#claim")).to_be_visible()
    stack.clock.advance(336 * HOUR_S)
    await keeper(stack).look()
    await expect(visitor.page.locator("#form-message")).to_contain_text("请用用户名和密码登录")


@on_both
async def test_tok_11_a_lost_number_is_replaced_after_a_delay_that_can_be_cut_short(
    stack: Stack, visit: Visit, websocket: bool
) -> None:
    """The form asks nothing of the old one; the page then says when it will be, and takes it back."""
    await take_number(stack)
    stack.clock.advance(61)
    page = (await at_home(visit, stack, websocket=websocket)).page
    await page.get_by_role("button", name="旧号码已经不用了？").click()
    await expect(page.locator("#old_mobile")).to_be_hidden()
    await expect(page.locator("#new_mobile")).to_be_focused()
    await expect(page.locator("#mobile-lead")).to_contain_text("3天后才生效")
    await send_and_read(stack, page, "new_mobile", OTHER, "_new")
    await page.locator("#mobile_password").fill(PASSWORD)
    await page.locator("#mobile-submit").click()
    await expect(page.locator("#mobile-message")).to_contain_text("申请已收到")
    await expect(page.locator("#claim-title")).to_have_text("手机号将换成 154****0002")
    await expect(page.locator("#claim-what")).to_contain_text(re.compile("（还有(2天23小时|3天)）"))
    await page.get_by_role("button", name="取消更换").click()
    await expect(page.locator("#claim-title")).to_have_text("这个申请已作废，手机号没有变。")
    await expect(page.locator("#old_mobile")).to_be_visible()


async def test_tok_11_what_is_wrong_with_a_recovery_is_said_at_its_field(stack: Stack, visit: Visit) -> None:
    """And nothing about the old number, which is not asked for."""
    await take_number(stack)
    await take_number(stack, OTHER)
    stack.clock.advance(61)
    page = (await at_home(visit, stack)).page
    await page.locator("#mobile-way").click()
    await page.locator("#mobile-submit").click()
    await expect(page.locator("#new_mobile")).to_be_focused()
    for field in ("new_mobile", "sms_code_new", "mobile_password"):
        await expect(page.locator(f"#{field}-verdict")).to_have_attribute("data-state", "invalid")
    await expect(page.locator("#sms_code-verdict")).to_have_attribute("data-state", "hint")
    await page.locator("#new_mobile").fill(OTHER)
    await expect(page.locator("#new_mobile-verdict")).to_have_text("手机号已经被注册过！")
    await send_and_read(stack, page, "new_mobile", "15400000003", "_new")
    await page.locator("#mobile_password").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.locator("#mobile_password-verdict")).to_have_text("密码不对")


async def test_an_account_without_a_number_is_given_one_at_once(stack: Stack, visit: Visit) -> None:
    """It says that it has none, and asks for the new one alone."""
    username = await take_number(stack)
    await claim_number(stack)
    stack.clock.advance(336 * HOUR_S)
    await keeper(stack).look()
    page = (await at_home(visit, stack, account=username)).page
    await expect(page.locator("#me-mobile")).to_have_text("没有手机号")
    await expect(page.locator("#mobile-way")).to_be_hidden()
    await send_and_read(stack, page, "new_mobile", OTHER, "_new")
    await page.locator("#mobile_password").fill(PASSWORD)
    await page.locator("#mobile-submit").click()
    await expect(page.locator("#mobile-message")).to_contain_text("手机号已更换")
    await expect(page.locator("#me-mobile")).to_have_text("154****0002")
    await expect(page.locator("#old_mobile")).to_be_visible()

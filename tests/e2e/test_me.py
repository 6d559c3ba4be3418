"""The page of one's own account, in one browser and in two."""

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.conftest import Stack
from tests.e2e.accounts import take_number
from tests.e2e.conftest import Visit
from tests.e2e.visitor import Visitor
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)
NEW = "another battery, staple"
OTHER = "15400000002"


async def at_home(
    visit: Visit, stack: Stack, *, websocket: bool = True, path: str = "/me", account: str = MOBILE
) -> Visitor:
    """Somebody on /me, whose page listens."""
    bound = len(stack.services.guard._bound)
    visitor = await visit(stack, None)
    if not websocket:
        await visitor.loses_websockets()
    await visitor.open("/login")
    await visitor.page.locator("#account").fill(account)
    await visitor.page.locator("#password").fill(PASSWORD)
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#username")).to_contain_text("hm_")
    await visitor.open(path)
    await expect(visitor.page.locator("#signed-in")).to_be_visible()
    async with asyncio.timeout(10):
        while websocket and len(stack.services.guard._bound) == bound:
            await asyncio.sleep(0.01)
    return visitor


async def stored(stack: Stack) -> dict[str, Any]:
    user = await stack.mongo.db.users.find_one({"mobile": MOBILE})
    return dict(user.get("profile", {}))


@pytest.mark.parametrize("websocket", [True, False], ids=["live", "rest"])
async def test_a_change_is_saved_by_itself_and_can_be_undone(stack: Stack, visit: Visit, websocket: bool) -> None:
    """The field alone is sent, and what was there before comes back."""
    await take_number(stack)
    page = (await at_home(visit, stack, websocket=websocket)).page
    before = await page.locator("#name").input_value()
    await page.locator("#name").fill("张三")
    await page.keyboard.press("Tab")
    await expect(page.locator("#profile-saved")).to_contain_text("已保存")
    await expect(page.locator("#me-name")).to_have_text("张三")
    assert (await stored(stack))["name"] == "张三"
    await page.locator("#profile-undo").click()
    await expect(page.locator("#name")).to_have_value(before)
    await expect(page.locator("#me-name")).to_have_text(before)
    assert (await stored(stack))["name"] == before


async def test_what_will_not_do_is_said_at_its_field_and_nothing_is_lost(stack: Stack, visit: Visit) -> None:
    """As it is typed where the page knows, and by the server where only that knows."""
    await take_number(stack)
    page = (await at_home(visit, stack)).page
    await page.locator("#age").fill("101")
    await expect(page.locator("#age-verdict")).to_have_text("年龄应为0到100。")
    await page.locator("#age").fill("30")
    await page.locator("#name").fill("管理员")
    await page.keyboard.press("Tab")
    await expect(page.locator("#name-verdict")).to_have_text("不能使用这个名字，它像是管理人员。")
    await expect(page.locator("#name")).to_have_value("管理员")
    await page.locator("#name").fill("李四")
    await page.keyboard.press("Tab")
    await expect(page.locator("#profile-saved")).to_contain_text("已保存")
    kept = await stored(stack)
    assert (kept["name"], kept["age"]) == ("李四", 30)


async def test_an_inactive_profile_waits_for_its_description(stack: Stack, visit: Visit) -> None:
    """The switch stays as it was put, and is sent with the words."""
    await take_number(stack)
    page = (await at_home(visit, stack)).page
    await page.locator(".switch-box").click()
    await expect(page.locator("#description-verdict")).to_have_text("停用资料时请写一句说明。")
    await expect(page.locator("#active")).not_to_be_checked()
    await page.locator("#description").fill("出差")
    await page.keyboard.press("Tab")
    await expect(page.locator("#profile-saved")).to_contain_text("已保存")
    kept = await stored(stack)
    assert (kept["active"], kept["description"]) == (False, "出差")


async def test_tok_10_ending_another_session_sends_its_open_page_away(stack: Stack, visit: Visit) -> None:
    """Asked once; the other browser is at the sign-in page, and is told why."""
    await take_number(stack)
    theirs, mine = await at_home(visit, stack), await at_home(visit, stack)
    theirs.expects("401 /user/refresh/")
    row = mine.page.locator("#sessions li").nth(1)
    await row.get_by_role("button").click()
    await mine.page.locator("#ask-yes").click()
    await expect(theirs.page).to_have_url(re.compile("/login"))
    await expect(theirs.page.locator("#form-message")).to_contain_text("这次登录已在别处结束")
    await expect(mine.page.locator("#sessions li")).to_have_count(2)  # whoever registered it on a websocket is left
    await mine.page.locator("#end-others").click()
    await mine.page.locator("#ask-yes").click()
    await expect(mine.page.locator("#sessions li")).to_have_count(1)
    await expect(mine.page.locator("#sessions-alone")).to_be_visible()


async def test_pw_9_a_new_password_sends_the_other_browser_away(stack: Stack, visit: Visit) -> None:
    """This one goes on, and says so."""
    await take_number(stack)
    theirs, mine = await at_home(visit, stack), await at_home(visit, stack)
    page = mine.page
    await page.locator("#old_password").fill("wrong")
    await page.locator("#new_password").fill(NEW)
    await page.locator("#password-submit").click()
    await expect(page.locator("#old_password-verdict")).to_have_text("密码不对")
    await page.locator("#old_password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    theirs.expects("401 /user/refresh/")
    await expect(page.locator("#password-message")).to_contain_text("密码已修改")
    await expect(theirs.page.locator("#form-message")).to_contain_text("密码已在另一台设备上修改")
    await page.locator("#age").fill("31")
    await page.keyboard.press("Tab")
    await expect(page.locator("#profile-saved")).to_contain_text("已保存")


async def send_and_read(stack: Stack, page: Page, number: str, mobile: str, suffix: str = "") -> None:
    sent = len(stack.provider.sent)
    await page.locator(f"#{number}").fill(mobile)
    await page.locator(f"#send-code{suffix}").click()
    await expect(page.locator(f"#sms-timeline{suffix}")).to_be_visible()
    await page.locator(f"#sms_code{suffix}").fill((await stack.provider.nth(sent + 1)).code)


async def test_tok_11_the_number_is_changed_by_a_code_to_each(stack: Stack, visit: Visit) -> None:
    """Two codes and the password; the page then shows the new number."""
    await take_number(stack)
    stack.clock.advance(61)
    page = (await at_home(visit, stack)).page
    await send_and_read(stack, page, "old_mobile", MOBILE)
    await send_and_read(stack, page, "new_mobile", OTHER, "_new")
    await page.locator("#mobile_password").fill(PASSWORD)
    await page.locator("#mobile-submit").click()
    await expect(page.locator("#mobile-message")).to_contain_text("手机号已更换")
    await expect(page.locator("#me-mobile")).to_have_text("154****0002")


async def test_a_deleted_account_says_goodbye(stack: Stack, visit: Visit) -> None:
    """Not without the box, the password and one more yes; then the home page, as a stranger."""
    await take_number(stack)
    page = (await at_home(visit, stack)).page
    await expect(page.locator("#delete-submit")).to_be_disabled()
    await page.locator("#delete_sure").check()
    await page.locator("#delete_password").fill(PASSWORD)
    await page.locator("#delete-submit").click()
    await page.locator("#ask-dialog").get_by_role("button", name="取消").click()
    assert await stack.mongo.db.users.find_one({"mobile": MOBILE})
    await page.locator("#delete-submit").click()
    await page.locator("#ask-yes").click()
    await expect(page.locator("#signed-out")).to_be_visible()
    await expect(page.locator("#announcer")).to_have_text("账号已注销。")
    assert not await stack.mongo.db.users.find_one({"mobile": MOBILE})


async def test_a_stranger_is_sent_to_sign_in(stack: Stack, visit: Visit) -> None:
    """And is to come back afterwards."""
    visitor = await visit(stack, "/me")
    visitor.expects("401 /user/refresh/")
    await expect(visitor.page).to_have_url(re.compile(r"/login\?next=(/|%2F)me"))

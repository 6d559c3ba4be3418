"""The monitor in a browser: what it shows, and every act with its effect on the other side."""

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from server.errors import StoreUnavailable
from tests.conftest import Stack
from tests.e2e.accounts import request_sms, take_number
from tests.e2e.conftest import Visit
from tests.e2e.visitor import RegisterPage, Visitor
from tests.helpers import MOBILE, PASSWORD
from tests.people import OPERATOR

pytestmark = pytest.mark.gen_test(timeout=90)


async def sign_in(visit: Visit, stack: Stack, mobile: str, *, lang: str = "") -> Visitor:
    """Somebody with an account, on the home page."""
    visitor = await visit(stack, "/login", lang=lang)
    await visitor.page.locator("#account").fill(mobile)
    await visitor.page.locator("#password").fill(PASSWORD)
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#signed-in")).to_be_visible()
    return visitor


async def open_monitor(visit: Visit, stack: Stack, *, role: str = "operator", lang: str = "") -> Visitor:
    """An operator before his monitor."""
    await take_number(stack, OPERATOR)
    stack.clock.advance(61)
    await stack.services.admins.grant(OPERATOR, role)  # type: ignore[arg-type]
    visitor = await sign_in(visit, stack, OPERATOR, lang=lang)
    await visitor.open("/admin" + (f"?lang={lang}" if lang else ""))
    await expect(visitor.page.locator("#monitor")).to_be_visible()
    return visitor


async def sure(page: Page) -> None:
    """Asked once, and yes."""
    await page.locator("#ask-yes").click()


def button(place: Locator, name: str) -> Locator:
    return place.get_by_role("button", name=name, exact=True)


async def test_the_monitor_shows_what_happens_as_it_happens(stack: Stack, visit: Visit) -> None:
    """Figures, feed and charts move without a reload; what one looks up is there, masked."""
    page = (await open_monitor(visit, stack)).page
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    await expect(page.locator("#feed")).to_contain_text("打开监控")
    name = await take_number(stack)
    await expect(page.locator("#feed")).to_contain_text("注册成功 · 154****0001")
    await expect(page.locator("#tile-registrations b")).to_have_text("2")
    await expect(page.locator("#tile-pages b")).to_have_text(re.compile("[1-9]"))
    await expect(page.locator("#funnel-verified b")).to_have_text("2", timeout=15_000)
    await expect(page.locator("#chart-sms .none")).to_be_hidden(timeout=15_000)
    await expect(page.locator("#chart-refusals .none")).to_be_visible()
    await page.locator("#lookup").fill(f"+86 {MOBILE}")
    await page.keyboard.press("Enter")
    await expect(page.locator("#found")).to_contain_text(name)
    await expect(page.locator("#found")).to_contain_text("已验证")
    assert MOBILE not in await page.locator("#found").inner_text()
    await page.locator("#feed-filter").fill("0001")
    await expect(page.locator("#feed li").first).to_contain_text("0001")
    await page.locator("#feed-group").select_option("alert")
    await expect(page.locator("#feed-empty")).to_have_text("没有符合筛选的事件。")


async def test_the_feed_can_be_held(stack: Stack, visit: Visit) -> None:
    """So that one can read; what came meanwhile is counted and shown when it goes on."""
    page = (await open_monitor(visit, stack)).page
    await expect(page.locator("#feed")).to_contain_text("打开监控")
    await page.locator("#feed-pause").click()
    await take_number(stack)
    await expect(page.locator("#feed-pause")).to_have_text(re.compile("继续（[1-9]"))
    await expect(page.locator("#feed")).not_to_contain_text("注册成功 · 154****0001")
    await page.locator("#feed-pause").click()
    await expect(page.locator("#feed")).to_contain_text("注册成功 · 154****0001")


async def test_the_same_thing_in_a_row_is_one_line(stack: Stack, visit: Visit) -> None:
    """So that a flood of refusals does not wash the rest away."""
    page = (await open_monitor(visit, stack)).page
    rest = stack.rest()
    for _ in range(5):
        await rest.get("/user/mobile/1/")
    await expect(page.locator("#feed li").filter(has_text="mobile_invalid")).to_have_count(1)
    await expect(page.locator("#feed li").first).to_contain_text("×5")


async def test_a_blocked_range_is_refused_on_the_page_until_it_is_lifted(stack: Stack, visit: Visit) -> None:
    """The visitor is told why; the list says until when and by whom; other operators see it at once."""
    page = (await open_monitor(visit, stack)).page
    visitor = await visit(stack)
    form = RegisterPage(visitor.page)
    await page.locator("#block-kind").select_option("prefix")
    await page.locator("#block-value").fill("154000")
    await page.locator("#block-submit").click()
    await sure(page)
    await expect(page.locator("#block-message")).to_contain_text("请检查标出的各项")
    await page.locator("#block-value").fill("1540000")
    await page.locator("#block-submit").click()
    await sure(page)
    await expect(page.locator("#blocks li")).to_contain_text("1540000")
    await form.connected()
    await form.mobile.fill(MOBILE)
    await expect(form.verdict("mobile")).to_contain_text("这个号码暂时被限制")
    await button(page.locator("#blocks"), "解除").click()
    await sure(page)
    await expect(page.locator("#blocks-empty")).to_be_visible()
    await form.mobile.fill("")
    await form.fill_number(MOBILE)


async def test_a_disabled_user_leaves_the_page_and_may_return(stack: Stack, visit: Visit) -> None:
    """From the account that was looked up; the same for ending its sessions."""
    await take_number(stack)
    stack.clock.advance(61)
    theirs = await sign_in(visit, stack, MOBILE)
    page = (await open_monitor(visit, stack)).page
    await page.locator("#lookup").fill(MOBILE)
    await page.locator("#lookup-submit").click()
    await button(page.locator("#found"), "停用").click()
    await sure(page)
    await expect(theirs.page.locator("#signed-out")).to_be_visible()
    await expect(page.locator("#found")).to_contain_text("已停用")
    await button(page.locator("#found"), "启用").click()
    await sure(page)
    await expect(button(page.locator("#found"), "停用")).to_be_visible()
    again = await sign_in(visit, stack, MOBILE)
    await page.locator("#lookup-submit").click()
    await button(page.locator("#found"), "全部退出").click()
    await sure(page)
    await expect(again.page.locator("#signed-out")).to_be_visible()


async def test_a_provider_is_paused_and_resumed(stack: Stack, visit: Visit) -> None:
    """Whoever asks for an SMS meanwhile is told to wait."""
    page = (await open_monitor(visit, stack)).page
    row = page.locator("#providers tr")
    await button(row, "暂停").click()
    await sure(page)
    await expect(row).to_contain_text("已暂停")
    visitor = await visit(stack)
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.fill(MOBILE, PASSWORD)
    await form.send.click()
    await expect(visitor.page.locator("#form-message, #sms_code-verdict").filter(has_text="短信")).not_to_have_count(
        0
    )
    assert len(stack.provider.sent) == 1
    await button(row, "恢复").click()
    await sure(page)
    await expect(row).to_contain_text("正常")


async def test_a_dead_letter_is_sent_again_or_dropped(stack: Stack, visit: Visit) -> None:
    """It is there without a reload; each asks once."""
    page = (await open_monitor(visit, stack)).page
    await expect(page.locator("#dead-empty")).to_be_visible()
    stack.provider.refuse("permanent")
    await request_sms(stack)
    await expect(page.locator("#dead li")).to_contain_text("号码")
    await button(page.locator("#dead"), "重发").click()
    await sure(page)
    await expect(page.locator("#act-message")).to_have_text("已重新排队。")
    await expect(page.locator("#dead-empty")).to_be_visible()
    assert stack.provider.sent[-1].mobile == MOBILE
    stack.provider.refuse("permanent")
    await request_sms(stack, "15400000002")
    await button(page.locator("#dead"), "丢弃").click()
    await page.locator("#ask-dialog button[value=no]").click()
    await expect(page.locator("#dead li")).to_have_count(1)
    await button(page.locator("#dead"), "丢弃").click()
    await sure(page)
    await expect(page.locator("#dead-empty")).to_be_visible()


async def test_how_the_question_is_answered_can_be_changed(stack: Stack, visit: Visit) -> None:
    """The page no longer tells whether a number is taken; a no leaves all as it was."""
    page = (await open_monitor(visit, stack)).page
    mode = page.locator("#uniqueness")
    await mode.select_option("off")
    await page.locator("#ask-dialog button[value=no]").click()
    await expect(mode).to_have_value("open")
    await mode.select_option("off")
    await sure(page)
    await expect(page.locator("#act-message")).to_contain_text("已更改")
    visitor = await visit(stack)
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.mobile.fill(OPERATOR)
    await expect(form.verdict("mobile")).not_to_have_attribute("data-state", "taken")
    await expect(form.verdict("mobile")).to_have_attribute("data-state", re.compile("^(valid|unknown|quiet|unsure)$"))


async def test_a_process_is_drained(stack: Stack, visit: Visit) -> None:
    """Its own is marked; it is told, and only once."""
    page = (await open_monitor(visit, stack)).page
    row = page.locator("#processes tr.here")
    ordered = asyncio.Event()
    stack.services.monitor.on_drain(ordered.set)
    await button(row, "退出").click()
    await sure(page)
    await expect(page.locator("#act-message")).to_contain_text("正在退出")
    async with asyncio.timeout(8):
        await ordered.wait()


async def test_a_viewer_sees_all_and_no_act(stack: Stack, visit: Visit) -> None:
    """No button that would be refused."""
    page = (await open_monitor(visit, stack, role="viewer", lang="en")).page
    await expect(page.locator("#whoami")).to_contain_text("viewer")
    await expect(page.locator("#providers tr")).to_contain_text("scripted")
    for name in ("Pause", "Drain", "Block"):
        await expect(
            page.get_by_role("button", name=name, exact=True).and_(page.locator("[data-act]"))
        ).to_be_hidden()
    await expect(page.locator("#block-form")).to_be_hidden()


async def test_who_is_no_operator_is_told_what_to_do(stack: Stack, visit: Visit) -> None:
    """Signed out: where to sign in. Without the role: how it is given. When it is taken: at once."""
    stranger = await visit(stack, "/admin")
    await expect(stranger.page.locator("#signed-out")).to_contain_text("请先用运营账号登录")
    await take_number(stack)
    stack.clock.advance(61)
    other = await sign_in(visit, stack, MOBILE)
    other.expects("403 /admin/ticket/")
    await other.open("/admin")
    await expect(other.page.locator("#denied")).to_contain_text("make admin")
    visitor = await open_monitor(visit, stack)
    await stack.services.admins.grant(OPERATOR, None)
    await expect(visitor.page.locator("#denied")).to_be_visible()


async def test_alerts_stand_on_top_while_they_last(stack: Stack, visit: Visit) -> None:
    """A breaker that opens is told in words, in the feed too, and goes when it closes."""
    page = (await open_monitor(visit, stack, lang="en")).page
    stack.services.monitor._alerts.stands_s = 0.5
    for _ in range(20):
        await stack.breakers.note("none", "scripted", "bad")
    await expect(page.locator("#alerts li")).to_contain_text("The breaker of provider scripted is open")
    await expect(page.locator("#providers tr")).to_contain_text("breaker open")
    await stack.breakers.note("none", "scripted", "ok")
    await expect(page.locator("#alerts li")).to_have_count(0)
    await expect(page.locator("#feed")).to_contain_text("Alert over")


async def test_a_process_without_redis_says_so_and_goes_on_when_it_is_back(stack: Stack, visit: Visit) -> None:
    """The last picture stays, marked, instead of looking like a quiet minute."""
    page = (await open_monitor(visit, stack)).page
    store = stack.services.monitor._store
    real = store.beat

    async def broken(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("redis", "away")

    store.beat = broken  # type: ignore[method-assign]
    tile = page.locator("#tile-stores")
    await expect(tile).to_have_class(re.compile("bad"))
    await expect(tile).to_contain_text("redis")
    store.beat = real  # type: ignore[method-assign]
    await expect(tile.locator("b")).to_have_text("正常")


async def test_what_happens_leads_to_whom_it_is_about(stack: Stack, visit: Visit) -> None:
    """An account from its event, an SMS from its step, and all of a number by how it is shown."""
    page = (await open_monitor(visit, stack)).page
    name = await take_number(stack)
    event = page.locator("#feed li").filter(has_text="注册成功 · 154****0001")
    await button(event, "查看").click()
    await expect(page.locator("#found")).to_contain_text(name)
    await page.locator("#lookup").fill("154****0001")
    await page.keyboard.press("Enter")
    await expect(page.locator("#found")).to_contain_text("已验证")

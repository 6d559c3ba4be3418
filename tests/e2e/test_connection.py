"""With a bad line or none: the page says how it is connected, loses nothing, and works as soon as it can."""

import pytest
from playwright.async_api import expect

from tests.conftest import Stack
from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)


async def test_going_offline_and_back_loses_nothing(stack: Stack, visit: Visit) -> None:
    """The page says so at once, what is typed stays, and back online the number is checked by itself."""
    visitor = await visit(stack)
    visitor.expects("Failed to load resource: net::ERR_INTERNET_DISCONNECTED")
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.password.fill(PASSWORD)

    await visitor.context.set_offline(True)
    await expect(form.pill).to_have_text("网络已断开")
    await form.mobile.press_sequentially(MOBILE)
    await expect(form.verdict("mobile")).to_have_text("网络不通，请检查后再试。已填的内容都还在。")

    await visitor.context.set_offline(False)
    await expect(form.pill).to_have_text("实时连接")
    await expect(form.verdict("mobile")).to_have_text("输入正确，这个号码可以注册")
    assert await form.values() == {"mobile": MOBILE, "password": PASSWORD, "password2": "", "code": ""}
    await expect(form.send).to_be_enabled()


async def test_the_countdown_goes_on_offline(stack: Stack, visit: Visit) -> None:
    """Without a line the page counts by its own clock, and never upwards when the line is back."""
    visitor = await visit(stack)
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.fill_number(MOBILE)
    await form.send_code()
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")

    await visitor.context.set_offline(True)
    await expect(form.pill).to_have_attribute("data-state", "offline")
    before = await form.seconds_left()
    await expect(form.send).to_contain_text(str(before - 1))
    await expect(form.send).to_contain_text(str(before - 2))

    await visitor.context.set_offline(False)
    await form.connected()
    assert before - 8 <= await form.seconds_left() <= before - 2


async def test_the_whole_registration_goes_over_rest(start: Start, visit: Visit) -> None:
    """Where websockets do not get through, everything still works, step by step."""
    visitor = await visit(await start(sandbox=True, CAPTCHA_PROVIDER="altcha"), None)
    await visitor.loses_websockets()
    await visitor.open("/register")
    form = RegisterPage(visitor.page)
    await expect(form.pill).to_have_text("非实时，已改用普通请求")
    await form.fill(MOBILE, PASSWORD)
    await expect(form.captcha).to_have_attribute("data-state", "passed")
    await form.send_code()
    before = await form.seconds_left()
    await expect(form.send).to_contain_text(str(before - 1))
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")

    inbox = await visitor.context.request.get(visitor.origin + "/dev/inbox.json")
    await form.code.fill((await inbox.json())[0]["code"])
    await form.submit.click()
    await visitor.page.get_by_role("link", name="立即前往").click()
    await expect(visitor.page.locator("#username")).to_contain_text("hm_")


async def test_an_unsteady_store_is_said_until_it_is_over(stack: Stack, visit: Visit) -> None:
    """A notice appears while a part of the service is down, and goes when it is back."""
    visitor = await visit(stack)
    form, notice = RegisterPage(visitor.page), visitor.page.locator("#degraded")
    await form.connected()
    await expect(notice).to_be_hidden()
    stack.sockets.broadcast("degraded", "redis")
    await expect(notice).to_have_text("部分服务暂时不稳定，正在恢复。已填的内容不会丢。")
    stack.sockets.broadcast("restored", "redis")
    await expect(notice).to_be_hidden()

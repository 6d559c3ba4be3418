"""Addresses: where they lead, in which language, and what is said where there is nothing."""

import pytest
from playwright.async_api import expect

from tests.conftest import Stack
from tests.e2e.accounts import request_sms
from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage
from tests.helpers import MOBILE

pytestmark = pytest.mark.gen_test(timeout=60)


async def test_the_old_addresses_lead_to_the_pages(stack: Stack, visit: Visit) -> None:
    """With and without slash, and the language goes along."""
    visitor = await visit(stack, None)
    for address, leads_to, heading in (
        ("/user/reg", "/register", "用手机号注册"),
        ("/user/reg/", "/register", "用手机号注册"),
        ("/user/reg?lang=en", "/register?lang=en", "Create your account"),
        ("/user/login", "/login", "欢迎回来"),
        ("/user/login/?lang=en", "/login?lang=en", "Welcome back"),
    ):
        await visitor.open(address)
        await expect(visitor.page).to_have_url(visitor.origin + leads_to)
        await expect(visitor.page.get_by_role("heading", name=heading)).to_be_visible()
        if "register" in leads_to:
            await RegisterPage(visitor.page).connected()


@pytest.mark.parametrize(
    ("lang", "title", "home"),
    [("", "没有这个页面", "回到首页"), ("en", "No such page", "Back to home")],
    ids=["zh-CN", "en"],
)
async def test_an_unknown_address_says_so_and_leads_home(
    stack: Stack, visit: Visit, lang: str, title: str, home: str
) -> None:
    """With the id of the request, which an operator can look for in the log."""
    visitor = await visit(stack, None, lang=lang)
    visitor.expects("404 /nowhere")
    query = f"?lang={lang}" if lang else ""
    answer = await visitor.page.goto(f"{visitor.origin}/nowhere{query}")
    assert answer is not None
    await expect(visitor.page.get_by_role("heading", name=title)).to_be_visible()
    await expect(visitor.page.locator("code")).to_have_text(answer.headers["x-request-id"])
    await visitor.page.get_by_role("link", name=home).click()
    await expect(visitor.page).to_have_url(f"{visitor.origin}/{query}")
    await expect(visitor.page.locator("#signed-out")).to_be_visible()


async def test_a_browser_gets_its_language_or_chinese(stack: Stack, visit: Visit) -> None:
    """Without asking for one, by what the browser prefers."""
    for locale, lang in (("en-US", "en"), ("zh-TW", "zh-CN"), ("fr-FR", "zh-CN")):
        visitor = await visit(stack, "/register", locale=locale)
        await expect(visitor.page.locator("html")).to_have_attribute("lang", lang)


async def test_the_language_can_be_switched_on_each_page_and_stays(stack: Stack, visit: Visit) -> None:
    """The switch keeps the page, and the links keep the language."""
    visitor = await visit(stack, "/register")
    page = visitor.page
    await RegisterPage(page).connected()
    await page.get_by_role("link", name="EN", exact=True).click()
    await expect(page).to_have_url(visitor.origin + "/register?lang=en")
    await RegisterPage(page).connected()
    await page.get_by_role("navigation").get_by_role("link", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
    await page.get_by_role("link", name="Sign up now").click()
    await expect(page.get_by_role("heading", name="Create your account")).to_be_visible()
    await RegisterPage(page).connected()
    await page.get_by_role("link", name="中文").click()
    await expect(page.get_by_role("heading", name="用手机号注册")).to_be_visible()


async def test_register_and_login_lead_to_each_other(stack: Stack, visit: Visit) -> None:
    """已有账号？直接登录 there, 没有账号？立即注册 here."""
    visitor = await visit(stack, "/register")
    await RegisterPage(visitor.page).connected()
    await visitor.page.get_by_role("link", name="直接登录").click()
    await expect(visitor.page).to_have_url(visitor.origin + "/login")
    await visitor.page.get_by_role("link", name="立即注册").click()
    await expect(visitor.page).to_have_url(visitor.origin + "/register")


async def test_the_inbox_shows_each_sms_as_it_is_sent(start: Start, visit: Visit) -> None:
    """Live, newest first, and the same after a reload; a click copies the code."""
    stack = await start(sandbox=True)
    visitor = await visit(stack, "/dev/inbox", permissions=["clipboard-read", "clipboard-write"])
    page, bubbles = visitor.page, visitor.page.locator(".bubble")
    await expect(page.locator("#inbox-empty")).to_be_visible()
    await request_sms(stack, "15400000002")
    await expect(bubbles).to_have_count(1)
    await expect(page.locator("#inbox-empty")).to_be_hidden()
    await request_sms(stack, MOBILE)
    await expect(bubbles).to_have_count(2)
    await expect(bubbles.first).to_contain_text(MOBILE)
    texts = await bubbles.all_inner_texts()

    await bubbles.first.get_by_role("button").click()
    await expect(bubbles.first).to_contain_text("已复制")
    copied = await page.evaluate("() => navigator.clipboard.readText()")
    assert copied == await bubbles.first.locator(".code").inner_text()
    assert copied in await bubbles.first.locator(".bubble-text").inner_text()
    await page.reload()
    await expect(bubbles).to_have_count(2)
    assert await bubbles.all_inner_texts() == texts

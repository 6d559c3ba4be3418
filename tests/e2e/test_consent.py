"""Terms, where there are some: one reads them, agrees, and only then has an account."""

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)
TERMS, PRIVACY = "https://haoma.example/terms-1", "https://haoma.example/privacy-1"
BOTH = {"TERMS_URL": TERMS, "PRIVACY_URL": PRIVACY}


@pytest.mark.parametrize(
    ("lang", "label", "needed"),
    [
        ("", "我已阅读并同意《服务条款》", "请先同意《服务条款》和《隐私政策》"),
        (
            "en",
            "I have read and accept the terms of service",
            "To sign up you have to accept the terms of service and the privacy policy",
        ),
    ],
    ids=["zh-CN", "en"],
)
async def test_one_agrees_before_one_registers(
    start: Start, visit: Visit, lang: str, label: str, needed: str
) -> None:
    """The box is empty at first, what is missing is said where it is, and the form waits for it."""
    stack = await start(**BOTH)
    visitor = await visit(stack, lang=lang)
    form = RegisterPage(visitor.page)
    await form.connected()
    await expect(form.agree).not_to_be_checked()
    await expect(visitor.page.get_by_role("checkbox", name=label)).to_have_count(1)
    await form.fill(MOBILE, PASSWORD)
    await form.send_code()
    await form.code.fill((await stack.provider.nth(1)).code)
    await form.submit.click()
    await form.shows_fault("agree", needed)
    await expect(form.agree).to_be_focused()
    await form.agree.check()
    await expect(form.verdict("agree")).to_have_attribute("data-state", "ok")
    await form.submit.click()
    await expect(visitor.page.locator("#success")).to_be_visible()
    kept = (await stack.mongo.db.users.find_one({"mobile": MOBILE}))["consent"]
    assert (kept["terms_url"], kept["privacy_url"]) == (TERMS, PRIVACY)


async def test_the_terms_open_in_a_tab_of_their_own(start: Start, visit: Visit) -> None:
    """What was typed stays, the box too, and the other page has no hold on this one."""
    stack = await start(**BOTH)
    visitor = await visit(stack)
    form = RegisterPage(visitor.page)
    await form.connected()
    await visitor.context.route("https://haoma.example/**", lambda route: route.fulfill(body="terms"))
    async with visitor.context.expect_page() as opened:
        await visitor.page.get_by_role("link", name="《服务条款》").click()
    tab = await opened.value
    await expect(tab).to_have_url(TERMS)
    assert await tab.evaluate("() => window.opener") is None
    await expect(form.agree).not_to_be_checked()


@pytest.mark.parametrize(
    ("asked", "needed"),
    [({"TERMS_URL": TERMS}, "请先同意《服务条款》"), ({"PRIVACY_URL": PRIVACY}, "请先同意《隐私政策》")],
    ids=["terms", "privacy"],
)
async def test_only_what_there_is_is_asked_for(
    start: Start, visit: Visit, asked: dict[str, str], needed: str
) -> None:
    """By name, as soon as the tick is taken back."""
    visitor = await visit(await start(**asked))
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.agree.check()
    await form.agree.uncheck()
    await form.shows_fault("agree", needed)
    await expect(visitor.page.locator(".consent a")).to_have_count(1)

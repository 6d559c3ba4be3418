"""Registering and signing in, as a visitor lives it."""

import re
from dataclasses import dataclass

import pytest
from playwright.async_api import expect

from tests.conftest import Stack
from tests.e2e.accounts import take_number
from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)


@dataclass(frozen=True)
class Words:
    """What the page says on the way."""

    lang: str
    hint: str
    missing: dict[str, str]
    free: str
    weak: str
    strong: str
    match: str
    captcha: str
    sent: str
    steps: list[str]
    done: str


CHINESE = Words(
    lang="",
    hint="请输入11位手机号",
    missing={"1": "还差 10 位", "15": "还差 9 位", "12": "不正确，第二位应是 3 到 9", "2": "不正确，手机号以 1 开头"},
    free="输入正确，这个号码可以注册",
    weak="弱",
    strong="很强",
    match="两次输入一致",
    captcha="安全验证已通过",
    sent="发送短信成功！请输入 6 位验证码",
    steps=["排队", "发送中", "已受理", "已送达"],
    done="注册成功！",
)
ENGLISH = Words(
    lang="en",
    hint="Enter your 11-digit mobile number",
    missing={
        "1": "10 more to go",
        "15": "9 more to go",
        "12": "Not right: the second digit is 3 to 9",
        "2": "Not right: mobile numbers start with 1",
    },
    free="Looks right, and it is free to use",
    weak="Weak",
    strong="Strong",
    match="The two match",
    captcha="Security check passed",
    sent="Sent! Enter the 6 digits you receive",
    steps=["Queued", "Sending", "Accepted", "Delivered"],
    done="You are in!",
)


@pytest.mark.parametrize("words", [CHINESE, ENGLISH], ids=["zh-CN", "en"])
async def test_a_visitor_registers_and_is_signed_in_on_the_home_page(
    start: Start, visit: Visit, words: Words
) -> None:
    """From the first key to the home page, each thing is answered where it is typed, and a reload changes nothing."""
    stack = await start(sandbox=True, CAPTCHA_PROVIDER="altcha")
    visitor = await visit(stack, lang=words.lang, reduced_motion="no-preference")
    form = RegisterPage(visitor.page)
    await form.connected()

    await form.mobile.focus()
    await expect(form.verdict("mobile")).to_have_text(words.hint)
    for typed, said in words.missing.items():
        await form.mobile.fill(typed)
        await expect(form.verdict("mobile")).to_have_text(said)
    await form.mobile.fill("")
    await form.mobile.press_sequentially(MOBILE)
    await expect(form.verdict("mobile")).to_have_text(words.free)

    strength = visitor.page.locator("#password-strength")
    await form.password.press_sequentially("12345678")
    await expect(strength).to_contain_text(words.weak)
    await form.password.fill(PASSWORD)
    await expect(strength).to_contain_text(words.strong)
    await form.password2.press_sequentially(PASSWORD)
    await expect(form.verdict("password2")).to_have_text(words.match)

    await expect(form.captcha).to_have_text(words.captcha)
    await form.send_code()
    await expect(form.verdict("sms_code")).to_have_text(words.sent)
    await expect(form.timeline.locator(".step-name")).to_have_text(words.steps)
    for step in ("queued", "sending", "accepted", "delivered"):
        await expect(form.step(step)).to_have_attribute("data-state", "done")
        await expect(form.step(step).locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))

    inbox = await visitor.new_tab("/dev/inbox")
    code = await inbox.locator(".bubble .code").inner_text()
    await expect(form.code).to_be_focused()
    await form.code.press_sequentially(code)
    await form.submit.click()
    await expect(visitor.page.get_by_role("heading", name=words.done)).to_be_visible()
    username = await visitor.page.locator("#success-name").inner_text()

    await expect(visitor.page).to_have_url(visitor.origin + "/" + (f"?lang={words.lang}" if words.lang else ""))
    await expect(visitor.page.locator("#username")).to_have_text(username)
    await visitor.page.reload()
    await expect(visitor.page.locator("#username")).to_have_text(username)


@pytest.mark.parametrize("by", ["mobile", "username"])
async def test_who_has_an_account_signs_in_and_out(stack: Stack, visit: Visit, by: str) -> None:
    """By number in any notation or by username; after signing out a reload shows nobody."""
    username = await take_number(stack)
    visitor = await visit(stack, "/login")
    await visitor.page.locator("#account").fill({"mobile": "+86 154-0000-0001", "username": username}[by])
    await visitor.page.locator("#password").fill(PASSWORD)
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#username")).to_have_text(username)

    await visitor.page.locator("#logout").click()
    await expect(visitor.page.locator("#signed-out")).to_be_visible()
    await visitor.page.reload()
    await expect(visitor.page.locator("#signed-out")).to_be_visible()
    await expect(visitor.page.locator("#username")).to_be_hidden()


@pytest.mark.parametrize(
    ("lang", "taken", "offer"),
    [
        ("", "手机号已经被注册过！", "已有账号？直接登录"),
        ("en", "This number is already registered!", "Yours? Sign in"),
    ],
    ids=["zh-CN", "en"],
)
async def test_a_second_window_sees_the_number_being_taken(
    stack: Stack, visit: Visit, lang: str, taken: str, offer: str
) -> None:
    """Without a touch: the verdict turns, a link to the login page appears, and sending is not offered any more."""
    watching, registering = await visit(stack, lang=lang), await visit(stack)
    theirs, mine = RegisterPage(watching.page), RegisterPage(registering.page)
    await theirs.connected()
    await mine.connected()
    await theirs.fill(MOBILE, PASSWORD)
    await expect(theirs.send).to_be_enabled()

    await mine.fill(MOBILE, PASSWORD)
    await mine.send_code()
    await mine.code.fill((await stack.provider.nth(1)).code)
    await mine.submit.click()

    await theirs.shows_fault("mobile", taken)
    await expect(theirs.send).to_be_disabled()
    link = watching.page.get_by_role("link", name=offer)
    await expect(link).to_be_visible()
    assert (await theirs.values())["password"] == PASSWORD
    await link.click()
    await expect(watching.page).to_have_url(watching.origin + "/login" + (f"?lang={lang}" if lang else ""))
    await expect(registering.page.locator("#success")).to_be_visible()


async def test_a_number_in_any_notation_is_taken_for_what_it_is(stack: Stack, visit: Visit) -> None:
    """A pasted prefix and separators are understood, and the prefix, which the field shows itself, goes."""
    visitor = await visit(stack)
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.mobile.fill("+86 154-0000-0001")
    await expect(form.verdict("mobile")).to_have_attribute("data-state", "free")
    await form.password.focus()
    await expect(form.mobile).to_have_value(MOBILE)

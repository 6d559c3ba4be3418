"""What goes wrong is said at the field where it is to be mended, in the visitor's language; nothing typed is lost."""

import re
from dataclasses import dataclass

import pytest
from playwright.async_api import expect

from tests.conftest import Stack
from tests.e2e.accounts import request_sms, take_number
from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage, Visitor, seconds_in
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)


@dataclass(frozen=True)
class Words:
    """What the page says when something is wrong."""

    lang: str
    mobile_empty: str
    mobile_short: str
    password_empty: str
    password_short: str
    password2: str
    code_shape: str
    code_first: str
    code_invalid: str
    attempts: str
    mobile_taken: str
    sms_failed: str
    resend: str
    too_soon: str
    wait: str
    wait_over: str
    credentials: str
    account_empty: str
    too_long: str


CHINESE = Words(
    lang="",
    mobile_empty="请输入手机号码",
    mobile_short="手机号码格式有误！还差 8 位",
    password_empty="请输入密码",
    password_short="密码还差 3 个字符（至少 8 个）",
    password2="密码和确认密码不一致！",
    code_shape="请输入短信里的 6 位验证码",
    code_first="请先获取短信验证码",
    code_invalid="验证码不存在或已过期！",
    attempts="这个验证码还可以试 4 次",
    mobile_taken="手机号已经被注册过！",
    sms_failed="发送短信失败！请重新获取验证码。",
    resend="重新发送",
    too_soon="对不起，刚刚已经发送过短信，请在{}秒后重试。",
    wait="{}秒后可重发",
    wait_over="现在可以再试了。",
    credentials="账号或密码错误。",
    account_empty="请输入手机号或用户名",
    too_long="最多1024个字符。",
)
ENGLISH = Words(
    lang="en",
    mobile_empty="Please enter your mobile number",
    mobile_short="That is not a full number. Digits missing: 8",
    password_empty="Please enter your password",
    password_short="3 more needed (at least 8)",
    password2="The two passwords differ!",
    code_shape="Enter the 6 digits from the SMS",
    code_first="Please have a code sent first",
    code_invalid="This code is wrong or has expired.",
    attempts="Tries left for this code: 4",
    mobile_taken="This number is already registered!",
    sms_failed="The SMS could not be sent. Please request another one.",
    resend="Send again",
    too_soon="An SMS was sent just now. Please try again in {} s.",
    wait="Again in {} s",
    wait_over="You can try again now.",
    credentials="The account or the password is wrong.",
    account_empty="Please enter your mobile number or username",
    too_long="At most 1024 characters.",
)
in_both_languages = pytest.mark.parametrize("words", [CHINESE, ENGLISH], ids=["zh-CN", "en"])


async def come_to_register(stack: Stack, visit: Visit, words: Words) -> tuple[Visitor, RegisterPage]:
    """A visitor whose page is connected."""
    visitor = await visit(stack, lang=words.lang)
    form = RegisterPage(visitor.page)
    await form.connected()
    return visitor, form


async def come_with_code(stack: Stack, visit: Visit, words: Words) -> tuple[Visitor, RegisterPage]:
    """A visitor who has filled in the form and got their SMS."""
    visitor, form = await come_to_register(stack, visit, words)
    await form.fill(MOBILE, PASSWORD)
    await form.send_code()
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")
    return visitor, form


@in_both_languages
async def test_an_empty_form_names_all_that_is_missing(stack: Stack, visit: Visit, words: Words) -> None:
    """All at once, and the first field that needs something has the focus."""
    _, form = await come_to_register(stack, visit, words)
    await form.submit.click()
    await form.shows_fault("mobile", words.mobile_empty)
    await form.shows_fault("password", words.password_empty)
    await form.shows_fault("sms_code", words.code_shape)
    await expect(form.mobile).to_be_focused()


@in_both_languages
async def test_half_a_number_is_named_when_one_leaves_it(stack: Stack, visit: Visit, words: Words) -> None:
    """While typing it is only unfinished; left so it is wrong, and the mark goes with the next digits."""
    _, form = await come_to_register(stack, visit, words)
    await form.mobile.press_sequentially("154")
    await expect(form.mobile).not_to_have_attribute("aria-invalid", "true")
    await form.password.focus()
    await form.shows_fault("mobile", words.mobile_short)
    await form.mobile.press("End")
    await form.mobile.press_sequentially("00000001")
    await expect(form.verdict("mobile")).to_have_attribute("data-state", "free")
    await expect(form.mobile).not_to_have_attribute("aria-invalid", "true")


@in_both_languages
async def test_a_short_password_and_a_different_repetition_are_named(
    stack: Stack, visit: Visit, words: Words
) -> None:
    """Each at its own field, when one leaves it; sending them off moves to the first."""
    _, form = await come_to_register(stack, visit, words)
    await form.fill_number(MOBILE)
    await form.password.press_sequentially("short")
    await form.password2.press_sequentially("other")
    await form.shows_fault("password", words.password_short)
    await form.code.fill("123456")
    await form.shows_fault("password2", words.password2)
    await form.submit.click()
    await form.shows_fault("password", words.password_short)
    await form.shows_fault("password2", words.password2)
    await form.shows_fault("sms_code", words.code_first)
    await expect(form.password).to_be_focused()
    assert await form.values() == {"mobile": MOBILE, "password": "short", "password2": "other", "code": "123456"}


@in_both_languages
async def test_a_wrong_code_is_named_with_the_tries_that_are_left(stack: Stack, visit: Visit, words: Words) -> None:
    """At its field, which has the focus; the right code then still works."""
    visitor, form = await come_with_code(stack, visit, words)
    visitor.expects("400 /user/")
    right = (await stack.provider.nth(1)).code
    wrong = "000000" if right != "000000" else "000001"
    await form.code.fill(wrong)
    await form.submit.click()
    await form.shows_fault("sms_code", words.code_invalid)
    await expect(form.attempts).to_have_text(words.attempts)
    await expect(form.code).to_be_focused()
    assert await form.values() == {"mobile": MOBILE, "password": PASSWORD, "password2": PASSWORD, "code": wrong}
    await form.code.fill(right)
    await form.submit.click()
    await expect(visitor.page.locator("#success")).to_be_visible()


async def test_after_the_last_try_the_page_asks_for_a_new_code(stack: Stack, visit: Visit) -> None:
    """The tries count down to none, and then the right code does not work any more either."""
    visitor, form = await come_with_code(stack, visit, CHINESE)
    visitor.expects("400 /user/")
    right = (await stack.provider.nth(1)).code
    wrong = "000000" if right != "000000" else "000001"
    for left in ("还可以试 4 次", "还可以试 3 次", "还可以试 2 次", "还可以试 1 次", "已失效，请重新发送"):
        await form.code.fill(wrong)
        await form.submit.click()
        await expect(form.attempts).to_contain_text(left)
    await form.code.fill(right)
    await form.submit.click()
    await form.shows_fault("sms_code", CHINESE.code_invalid)


@in_both_languages
async def test_a_taken_number_is_named_as_soon_as_it_is_typed(stack: Stack, visit: Visit, words: Words) -> None:
    """With a link to the login page, and without the offer of an SMS."""
    await take_number(stack)
    visitor, form = await come_to_register(stack, visit, words)
    await form.mobile.fill(MOBILE)
    await form.shows_fault("mobile", words.mobile_taken)
    await expect(visitor.page.locator("#mobile-login")).to_be_visible()
    await expect(form.send).to_be_disabled()


@in_both_languages
async def test_a_number_taken_in_the_last_moment_is_named_at_its_field(
    stack: Stack, visit: Visit, words: Words
) -> None:
    """Without a websocket to hear of it the refused registration says it, and the number has the focus."""
    visitor = await visit(stack, None, lang=words.lang)
    visitor.expects("409 /user/")
    await visitor.loses_websockets()
    await visitor.open("/register" + (f"?lang={words.lang}" if words.lang else ""))
    form = RegisterPage(visitor.page)
    await form.fill(MOBILE, PASSWORD)
    await form.send_code()
    code = (await stack.provider.nth(1)).code
    stack.clock.advance(61)
    await take_number(stack)
    await form.code.fill(code)
    await form.submit.click()
    await form.shows_fault("mobile", words.mobile_taken)
    await expect(form.mobile).to_be_focused()
    assert await form.values() == {"mobile": MOBILE, "password": PASSWORD, "password2": PASSWORD, "code": code}


@in_both_languages
async def test_a_failed_sms_says_why_and_may_be_sent_again_at_once(stack: Stack, visit: Visit, words: Words) -> None:
    """The step that failed is marked, none after it, and no countdown stands in the way."""
    _, form = await come_to_register(stack, visit, words)
    await form.fill(MOBILE, PASSWORD)
    stack.provider.refuse("config")
    await form.send_code()
    await expect(form.timeline.locator(".timeline-note")).to_have_text(words.sms_failed)
    await expect(form.step("queued")).to_have_attribute("data-state", "done")
    await expect(form.step("sending")).to_have_attribute("data-state", "failed")
    await expect(form.step("accepted")).to_have_attribute("data-state", "waiting")
    await expect(form.send).to_have_text(words.resend)
    await form.send.click()
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")
    assert await form.seconds_left() > 50


@in_both_languages
async def test_an_sms_too_soon_says_how_long_to_wait(stack: Stack, visit: Visit, words: Words) -> None:
    """The wait that the server names counts down, in the message and on the button, and what is typed stays."""
    await request_sms(stack)
    _, form = await come_to_register(stack, visit, words)
    await form.fill(MOBILE, PASSWORD)
    await form.send.click()
    await expect(form.message).to_have_text(re.compile(re.escape(words.too_soon).replace(r"\{\}", "[0-9]+")))
    first = seconds_in(await form.message.inner_text())
    assert 50 < first <= 60
    await expect(form.message).to_have_text(words.too_soon.format(first - 1))
    await expect(form.send).to_have_text(words.wait.format(first - 1))
    await expect(form.send).to_be_disabled()
    assert (await form.values())["password2"] == PASSWORD


async def test_a_wait_over_rest_ends_with_the_button_open(start: Start, visit: Visit) -> None:
    """The refusal by HTTP counts the same way down to its end."""
    stack = await start(SMS_INTERVAL_S="3")
    visitor = await visit(stack, None)
    visitor.expects("429 /user/sms/")
    await visitor.loses_websockets()
    await visitor.open("/register")
    form = RegisterPage(visitor.page)
    await form.fill(MOBILE, PASSWORD)
    await request_sms(stack)
    await form.send.click()
    await expect(form.message).to_contain_text("刚刚已经发送过短信")
    await expect(form.send).to_be_disabled()
    await expect(form.message).to_have_text(CHINESE.wait_over)
    await expect(form.send).to_be_enabled()
    await form.send_code()


@in_both_languages
async def test_the_login_page_says_what_is_wrong(stack: Stack, visit: Visit, words: Words) -> None:
    """What is missing and what the server refuses at the field, wrong credentials without telling which was wrong."""
    visitor = await visit(stack, "/login", lang=words.lang)
    visitor.expects("401 /user/login/", "400 /user/login/")
    login = RegisterPage(visitor.page)
    account = visitor.page.locator("#account")
    await login.submit.click()
    await login.shows_fault("account", words.account_empty)
    await login.shows_fault("password", words.password_empty)
    await expect(account).to_be_focused()

    await account.fill(MOBILE)
    await login.password.fill("not the password")
    await login.submit.click()
    await expect(login.message).to_have_text(words.credentials)
    await expect(account).to_have_value(MOBILE)
    await expect(login.password).to_have_value("not the password")

    await login.password.fill("x" * 1025)
    await login.submit.click()
    await login.shows_fault("password", words.too_long)
    await expect(login.password).to_be_focused()

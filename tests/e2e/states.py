"""The states of the pages that everybody must be able to see and use."""

from collections.abc import Awaitable, Callable

from playwright.async_api import Locator, Page, expect

from server.sms.provider import SendResult, Sms
from tests.conftest import Stack
from tests.e2e.accounts import request_sms, take_number
from tests.e2e.visitor import RegisterPage, Visitor
from tests.helpers import MOBILE, PASSWORD
from tests.people import code_for


async def register_empty(visitor: Visitor, stack: Stack, query: str) -> None:
    """As one comes to it."""
    await visitor.open("/register" + query)
    await RegisterPage(visitor.page).connected()


async def register_with_errors(visitor: Visitor, stack: Stack, query: str) -> None:
    """Everything is wrong that can be."""
    await take_number(stack)
    await register_empty(visitor, stack, query)
    form = RegisterPage(visitor.page)
    await form.mobile.fill(MOBILE)
    await expect(form.verdict("mobile")).to_have_attribute("data-state", "taken")
    await form.password.fill("short")
    await form.password2.fill("other")
    await form.submit.click()
    await expect(form.verdict("sms_code")).to_have_attribute("data-state", "invalid")


async def register_counting(visitor: Visitor, stack: Stack, query: str) -> None:
    """The SMS is there, a first code was wrong, the countdown runs."""
    visitor.expects("400 /user/")
    await register_empty(visitor, stack, query)
    form = RegisterPage(visitor.page)
    await form.fill(MOBILE, PASSWORD)
    await form.send_code()
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")
    right = (await stack.provider.nth(1)).code
    await form.code.fill("000000" if right != "000000" else "000001")
    await form.submit.click()
    await expect(form.attempts).to_be_visible()


async def register_failed(visitor: Visitor, stack: Stack, query: str) -> None:
    """The SMS failed, and the service is unsteady."""
    await register_empty(visitor, stack, query)
    form = RegisterPage(visitor.page)
    await form.fill(MOBILE, PASSWORD)
    stack.provider.refuse("permanent")
    await form.send_code()
    await expect(form.timeline).to_have_attribute("data-status", "failed")
    stack.sockets.broadcast("degraded", "redis")
    await expect(visitor.page.locator("#degraded")).to_be_visible()


async def move_sms(stack: Stack, transaction: str, status: str, *, attempt: int = 1, reason: str = "") -> None:
    """Bring the SMS to a step, as a provider or its receipt would: recorded first, then told."""
    group = f"{{{transaction[:8]}}}"
    key = f"sms:{group}:tx:{transaction}"
    if status == "failed":
        name = await stack.redis.call("HGET", key, "mobile_name")
        await stack.redis.call("DEL", f"sms:{group}:interval:{name}")
    await stack.redis.call("HSET", key, "status", status, "attempt", attempt, "reason", reason)
    await tell_change(stack, transaction)


async def seconds_pass(stack: Stack, transaction: str, seconds: int) -> None:
    """It is so much later, and the pages are told how their SMS stands."""
    stack.clock.advance(seconds)
    await tell_change(stack, transaction)


async def tell_change(stack: Stack, transaction: str) -> None:
    """What an SMS is now is news."""
    await stack.redis.call("HINCRBY", f"sms:{{{transaction[:8]}}}:tx:{transaction}", "seq", 1)
    await stack.redis.call("PUBLISH", f"events:sms:{transaction[:8]}", "{}")


async def transaction_of(visitor: Visitor) -> str:
    """The one that the page keeps."""
    kept = await visitor.page.evaluate("() => JSON.parse(sessionStorage.getItem('haoma.sms.register')).transaction")
    return str(kept)


def accept_only(stack: Stack) -> None:
    """The provider takes each SMS and says nothing more, so that the test says how it goes on."""

    async def accept(sms: Sms) -> SendResult:
        return SendResult(message_id=sms.id, delivered=False)

    stack.provider.send = accept  # type: ignore[method-assign]


async def begin_sms(visitor: Visitor, stack: Stack, query: str) -> RegisterPage:
    """An SMS is being sent, and nothing comes of it by itself."""
    accept_only(stack)
    await register_empty(visitor, stack, query)
    form = RegisterPage(visitor.page)
    await form.fill(MOBILE, PASSWORD)
    await form.send_code()
    await expect(form.timeline).to_have_attribute("data-status", "accepted")
    await move_sms(stack, await transaction_of(visitor), "sending")
    await expect(form.step("sending")).to_have_attribute("data-state", "active")
    return form


async def register_second_try(visitor: Visitor, stack: Stack, query: str) -> None:
    """The first try did not get through."""
    form = await begin_sms(visitor, stack, query)
    await move_sms(stack, await transaction_of(visitor), "sending", attempt=2)
    await expect(form.step("sending")).to_have_attribute("data-tries", "2")


async def register_accepted_long_ago(visitor: Visitor, stack: Stack, query: str) -> None:
    """The carrier has it, after a second try, and nothing more is heard."""
    form = await begin_sms(visitor, stack, query)
    transaction = await transaction_of(visitor)
    await move_sms(stack, transaction, "accepted", attempt=2)
    await expect(form.step("accepted")).to_have_attribute("data-state", "active")
    await seconds_pass(stack, transaction, 21)
    await expect(form.hint).to_be_visible()


async def register_undelivered(visitor: Visitor, stack: Stack, query: str) -> None:
    """The carrier took it, the phone did not get it, and one may send again."""
    form = await begin_sms(visitor, stack, query)
    transaction = await transaction_of(visitor)
    await move_sms(stack, transaction, "accepted")
    await move_sms(stack, transaction, "failed", reason="undelivered")
    await expect(form.send).to_be_enabled()


async def register_without_consent(visitor: Visitor, stack: Stack, query: str) -> None:
    """Terms are asked for and not agreed to."""
    await register_empty(visitor, stack, query)
    form = RegisterPage(visitor.page)
    await form.agree.check()
    await form.agree.uncheck()
    await expect(form.verdict("agree")).to_have_attribute("data-state", "invalid")


async def login(visitor: Visitor, stack: Stack, query: str) -> None:
    """Refused."""
    visitor.expects("401 /user/login/")
    await visitor.open("/login" + query)
    await visitor.page.locator("#account").fill(MOBILE)
    await visitor.page.locator("#password").fill(PASSWORD)
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#form-message")).to_be_visible()


async def home_signed_out(visitor: Visitor, stack: Stack, query: str) -> None:
    """As a stranger sees it."""
    await visitor.open("/" + query)
    await expect(visitor.page.locator("#signed-out")).to_be_visible()


async def home_signed_in(visitor: Visitor, stack: Stack, query: str) -> None:
    """As a member sees it."""
    await take_number(stack)
    await visitor.open("/login" + query)
    await visitor.page.locator("#account").fill(MOBILE)
    await visitor.page.locator("#password").fill(PASSWORD)
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#username")).to_contain_text("hm_")


async def login_by_code(visitor: Visitor, stack: Stack, query: str) -> None:
    """An SMS is said to be on its way, if the number is known."""
    await visitor.open("/login" + query)
    await visitor.page.locator("#tab-code").click()
    await visitor.page.locator("#mobile").fill(MOBILE)
    await visitor.page.locator("#send-code").click()
    await expect(visitor.page.locator("#sms-timeline")).to_be_visible()


async def reset_with_errors(visitor: Visitor, stack: Stack, query: str) -> None:
    """Nothing was filled in right."""
    await visitor.open("/reset" + query)
    await visitor.page.locator("#mobile").fill("1540000")
    await visitor.page.locator("#new_password").fill("short")
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#new_password-verdict")).to_have_attribute("data-state", "invalid")


async def reset_done(visitor: Visitor, stack: Stack, query: str) -> None:
    """A new password is set."""
    await take_number(stack)
    stack.clock.advance(61)
    sent = len(stack.provider.sent)
    await visitor.open("/reset" + query)
    await visitor.page.locator("#mobile").fill(MOBILE)
    await visitor.page.locator("#send-code").click()
    await expect(visitor.page.locator("#sms-timeline")).to_be_visible()
    await visitor.page.locator("#sms_code").fill((await stack.provider.nth(sent + 1)).code)
    await visitor.page.locator("#new_password").fill("another battery, staple")
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#success")).to_be_visible()


async def me(visitor: Visitor, stack: Stack, query: str) -> None:
    """One's own account, with a long name and another device."""
    await home_signed_in(visitor, stack, query)
    await stack.rest().post("/user/login/", {"account": MOBILE, "password": PASSWORD})
    await visitor.open("/me" + query)
    await visitor.page.locator("#name").fill("一个名字可以有三十二个字符那么长而且中间没有任何空格或标点符号")
    await visitor.page.locator("#age").focus()
    await expect(visitor.page.locator("#profile-undo")).to_be_visible()


async def me_with_errors(visitor: Visitor, stack: Stack, query: str) -> None:
    """Each form says what is wrong."""
    await home_signed_in(visitor, stack, query)
    await visitor.open("/me" + query)
    page = visitor.page
    await page.locator("#name").fill("管理员")
    await page.locator("#age").fill("101")
    await page.locator(".switch-box").click()
    for form in ("password", "mobile"):
        await page.locator(f"#{form}-submit").click()
    await page.locator("#delete_sure").check()
    await page.locator("#delete-submit").click()
    await expect(page.locator("#delete_password-verdict")).to_have_attribute("data-state", "invalid")
    await expect(page.locator("#description-verdict")).to_have_attribute("data-state", "invalid")


async def admin(visitor: Visitor, stack: Stack, query: str) -> None:
    """An operator's monitor, with an account looked up, a block, an SMS that was given up and an alert."""
    await home_signed_in(visitor, stack, query)
    await stack.services.admins.grant(MOBILE, "operator")
    await stack.services.controls.block("prefix", "1541234", 60, by="hm_operator")
    for _ in range(20):
        await stack.breakers.note("none", "scripted", "bad")
    page = visitor.page
    await visitor.open("/admin" + query)
    await expect(page.locator("#alerts li")).to_have_count(1)
    await page.locator("#lookup").fill(MOBILE)
    await page.locator("#lookup-submit").click()
    await expect(page.locator("#found section")).to_have_count(2)
    await expect(page.locator("#blocks li")).to_have_count(1)


async def admin_denied(visitor: Visitor, stack: Stack, query: str) -> None:
    """Signed in, but no operator."""
    visitor.expects("403 /admin/ticket/")
    await home_signed_in(visitor, stack, query)
    await visitor.open("/admin" + query)
    await expect(visitor.page.locator("#denied")).to_be_visible()


async def claim_with_errors(visitor: Visitor, stack: Stack, query: str) -> None:
    """Nothing was filled in right."""
    await visitor.open("/claim" + query)
    await visitor.page.locator("#mobile").fill("1540000")
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#sms_code-verdict")).to_have_attribute("data-state", "invalid")


async def claim_done(visitor: Visitor, stack: Stack, query: str) -> None:
    """The number is claimed."""
    await take_number(stack)
    stack.clock.advance(61)
    sent = len(stack.provider.sent)
    await visitor.open("/claim" + query)
    await visitor.page.locator("#mobile").fill(MOBILE)
    await visitor.page.locator("#send-code").click()
    await expect(visitor.page.locator("#sms-timeline")).to_be_visible()
    await visitor.page.locator("#sms_code").fill((await stack.provider.nth(sent + 1)).code)
    await visitor.page.locator("#submit").click()
    await expect(visitor.page.locator("#success")).to_be_visible()


async def claim_number(stack: Stack) -> None:
    """Somebody who has the number now claims it."""
    stack.clock.advance(61)
    form = {"mobile": MOBILE} | await code_for(stack, MOBILE, "claim")
    assert (await stack.rest().post("/user/claim/", form)).status == 202


async def home_claimed(visitor: Visitor, stack: Stack, query: str) -> None:
    """A member's number is claimed."""
    await home_signed_in(visitor, stack, query)
    await claim_number(stack)
    await expect(visitor.page.locator("#claim")).to_be_visible()


async def me_recovering(visitor: Visitor, stack: Stack, query: str) -> None:
    """A new number was asked for without the old one, which somebody claims."""
    await home_signed_in(visitor, stack, query)
    await claim_number(stack)
    page = visitor.page
    await visitor.open("/me" + query)
    await expect(page.locator("#claim")).to_have_attribute("data-state", "release")
    await page.locator("#mobile-way").click()
    sent = len(stack.provider.sent)
    await page.locator("#new_mobile").fill("15400000002")
    await page.locator("#send-code_new").click()
    await expect(page.locator("#sms-timeline_new")).to_be_visible()
    await page.locator("#sms_code_new").fill((await stack.provider.nth(sent + 1)).code)
    await page.locator("#mobile_password").fill(PASSWORD)
    await page.locator("#mobile-submit").click()
    await expect(page.locator("#claim")).to_have_attribute("data-state", "change")


async def docs(visitor: Visitor, stack: Stack, query: str) -> None:
    """A request was tried and answered."""
    await visitor.open("/docs" + query)
    await try_check(visitor.page)


async def try_check(page: Page) -> Locator:
    """Open `mobile.check`, send its example, and wait for the answer."""
    operation = page.locator(".opblock-get:has([data-path='/user/mobile/{mobile}/'])")
    await operation.locator(".opblock-summary-control").click()
    await operation.locator(".execute").click()
    answer = operation.locator(".live-responses-table")
    await expect(answer).to_be_visible()
    return answer


async def realtime(visitor: Visitor, stack: Stack, query: str) -> None:
    """A frame was sent, all that can be unfolded is."""
    await visitor.open("/docs/realtime" + query)
    await visitor.page.evaluate(
        "() => { for (const part of document.querySelectorAll('details')) part.open = true; }"
    )
    await visitor.page.locator("[id='mobile.check'] [data-try]").click()
    await visitor.page.locator("#console-form [type=submit]").click()
    await expect(visitor.page.locator("#console-log [data-kind=received]")).to_contain_text("mobile.checked")


async def error_page(visitor: Visitor, stack: Stack, query: str) -> None:
    """An address that is not ours."""
    visitor.expects("404 /nowhere")
    await visitor.open("/nowhere" + query)


async def inbox(visitor: Visitor, stack: Stack, query: str) -> None:
    """With two messages, one that was refused, and a fault that is played until it is switched off."""
    assert stack.services.sandbox is not None
    await visitor.open("/dev/inbox" + query)
    await request_sms(stack)
    await request_sms(stack, "15400009007")
    await request_sms(stack, "15400009009")
    await expect(visitor.page.locator(".bubble")).to_have_count(2)
    await expect(visitor.page.locator("#tries tr")).to_have_count(3)
    await stack.services.sandbox.set("limit_service", None)
    await expect(visitor.page.locator("#fault-now")).to_have_attribute("data-state", "rest")


Reach = Callable[[Visitor, Stack, str], Awaitable[None]]
STATES: tuple[Reach, ...] = (
    register_empty,
    register_with_errors,
    register_counting,
    register_failed,
    register_second_try,
    register_accepted_long_ago,
    register_undelivered,
    register_without_consent,
    login,
    home_signed_out,
    home_signed_in,
    login_by_code,
    reset_with_errors,
    reset_done,
    me,
    me_with_errors,
    admin,
    admin_denied,
    claim_with_errors,
    claim_done,
    home_claimed,
    me_recovering,
    docs,
    realtime,
    error_page,
    inbox,
)
# What the service of a state needs to be told.
SETTINGS: dict[Reach, dict[str, str]] = {
    register_without_consent: {
        "TERMS_URL": "https://haoma.example/terms",
        "PRIVACY_URL": "https://haoma.example/privacy",
    },
}

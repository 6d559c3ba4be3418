"""What a person sees of delivery: each step, each further try, why it failed and what to do next."""

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Request, expect

from server.events import EventBus, topics
from server.stores.inbox import InboxStore
from server.stores.sandbox import SandboxStore
from tests.conftest import Stack
from tests.e2e.accounts import request_sms
from tests.e2e.conftest import Start, Visit
from tests.e2e.states import accept_only, begin_sms, move_sms, seconds_pass, transaction_of
from tests.e2e.visitor import RegisterPage, Visitor
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)

REASONS = {
    "provider_failed": ("sending", "失败", "请重新获取验证码"),
    "too_late": ("sending", "失败", "请重新获取"),
    "number_refused": ("sending", "失败", "请核对号码"),
    "number_limit": ("sending", "失败", "请过几小时或明天再试"),
    "undelivered": ("delivered", "未送达", "请检查手机后重新发送"),
}


async def picture_of(form: RegisterPage) -> list[str | None]:
    """The states of the steps, the number of tries, and the note."""
    steps = form.timeline.locator("li")
    states = [await steps.nth(n).get_attribute("data-state") for n in range(4)]
    return [*states, await form.step("sending").get_attribute("data-tries"), await form.note.inner_text()]


async def sends(stack: Stack, visit: Visit, mobile: str = MOBILE, **more: Any) -> tuple[Visitor, RegisterPage]:
    """A visitor who has asked for a code to this number."""
    visitor = await visit(stack, **more)
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.fill(mobile, PASSWORD)
    await form.send_code()
    return visitor, form


@pytest.mark.parametrize("reason", REASONS)
async def test_a_failure_has_its_reason_and_sending_is_open_at_once(stack: Stack, visit: Visit, reason: str) -> None:
    """In words, at the step where it stopped; the countdown is released; a reload shows the same."""
    step, name, words = REASONS[reason]
    visitor = await visit(stack, None)
    form = await begin_sms(visitor, stack, "")
    await expect(form.send).to_be_disabled()
    await move_sms(stack, await transaction_of(visitor), "failed", reason=reason)
    await expect(form.step(step)).to_have_attribute("data-state", "failed")
    await expect(form.step(step).locator(".step-name")).to_have_text(name)
    await expect(form.note).to_contain_text(words)
    await expect(form.send).to_be_enabled()
    await expect(form.send).to_have_text("重新发送")
    await expect(visitor.page.locator("#announcer")).to_contain_text(words)
    seen = await picture_of(form)
    await visitor.page.reload()
    await expect(form.note).to_contain_text(words)
    assert await picture_of(form) == seen


async def test_a_second_try_is_said_and_remembered(stack: Stack, visit: Visit) -> None:
    """While it lasts it has the step's name; later its dot still says so, in another tab too."""
    visitor = await visit(stack, None)
    form = await begin_sms(visitor, stack, "")
    await expect(form.step("sending").locator(".step-name")).to_have_text("发送中")
    transaction = await transaction_of(visitor)
    await move_sms(stack, transaction, "sending", attempt=2)
    await expect(form.step("sending").locator(".step-name")).to_have_text("第2次尝试")
    await expect(form.step("sending")).to_have_attribute("data-tries", "2")
    await expect(form.note).to_have_text("上一次没有成功，正在自动再试，不用操作")
    await expect(form.verdict("sms_code")).to_have_text("")
    await move_sms(stack, transaction, "delivered", attempt=2)
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")
    await expect(form.step("sending").locator(".step-name")).to_have_text("发送中")
    other = RegisterPage(await visitor.new_tab("/register"))
    await expect(other.step("delivered")).to_have_attribute("data-state", "done")
    assert await picture_of(other) == await picture_of(form)
    assert (await picture_of(form))[4] == "2"


async def test_a_receipt_that_came_late_turns_failed_into_delivered(stack: Stack, visit: Visit) -> None:
    """All steps are done, and the failure is gone."""
    visitor = await visit(stack, None)
    form = await begin_sms(visitor, stack, "")
    transaction = await transaction_of(visitor)
    await move_sms(stack, transaction, "failed", reason="provider_failed")
    await expect(form.note).to_have_attribute("data-state", "failed")
    await move_sms(stack, transaction, "delivered")
    await expect(form.note).to_have_attribute("data-state", "normal")
    assert (await picture_of(form))[:4] == ["done"] * 4


async def test_a_long_wait_gets_a_calm_word(stack: Stack, visit: Visit) -> None:
    """After 5 s of sending and after 20 s without a receipt, no sooner; it goes when it is over."""
    visitor = await visit(stack, None)
    form = await begin_sms(visitor, stack, "")
    transaction = await transaction_of(visitor)
    await expect(form.hint).to_be_hidden()
    await seconds_pass(stack, transaction, 6)
    await expect(form.hint).to_have_text("比平时慢一点，仍在发送，请稍候，不用重复点击。")
    await move_sms(stack, transaction, "accepted")
    await expect(form.step("accepted")).to_have_attribute("data-state", "active")
    await expect(form.hint).to_be_hidden()
    await seconds_pass(stack, transaction, 21)
    await expect(form.hint).to_contain_text("运营商已接收，通常几秒内到达。")
    await move_sms(stack, transaction, "delivered")
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")
    await expect(form.hint).to_be_hidden()


async def without_websocket(visitor: Visitor, stack: Stack) -> tuple[RegisterPage, list[Request]]:
    """A page that has an SMS under way and polls for it, and its polls."""
    polls: list[Request] = []
    visitor.page.on("request", lambda request: polls.append(request) if "wait=25" in request.url else None)
    await visitor.loses_websockets()
    accept_only(stack)
    await visitor.open("/register")
    form = RegisterPage(visitor.page)
    await expect(form.pill).to_have_attribute("data-state", "rest")
    await form.fill(MOBILE, PASSWORD)
    await form.send_code()
    return form, polls


async def held_back(stack: Stack, count: int) -> None:
    """Until so many polls wait at the server."""
    async with asyncio.timeout(8):
        while len(stack.services.polls._waiting) != count:
            await asyncio.sleep(0.01)


async def test_without_a_websocket_each_step_is_heard_as_it_happens(stack: Stack, visit: Visit) -> None:
    """By one request a step, held back until there is news; none is left when it is delivered."""
    visitor = await visit(stack, None)
    form, polls = await without_websocket(visitor, stack)
    transaction = await transaction_of(visitor)
    for status, attempt in (("sending", 2), ("accepted", 2), ("delivered", 2)):
        await held_back(stack, 1)
        await move_sms(stack, transaction, status, attempt=attempt)
        await expect(form.timeline).to_have_attribute("data-status", status)
    await expect(form.step("sending")).to_have_attribute("data-tries", "2")
    await held_back(stack, 0)
    assert len(polls) <= 6
    before = await form.seconds_left()
    await expect(form.send).to_contain_text(str(before - 1))


async def test_a_page_that_is_live_again_stops_polling(stack: Stack, visit: Visit) -> None:
    """The request under way is dropped, and the server notices."""
    visitor = await visit(stack, None)
    form = await begin_sms(visitor, stack, "")
    polls: list[str] = []
    visitor.page.on("request", lambda request: polls.append(request.url) if "wait=25" in request.url else None)
    for socket in [*stack.sockets]:
        socket.close(1012, "service restart")
    await held_back(stack, 1)
    await form.connected()
    await held_back(stack, 0)
    assert len(polls) == 1


async def test_after_an_error_it_asks_less_and_less(stack: Stack, visit: Visit) -> None:
    """Never sooner than `Retry-After`; when the trouble is over it goes on."""
    visitor = await visit(stack, None)
    visitor.expects("503 /user/sms/*")
    await visitor.page.clock.install()
    refusing = re.compile("wait=25")
    error = {"code": "unavailable", "message": "-", "params": {"retry_after": 40}, "request_id": "x"}
    await visitor.page.route(refusing, lambda route: route.fulfill(status=503, json={"error": error}))
    form, polls = await without_websocket(visitor, stack)
    await asked(polls, 1)
    await visitor.page.clock.run_for(30_000)
    assert len(polls) == 1
    await visitor.page.clock.run_for(15_000)
    await asked(polls, 2)
    await visitor.page.unroute(refusing)
    await visitor.page.clock.run_for(45_000)
    await held_back(stack, 1)
    await move_sms(stack, await transaction_of(visitor), "delivered")
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")


async def asked(polls: list[Request], count: int) -> None:
    """Until so many polls have begun."""
    async with asyncio.timeout(8):
        while len(polls) < count:
            await asyncio.sleep(0.01)


async def test_a_fault_set_on_the_panel_is_met_on_the_sign_up_page(start: Start, visit: Visit) -> None:
    """By the next SMS only; by then the panel says that all is normal again, and the one after that arrives."""
    stack = await start(sandbox=True)
    panel = (await visit(stack, "/dev/inbox")).page
    await expect(panel.locator("#connection")).to_have_attribute("data-state", "live")
    await panel.get_by_role("radio", name=re.compile("^拒收")).check()
    await panel.get_by_role("radio", name="1 条", exact=True).check()
    await panel.get_by_role("button", name="应用").click()
    await expect(panel.locator("#fault-now")).to_have_text("拒收，还有 1 条")

    _, form = await sends(stack, visit)
    await expect(form.timeline).to_have_attribute("data-status", "failed")
    await expect(panel.locator("#fault-now")).to_have_text("一切正常")
    await expect(panel.locator("#tries tr").first).to_contain_text("拒绝：号码")
    await expect(panel.locator(".bubble")).to_have_count(0)

    await expect(form.send).to_be_enabled()
    await form.send_code()
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")
    await expect(panel.locator(".bubble")).to_have_count(1)
    await expect(panel.locator("#tries tr").first).to_contain_text("已送达")


async def test_the_panel_works_with_the_keyboard_alone_and_in_every_window(start: Start, visit: Visit) -> None:
    """Arrows choose, Enter applies; a second window follows; a button makes all normal, and hands the focus on."""
    stack = await start(sandbox=True)
    mine, theirs = [(await visit(stack, "/dev/inbox", lang="en")).page for _ in range(2)]
    for page in (mine, theirs):
        await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    await mine.locator("input[name=fault]:checked").focus()
    await mine.keyboard.press("ArrowDown")
    await mine.keyboard.press("Tab")
    for _ in range(3):
        await mine.keyboard.press("ArrowRight")
    await mine.keyboard.press("Enter")
    for page in (mine, theirs):
        await expect(page.locator("#fault-now")).to_have_text("Misconfigured, until switched off")
        await expect(page.locator(".fault.is-playing b")).to_have_text("Misconfigured")
    await theirs.get_by_role("button", name="Back to normal").click()
    await expect(mine.locator("#fault-now")).to_have_text("All normal")
    await expect(mine.locator("#fault-off")).to_be_disabled()
    await expect(theirs.locator("#fault-set")).to_be_focused()


# With the sandbox's own faults, through queue, router and receipts.


async def test_the_sandbox_fails_once_and_the_page_sees_a_second_try(start: Start, visit: Visit) -> None:
    """And then it arrives; the phone says which try it was."""
    stack = await start(sandbox=True)
    phone = (await visit(stack, "/dev/inbox")).page
    _, form = await sends(stack, visit, "15400009006")
    await expect(form.step("delivered")).to_have_attribute("data-state", "done", timeout=20_000)
    await expect(form.step("sending")).to_have_attribute("data-tries", "2")
    await expect(phone.locator(".bubble-way")).to_have_text("sandbox · 第2次 · 失败一次")


async def test_the_sandbox_refuses_a_number_and_the_page_says_to_check_it(start: Start, visit: Visit) -> None:
    """At once, with sending open."""
    stack = await start(sandbox=True)
    _, form = await sends(stack, visit, "15400009007")
    await expect(form.note).to_contain_text("请核对号码")
    await expect(form.send).to_be_enabled()


async def test_no_step_s_name_breaks_within_a_word(start: Start, visit: Visit) -> None:
    """From the smallest phone up, in the language with the longer words."""
    stack = await start(sandbox=True)
    visitor, form = await sends(stack, visit, "15400009010", lang="en")
    await expect(form.step("delivered")).to_have_attribute("data-state", "failed", timeout=20_000)
    for width in (320, 360, 390, 430):
        await visitor.page.set_viewport_size({"width": width, "height": 900})
        names = await visitor.page.locator("#sms-timeline .step-name").all()
        heights = {(await name.bounding_box() or {})["height"] for name in names}
        assert len(heights) == 1, f"{width} px: {heights}"


async def test_a_late_receipt_turns_accepted_into_delivered(start: Start, visit: Visit) -> None:
    """Accepted first, and delivered without a touch when the receipt comes."""
    stack = await start(sandbox=True)
    _, form = await sends(stack, visit, "15400009009")
    await expect(form.step("accepted")).to_have_attribute("data-state", "active")
    await expect(form.step("delivered")).to_have_attribute("data-state", "done", timeout=20_000)


async def test_an_undelivered_sms_is_said_and_may_be_sent_again_at_once(start: Start, visit: Visit) -> None:
    """The carrier took it, the phone never got it."""
    stack = await start(sandbox=True)
    phone = (await visit(stack, "/dev/inbox")).page
    _, form = await sends(stack, visit, "15400009010")
    await expect(form.step("delivered")).to_have_attribute("data-state", "failed", timeout=20_000)
    await expect(form.note).to_contain_text("请检查手机后重新发送")
    await expect(form.send).to_be_enabled()
    await expect(phone.locator("#tries tr").first).to_contain_text("回执：未送达")
    await expect(phone.locator(".bubble")).to_have_count(0)


async def test_the_second_sandbox_takes_over_and_the_public_page_names_none(start: Start, visit: Visit) -> None:
    """Operators see on the phone which one it was; whoever signs up only sees that it arrived."""
    stack = await start(sandbox=True, SMS_PROVIDERS="sandbox,sandbox2")
    phone = (await visit(stack, "/dev/inbox")).page
    visitor, form = await sends(stack, visit, "15400009002")
    await expect(form.step("delivered")).to_have_attribute("data-state", "done", timeout=20_000)
    await expect(phone.locator(".bubble-way")).to_contain_text("sandbox2")
    assert "sandbox" not in await visitor.page.locator("#main").inner_text()


async def test_what_is_told_twice_is_shown_once(start: Start, visit: Visit) -> None:
    """A message that arrives while the phone asks for all of them is in both answers."""
    stack = await start(sandbox=True)
    phone = (await visit(stack, "/dev/inbox")).page
    await request_sms(stack)
    await expect(phone.locator("#tries tr")).to_have_count(1)
    inbox, panel = InboxStore(stack.redis), SandboxStore(stack.redis)
    events = EventBus(stack.redis, clock=stack.clock)
    (message,), (tried,) = await inbox.newest(), await panel.tries()
    await events.publish(topics.INBOX, message=message)
    await events.publish(topics.SANDBOX, tried=tried)
    await request_sms(stack, "15400000002")
    await expect(phone.locator("#tries tr").first).to_contain_text("15400000002")
    await expect(phone.locator("#tries tr")).to_have_count(2)
    await expect(phone.locator(".bubble")).to_have_count(2)

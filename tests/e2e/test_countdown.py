"""The countdown until the next SMS is the server's: the page shows it, and nothing the page suffers changes it."""

import json

import pytest
from playwright.async_api import BrowserContext, WebSocket, expect

from tests.conftest import Stack
from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage, Visitor, seconds_in
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)

_TELL_SHOWN = """
let last = null;
new MutationObserver(() => {
  const button = document.getElementById("send-code");
  if (button?.dataset.state !== "waiting" || button.textContent === last) return;
  last = button.textContent;
  window.tellShown(last);
}).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
"""


async def record_shown(context: BrowserContext) -> list[int]:
    """All numbers that the button shows from the next page on, in any tab."""
    shown: list[int] = []
    await context.expose_binding("tellShown", lambda source, text: shown.append(seconds_in(text)))
    await context.add_init_script(_TELL_SHOWN)
    return shown


def record_ticks(visitor: Visitor) -> list[int]:
    """All numbers that the server pushes to the first page from now on."""
    ticks: list[int] = []

    def on_frame(raw: str | bytes) -> None:
        frame = json.loads(raw)
        if frame["type"] == "countdown.tick":
            ticks.append(frame["data"]["remaining"])

    def on_socket(socket: WebSocket) -> None:
        socket.on("framereceived", on_frame)

    visitor.page.on("websocket", on_socket)
    return ticks


async def has_sent(stack: Stack, visit: Visit) -> tuple[Visitor, RegisterPage, list[int]]:
    """A visitor who has just had a code sent, and what their button shows."""
    visitor = await visit(stack, None)
    shown = await record_shown(visitor.context)
    await visitor.open("/register")
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.fill(MOBILE, PASSWORD)
    await form.send_code()
    return visitor, form, shown


def close_sockets(stack: Stack) -> None:
    """As a server does that restarts."""
    for socket in [*stack.sockets]:
        socket.close(1012, "service restart")


async def test_it_shows_what_the_server_pushes_and_opens_the_button_at_the_end(start: Start, visit: Visit) -> None:
    """Second by second down to one, as pushed; at the pushed 0 the button can be pressed again."""
    visitor = await visit(await start(SMS_INTERVAL_S="3"), None)
    shown, ticks = await record_shown(visitor.context), record_ticks(visitor)
    await visitor.open("/register")
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.fill_number(MOBILE)
    await form.send_code()
    await expect(form.send).to_be_disabled()
    await expect(form.send).to_have_text("重新发送")
    await expect(form.send).to_be_enabled()
    assert ticks[-1] == 0
    assert shown[1:] == [n for n in dict.fromkeys(ticks) if 0 < n < shown[0]], "the pushed values and no others"
    assert shown in ([3, 2, 1], [3, 2], [3, 1]), "two values at least, each lower than the one before"


async def test_it_goes_on_after_a_reload(stack: Stack, visit: Visit) -> None:
    """A reload neither restarts it nor loses it, nor the steps of the SMS, nor the number."""
    visitor, form, shown = await has_sent(stack, visit)
    await expect(form.step("delivered")).to_have_attribute("data-state", "done")
    times = await form.timeline.locator("time").all_inner_texts()
    before = await form.seconds_left()
    await visitor.page.reload()
    assert before - 5 <= await form.seconds_left() <= before
    await expect(form.mobile).to_have_value(MOBILE)
    await expect(form.timeline.locator("time")).to_have_text(times)
    assert shown == sorted(shown, reverse=True)


async def test_a_second_tab_shows_the_same(stack: Stack, visit: Visit) -> None:
    """Give or take the second between the two looks."""
    visitor, form, _ = await has_sent(stack, visit)
    second = RegisterPage(await visitor.new_tab("/register"))
    theirs = await second.seconds_left()
    assert abs(await form.seconds_left() - theirs) <= 1
    await expect(second.mobile).to_have_value(MOBILE)


async def test_it_goes_on_when_the_server_closes_the_socket(stack: Stack, visit: Visit) -> None:
    """The page says that it reconnects, does, keeps what was typed, and hears the same countdown again."""
    visitor, form, shown = await has_sent(stack, visit)
    ticks = record_ticks(visitor)
    before = await form.seconds_left()
    close_sockets(stack)
    await expect(form.pill).to_have_text("重新连接中…")
    await expect(form.pill).to_have_text("实时连接")
    assert before - 6 <= await form.seconds_left() <= before
    told = len(ticks)
    await expect(form.send).not_to_have_text(await form.send.inner_text())
    assert len(ticks) > told
    assert shown == sorted(shown, reverse=True)
    assert (await form.values())["password"] == PASSWORD


async def test_nothing_on_the_way_makes_it_rise_and_it_ends_once(start: Start, visit: Visit) -> None:
    """Through a reload, a second tab and a lost socket to the end; only a new send starts a new one."""
    stack = await start(SMS_INTERVAL_S="4")
    visitor, form, shown = await has_sent(stack, visit)
    await visitor.page.reload()
    await form.seconds_left()
    close_sockets(stack)
    await expect(form.send).to_have_text("重新发送")
    await expect(form.send).to_be_enabled()
    await form.connected()
    assert shown == sorted(shown, reverse=True)
    assert shown[-1] == 1

    await form.send_code()
    await expect(form.send).to_be_disabled()
    assert await form.seconds_left() >= 3
    await stack.provider.nth(2)

"""Whole stories, as a person at the form lives them."""

from typing import Any

import pytest

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, on_both_drivers

pytestmark = pytest.mark.gen_test(timeout=30)


async def test_a_visitor_registers_over_the_websocket_and_sees_every_step(stack: Stack) -> None:
    """From the first digit to the account, each step of the SMS is pushed."""
    page = await stack.page()
    checked = await page.ask("mobile.check", mobile="+86 154-0000-0001")
    assert checked["data"] == {"mobile": MOBILE, "available": True}
    queued = await page.ask("sms.send", mobile=MOBILE, purpose="register")
    assert queued["type"] == "sms.queued"
    assert queued["data"]["mobile"] == "154****0001"
    delivered = await page.state("delivered")
    sms = await stack.provider.nth(1)
    registered = await page.ask(
        "user.register",
        mobile=MOBILE,
        password=PASSWORD,
        password2=PASSWORD,
        sms_code=sms.code,
        transaction=delivered["transaction"],
    )
    assert registered["type"] == "user.registered", registered
    assert registered["data"]["username"].startswith("hm_")
    assert registered["data"]["mobile"] == "154****0001"
    assert stack.services.tokens.claims_of(registered["data"]["token"])["sub"] == registered["data"]["id"]


async def test_another_page_hears_at_once_that_the_number_was_taken(stack: Stack) -> None:
    """`mobile.taken` is pushed to whoever has the number in the form."""
    mine, theirs = await stack.page(), await stack.page()
    await theirs.ask("mobile.check", mobile=MOBILE)
    await register(stack, mine)
    assert (await theirs.next_event("mobile.taken"))["data"] == {"mobile": MOBILE}
    assert (await theirs.ask("mobile.check", mobile=MOBILE))["data"]["available"] is False


async def test_a_new_account_can_log_in_by_mobile_and_by_username(stack: Stack) -> None:
    """Any notation of the number will do."""
    page = await stack.page()
    account = await register(stack, page)
    for name in (MOBILE, "+86 154 0000 0001", account["username"]):
        opened = await page.ask("session.login", account=name, password=PASSWORD)
        assert opened["type"] == "session.opened", opened
    refused = await page.ask("session.login", account=MOBILE, password="something else")
    assert refused["data"]["code"] == "credentials_invalid"


async def test_a_page_that_lost_its_socket_resumes_where_it_was(stack: Stack) -> None:
    """`sms.watch` on a new socket shows the same countdown."""
    page = await stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await page.close()
    again = await stack.page()
    state = (await again.ask("sms.watch", transaction=queued["transaction"]))["data"]
    assert state["resend_at"] == queued["resend_at"]
    assert (await again.next_event("countdown.tick"))["data"]["remaining"] in (59, 60)


@on_both_drivers
async def test_the_refresh_cookie_signs_in_again_until_logout(stack: Stack) -> None:
    """POST /user/ sets the cookie, refresh renews it, logout ends it."""
    page, rest = await stack.page(), stack.rest()
    await register(stack, page)
    opened = await rest.post("/user/login/", {"account": MOBILE, "password": PASSWORD})
    cookie = cookie_of(opened)
    renewed = await rest.post("/user/refresh/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")
    assert renewed.status == 200
    assert set(renewed.body) == {"token", "expires_in"}
    cookie = cookie_of(renewed)
    ended = await rest.post("/user/logout/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")
    assert ended.status == 204
    assert (await rest.post("/user/refresh/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")).status == 401


async def register(stack: Stack, page: Any, mobile: str = MOBILE) -> dict[str, Any]:
    """The shortest way to an account."""
    sent = len(stack.provider.sent)
    queued = (await page.ask("sms.send", mobile=mobile, purpose="register"))["data"]
    sms = await stack.provider.nth(sent + 1)
    answer = await page.ask(
        "user.register", mobile=mobile, password=PASSWORD, sms_code=sms.code, transaction=queued["transaction"]
    )
    assert answer["type"] == "user.registered", answer
    return dict(answer["data"])


def cookie_of(answer: Any) -> str:
    return str(answer.headers["Set-Cookie"]).partition(";")[0]

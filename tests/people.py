"""Accounts and codes for tests of what people do with them."""

import asyncio
from typing import Any

from server.roles import Role
from tests.conftest import Stack
from tests.declared import DeclaredPage
from tests.helpers import MOBILE, PASSWORD, Answer, PageClient, RestClient


async def code_for(stack: Stack, mobile: str = MOBILE, purpose: str = "register", token: str = "") -> dict[str, str]:
    """Asks for an SMS and reads it: `{transaction, sms_code}`. Earlier waits have passed by then."""
    sent, rest = len(stack.provider.sent), stack.rest()
    body = {"mobile": mobile, "purpose": purpose}
    answer = await rest.post("/user/sms/", body, **(bearer(token) if token else {}))
    assert answer.status == 202, answer.body
    return {"transaction": answer.body["transaction"], "sms_code": (await stack.provider.nth(sent + 1)).code}


async def sign_up(stack: Stack, mobile: str = MOBILE, **headers: str) -> Answer:
    """An account and its first session; a minute later."""
    form = {"mobile": mobile, "password": PASSWORD} | await code_for(stack, mobile)
    made = await stack.rest().post("/user/", form, **headers)
    assert made.status == 201, made.body
    stack.clock.advance(61)
    return made


async def sign_in(rest: RestClient, password: str = PASSWORD, account: str = MOBILE) -> Answer:
    return await rest.post("/user/login/", {"account": account, "password": password})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def signed_in_page(stack: Stack, token: str) -> PageClient:
    """A page that speaks for a session."""
    page = await stack.page()
    bound = await page.ask("session.authenticate", token=token)
    assert bound["type"] == "session.bound", bound
    return page


OPERATOR = "15400000099"


async def operator(stack: Stack, role: Role = "operator", mobile: str = OPERATOR) -> str:
    """The access token of somebody who may look, or act."""
    made = await sign_up(stack, mobile)
    assert await stack.services.admins.grant(mobile, role)
    return str(made.body["token"])


async def ticket_for(stack: Stack, token: str) -> str:
    """What opens a monitor once."""
    answer = await stack.rest().post("/admin/ticket/", {}, **bearer(token))
    assert answer.status == 200, answer.body
    return str(answer.body["ticket"])


async def monitor(stack: Stack, token: str) -> PageClient:
    """An open monitor that gets its pictures; its snapshot is the first event."""
    viewers = stack.services.monitor._viewers
    before = {*viewers}
    page = await DeclaredPage.open(stack.port, path=f"/ws/admin?ticket={await ticket_for(stack, token)}")
    stack.clients.push_async_callback(page.close)
    async with asyncio.timeout(8):
        while not viewers - before:
            await asyncio.sleep(0.005)
    return page


async def seen_off(page: PageClient) -> str:
    """The reason that the page was told before it was closed with 4401."""
    event = await page.next_event("session.ended")
    assert (await page.closed)[0] == 4401
    return str(event["data"]["reason"])


async def user_of(stack: Stack, made: Answer) -> dict[str, Any]:
    """The account as it is stored."""
    return dict(await stack.mongo.db.users.find_one({"_id": made.body["id"]}))

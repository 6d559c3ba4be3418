"""Accounts and sends made behind the visitors' backs, by somebody else with a websocket."""

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD


async def take_number(stack: Stack, mobile: str = MOBILE) -> str:
    """Somebody registers it; the username they got. For services with a scripted provider and no captcha."""
    page = await stack.page()
    sent = len(stack.provider.sent)
    transaction = await request_sms(stack, mobile)
    answer = await page.ask(
        "user.register",
        mobile=mobile,
        password=PASSWORD,
        sms_code=(await stack.provider.nth(sent + 1)).code,
        transaction=transaction,
    )
    assert answer["type"] == "user.registered", answer
    return str(answer["data"]["username"])


async def request_sms(stack: Stack, mobile: str = MOBILE) -> str:
    """Somebody has a code sent to it; the transaction."""
    page = await stack.page()
    answer = await page.ask("sms.send", mobile=mobile, purpose="register")
    assert answer["type"] == "sms.queued", answer
    return str(answer["data"]["transaction"])

"""The system this one follows had fourteen defects. Each has a test that would have found it."""

import asyncio
import io
from typing import Any

import pytest

from server.sms.provider import SendResult, Sms
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD
from tests.test_flows import register

pytestmark = pytest.mark.gen_test(timeout=60)


async def _form(stack: Stack, page: Any, mobile: str = MOBILE, **change: str) -> dict[str, str]:
    sent = len(stack.provider.sent)
    queued = (await page.ask("sms.send", mobile=mobile, purpose="register"))["data"]
    code = (await stack.provider.nth(sent + 1)).code
    about = {"mobile": mobile, "password": PASSWORD, "sms_code": code, "transaction": queued["transaction"]}
    return about | change


async def test_seed_1_a_registered_number_does_not_register_again(stack: Stack) -> None:
    """Neither does its SMS leave, nor does a code that was sent before help."""
    page = await stack.page()
    early = await _form(stack, page)
    stack.clock.advance(61)
    await register(stack, page)
    refused = await page.ask("sms.send", mobile=MOBILE, purpose="register")
    assert refused["data"]["code"] == "mobile_taken"
    refused = await page.ask("user.register", **early)
    assert refused["data"]["code"] == "mobile_taken"
    assert refused["data"]["message"] == "手机号已经被注册过！"


async def test_seed_2_a_provider_that_took_the_sms_is_a_success(stack: Stack) -> None:
    """What `send` returns is the success, whatever its truth value; only an exception is a failure."""

    class Falsy(SendResult):
        def __bool__(self) -> bool:
            return False

    async def send(sms: Sms) -> SendResult:
        return Falsy(message_id="", delivered=False)

    stack.provider.send = send  # type: ignore[method-assign]
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    assert (await page.state("accepted"))["reason"] is None


async def test_seed_4_a_get_sends_nothing(stack: Stack) -> None:
    """The seed's `GET /user/sms/<mobile>/` is a question about a transaction here."""
    answer = await stack.rest().get(f"/user/sms/{MOBILE}/")
    assert answer.status == 404
    assert not [key async for key in stack.redis.client.scan_iter("jobs:*:job:*")]


async def test_seed_5_parallel_requests_send_one_sms(stack: Stack) -> None:
    """Reading and writing the interval is one step."""
    pages = [await stack.page() for _ in range(20)]
    answers = await asyncio.gather(*(p.ask("sms.send", mobile=MOBILE, purpose="register") for p in pages))
    assert [a["type"] for a in answers].count("sms.queued") == 1


async def test_seed_6_a_failed_send_does_not_keep_its_interval(stack: Stack) -> None:
    """One may ask again at once."""
    stack.provider.refuse("config")
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    await page.state("failed")
    assert (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["type"] == "sms.queued"


async def test_seed_7_wrong_codes_are_counted(stack: Stack) -> None:
    """After five the right one no longer helps, and the page saw them go."""
    page = await stack.page()
    form = await _form(stack, page)
    wrong = f"{(int(form['sms_code']) + 1) % 1_000_000:06d}"
    for _ in range(5):
        assert (await page.ask("user.register", **form | {"sms_code": wrong}))["data"]["code"] == "sms_code_invalid"
    assert (await page.ask("user.register", **form))["data"]["code"] == "sms_code_invalid"
    assert (await page.ask("sms.watch", transaction=form["transaction"]))["data"]["attempts_left"] == 0


async def test_seed_9_a_failed_insert_does_not_cost_the_code(stack: Stack) -> None:
    """The same form goes through when the store is back."""
    page = await stack.page()
    form = await _form(stack, page)
    users = stack.services.accounts._users
    real_insert = users.insert

    async def fail(user: dict[str, Any]) -> bool:
        users.insert = real_insert  # type: ignore[method-assign]
        raise RuntimeError("disk full")

    users.insert = fail  # type: ignore[method-assign]
    assert (await page.ask("user.register", **form))["data"]["code"] == "internal_error"
    assert (await page.ask("user.register", **form))["type"] == "user.registered"


async def test_seed_12_a_code_is_for_one_purpose(stack: Stack) -> None:
    """What was sent for registering opens nothing else."""
    page = await stack.page()
    form = await _form(stack, page)
    used = stack.services.codes.used(MOBILE, "login", form["transaction"], form["sms_code"])
    with pytest.raises(Exception, match="sms_code_invalid"):
        await used.__aenter__()
    assert (await page.ask("user.register", **form))["type"] == "user.registered"


async def test_seed_14_logs_show_no_number_and_no_code(logged: io.StringIO, stack: Stack) -> None:
    """From the first check to the login, by both transports."""
    page, rest = await stack.page(), stack.rest()
    await page.ask("mobile.check", mobile=MOBILE)
    form = await _form(stack, page)
    await page.ask("user.register", **form)
    for path in (
        f"/user/mobile/{MOBILE}/",
        f"/user/mobile/{MOBILE}",
        f"/x/+86-154-0000-0001?m={MOBILE}",
        f"/y{MOBILE}",
    ):
        await rest.get(path)
    await rest.get(f"/user/mobile/%31%354000%30%300%30%31/{MOBILE}")
    written = logged.getvalue()
    assert "154****0001" in written
    for secret in (MOBILE, "154-0000-0001", form["sms_code"], PASSWORD):
        assert secret not in written

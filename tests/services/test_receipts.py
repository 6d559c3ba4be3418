"""What vendors report later: once, in any order, about nobody else's message."""

import asyncio
import ipaddress
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from server.sms.provider import Receipt, ReceiptForged
from server.sms.router import Route
from tests.conftest import Stack
from tests.helpers import MOBILE, PageClient, ScriptedProvider

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
SECRET = "s" * 16


class PlainReader:
    """A vendor that reports in our own words."""

    reply = ("application/json", b'{"taken":true}')

    def read(self, body: bytes, headers: Mapping[str, str]) -> list[Receipt]:
        if headers.get("X-Forged"):
            raise ReceiptForged
        return [Receipt(**each) for each in json.loads(body)]


@pytest.fixture
def vendor() -> ScriptedProvider:
    provider = ScriptedProvider("vendor", delivers=False)
    provider.receipts = PlainReader()
    return provider


@pytest.fixture
def stack_of(start: Start, vendor: ScriptedProvider) -> Callable[[], Coroutine[Any, Any, Stack]]:
    async def run() -> Stack:
        return await start(routes=[Route(vendor, rate=1000, receipt_secret=SECRET)])

    return run


async def accepted(stack: Stack) -> tuple[PageClient, str]:
    page = await stack.page(lang="en")
    transaction = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]["transaction"]
    await page.state("accepted")
    return page, transaction


async def report(stack: Stack, *, message_id: str = "vendor-1", mobile: str = MOBILE, **more: Any) -> Any:
    receipt = {"message_id": message_id, "mobile": mobile, "delivered": True} | more
    return await stack.rest().post(f"/receipts/vendor/{SECRET}/", [receipt])


def counted(stack: Stack, result: str) -> float:
    return float(stack.services.metrics.receipts.labels("vendor", result)._value.get())


async def test_pv_5_a_receipt_makes_the_page_s_sms_delivered(stack_of: Any) -> None:
    """The vendor is thanked in his own words."""
    stack = await stack_of()
    page, _ = await accepted(stack)
    answer = await report(stack)
    assert (answer.status, answer.body) == (200, {"taken": True})
    assert (await page.state("delivered"))["attempt"] == 1


async def test_pv_5_delivered_is_never_undone(stack_of: Any) -> None:
    """By a late report of another kind; and a repeated one changes nothing."""
    stack = await stack_of()
    page, transaction = await accepted(stack)
    await report(stack)
    delivered = await page.state("delivered")
    await report(stack, delivered=False)
    await report(stack)
    state = (await page.ask("sms.watch", transaction=transaction))["data"]
    assert (state["status"], state["seq"]) == ("delivered", delivered["seq"])
    assert counted(stack, "repeated") == 2


async def test_an_undelivered_sms_opens_the_resend_at_once(stack_of: Any) -> None:
    """With a reason in words, and the interval given back once."""
    stack = await stack_of()
    page, transaction = await accepted(stack)
    await report(stack, delivered=False, code="MK:1008")
    failed = await page.state("failed")
    assert (failed["reason"]["code"], failed["can_resend"]) == ("undelivered", True)
    again = await page.ask("sms.send", mobile=MOBILE, purpose="register", transaction=transaction)
    assert again["type"] == "sms.queued"
    await page.state("accepted")
    await report(stack, delivered=False)
    state = (await page.ask("sms.watch", transaction=transaction))["data"]
    assert (state["status"], state["can_resend"]) == ("accepted", False), "a report of the first one, again"


async def test_pv_5_a_delivered_report_after_an_undelivered_one_tells_the_truth(stack_of: Any) -> None:
    """The phone was switched on again."""
    stack = await stack_of()
    page, _ = await accepted(stack)
    await report(stack, delivered=False)
    await page.state("failed")
    await report(stack)
    await page.state("delivered")


async def test_pv_5_a_report_about_another_number_is_not_believed(stack_of: Any) -> None:
    """It is thanked for, counted, and changes nothing."""
    stack = await stack_of()
    page, transaction = await accepted(stack)
    assert (await report(stack, mobile="15400000002")).status == 200
    assert (await page.ask("sms.watch", transaction=transaction))["data"]["status"] == "accepted"
    assert counted(stack, "mismatched") == 1


async def test_pv_5_unknown_ids_are_counted_and_dropped(stack_of: Any) -> None:
    """However odd they are."""
    stack = await stack_of()
    for odd in ("nobody's", "", "{sms}:stream", "x" * 5000):
        assert (await report(stack, message_id=odd)).status == 200
    assert counted(stack, "unknown") == 4


async def test_a_receipt_may_be_faster_than_the_answer_to_the_send(stack_of: Any, vendor: ScriptedProvider) -> None:
    """It waits until the message is known."""
    stack = await stack_of()
    await report(stack)
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    await page.state("delivered")


async def test_a_receipt_that_names_our_own_id_mends_a_lost_answer(stack_of: Any, vendor: ScriptedProvider) -> None:
    """Then nothing is sent a second time."""
    vendor.refuse("unknown")
    stack = await stack_of()
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    sms = await vendor.nth(1)
    async with asyncio.timeout(8):
        while await stack.redis.call("ZCARD", "jobs:{sms}:delayed") == 0:
            await asyncio.sleep(0.01)
    await report(stack, message_id="never heard of", reference=sms.id)
    await page.state("delivered")
    stack.clock.advance(11)
    async with asyncio.timeout(8):
        while (await stack.redis.call("HGET", f"jobs:{{sms}}:job:{sms.id}", "status")) != "done":
            await asyncio.sleep(0.01)
    assert len(vendor.sent) == 1


async def test_pv_5_of_two_receipts_that_were_too_fast_delivered_is_not_undone(stack_of: Any) -> None:
    """The rule holds for those that wait, too."""
    stack = await stack_of()
    await report(stack)
    await report(stack, delivered=False)
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    await page.state("delivered")


async def test_pv_5_a_vendor_whose_try_failed_says_nothing_of_another_vendor_s(
    start: Start, vendor: ScriptedProvider
) -> None:
    """His answer got lost, another one took the SMS, and now he reports, by our own id, that his did not arrive."""
    vendor.refuse("unknown", "unknown")
    other = ScriptedProvider("other", delivers=False)
    stack = await start(routes=[Route(vendor, 1000, receipt_secret=SECRET), Route(other, 1000)])
    page = await stack.page()
    transaction = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]["transaction"]
    for count in (1, 2):
        sms = await vendor.nth(count)
        async with asyncio.timeout(8):
            while await stack.redis.call("ZCARD", "jobs:{sms}:delayed") == 0:
                await asyncio.sleep(0.01)
        stack.clock.advance(11)
    await page.state("accepted")
    await report(stack, message_id="never heard of", reference=sms.id, delivered=False)
    assert (await page.ask("sms.watch", transaction=transaction))["data"]["status"] == "accepted"


@pytest.mark.parametrize("path", ["/receipts/vendor/wrong-wrong-wrong/", f"/receipts/nobody/{SECRET}/"])
async def test_pv_4_without_the_secret_nothing_is_believed(stack_of: Any, path: str) -> None:
    """And nobody learns which vendors we have."""
    stack = await stack_of()
    page, transaction = await accepted(stack)
    refused = await stack.rest().post(path, [{"message_id": "vendor-1", "mobile": MOBILE, "delivered": True}])
    assert (refused.status, refused.error["code"]) == (401, "receipt_refused")
    assert (await page.ask("sms.watch", transaction=transaction))["data"]["status"] == "accepted"


async def test_pv_4_a_forged_receipt_is_refused(stack_of: Any) -> None:
    """Where the vendor signs, the signature decides."""
    stack = await stack_of()
    await accepted(stack)
    refused = await stack.rest().post(f"/receipts/vendor/{SECRET}/", [], X_Forged="yes")
    assert (refused.status, refused.error["code"]) == (401, "receipt_refused")


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 400), (b"x" * 70_000, 413)])
async def test_what_cannot_be_read_is_refused(stack_of: Any, body: bytes, status: int) -> None:
    """64 KiB at most, so that one call cannot fill the memory."""
    stack = await stack_of()
    assert (await stack.rest().post(f"/receipts/vendor/{SECRET}/", body)).status == status


async def test_the_secret_of_the_path_is_not_logged(stack_of: Any, logged: Any) -> None:
    """The access log shows its place only, also where the vendor was told a wrong address."""
    stack = await stack_of()
    rest = stack.rest()
    assert (await rest.post(f"/receipts/vendor/{SECRET}", [])).status == 200, "the last slash may be left out"
    for slip in (f"/receipts/vendor/{SECRET}/x/", f"/receipts/{SECRET}", f"//receipts/vendor/{SECRET}/"):
        assert (await rest.post(slip, [])).status == 404
    assert "/receipts/{provider}/{secret}/" in logged.getvalue()
    assert SECRET not in logged.getvalue()


async def test_the_log_tells_the_operator_why_a_receipt_was_not_taken(stack_of: Any, logged: Any) -> None:
    """Provider and reason, form and size; neither what was sent nor the secret that was tried."""
    stack = await stack_of()
    await stack.rest().post("/receipts/vendor/wrong-wrong-wrong/", [])
    await stack.rest().post(f"/receipts/vendor/{SECRET}/", [], X_Forged="yes")
    await stack.rest().post(f"/receipts/vendor/{SECRET}/", f"<mobile>{MOBILE}</mobile>".encode())
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    told = [line for line in lines if line["event"].startswith("receipt.")]
    assert [line.get("why", line["event"]) for line in told] == ["secret", "signature", "receipt.unreadable"]
    assert {line["provider"] for line in told} == {"vendor"}
    assert all(text not in logged.getvalue() for text in (MOBILE, "<mobile>", "wrong-wrong", SECRET))


async def test_a_receipt_from_an_address_that_is_not_the_vendor_s_is_refused(
    start: Start, vendor: ScriptedProvider
) -> None:
    """Where the operator has named the vendor's addresses."""
    allowed = (ipaddress.ip_network("192.0.2.0/24"),)
    stack = await start(routes=[Route(vendor, 1000, receipt_secret=SECRET, receipt_from=allowed)])
    assert (await report(stack)).status == 401

"""Numbers with a fixed code, as a tester and a stranger meet them."""

import io
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.errors import AppError
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, PageClient

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]
_OTHER = "15400000002"
_CODE = "073519"


async def _start(start: Start) -> Stack:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    return await start(TEST_MOBILES=f"{MOBILE}={_CODE}@{tomorrow}")


async def _send(page: PageClient, mobile: str = MOBILE, **more: str) -> dict[str, Any]:
    return await page.ask("sms.send", mobile=mobile, purpose="register", **more)


async def _register(page: PageClient, transaction: str, code: str, mobile: str = MOBILE) -> dict[str, Any]:
    form = {"mobile": mobile, "password": PASSWORD, "sms_code": code, "transaction": transaction}
    return await page.ask("user.register", **form)


async def _steps(page: PageClient, answer: dict[str, Any]) -> list[str]:
    """All that the page is told until it is delivered, which the answer may say already."""
    steps = [answer["status"]]
    while steps[-1] != "delivered":
        steps.append((await page.next_event("sms.state"))["data"]["status"])
    return steps


async def test_a_test_number_registers_with_its_fixed_code_and_no_sms_leaves(start: Start) -> None:
    """It goes from queued to delivered, and the code works once."""
    stack = await _start(start)
    page = await stack.page()
    queued = (await _send(page))["data"]
    assert set(await _steps(page, queued)) <= {"queued", "delivered"}
    assert (await _register(page, queued["transaction"], _CODE))["type"] == "user.registered"
    with pytest.raises(AppError):
        async with stack.services.codes.used(MOBILE, "register", queued["transaction"], _CODE):
            pass
    assert stack.provider.sent == []


async def test_a_test_number_has_intervals_attempts_and_expiry_as_everybody(start: Start) -> None:
    """Five wrong ones and the right one is void; one per interval; over after its life."""
    stack = await _start(start)
    page = await stack.page()
    first = (await _send(page))["data"]["transaction"]
    assert (await _send(page))["data"]["code"] == "sms_too_soon"
    for _ in range(5):
        assert (await _register(page, first, "000000"))["data"]["code"] == "sms_code_invalid"
    assert (await _register(page, first, _CODE))["data"]["code"] == "sms_code_invalid"
    stack.clock.advance(61)
    second = (await _send(page))["data"]["transaction"]
    stack.clock.advance(301)
    assert (await _register(page, second, _CODE))["data"]["code"] == "sms_code_invalid"


async def test_the_fixed_code_is_good_for_its_number_only(start: Start) -> None:
    """Another number gets its SMS and has a code of its own."""
    stack = await _start(start)
    page = await stack.page()
    other = (await _send(page, _OTHER))["data"]["transaction"]
    sms = await stack.provider.nth(1)
    assert sms.mobile == _OTHER
    assert (await _register(page, other, _CODE, _OTHER))["data"]["code"] == "sms_code_invalid"
    assert (await _register(page, other, sms.code, _OTHER))["type"] == "user.registered"


async def test_after_its_date_a_test_number_is_an_ordinary_one(start: Start) -> None:
    """Its SMS leaves, with a code that was worked out."""
    stack = await _start(start)
    stack.clock.advance(3 * 86400)
    page = await stack.page()
    transaction = (await _send(page))["data"]["transaction"]
    sms = await stack.provider.nth(1)
    assert (await _register(page, transaction, _CODE))["data"]["code"] == "sms_code_invalid"
    assert (await _register(page, transaction, sms.code))["type"] == "user.registered"


async def test_otp_2_no_log_and_no_metric_shows_a_fixed_code(start: Start, logged: io.StringIO) -> None:
    """The start says how many there are, once."""
    stack = await _start(start)
    page = await stack.page()
    queued = (await _send(page))["data"]
    await _steps(page, queued)
    await _register(page, queued["transaction"], _CODE)
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    warned = [line for line in lines if line["event"] == "test_mobiles.on"]
    assert [(line["level"], line["count"]) for line in warned] == [("warning", 1)]
    assert _CODE not in logged.getvalue() + stack.services.metrics.exposition().decode()
    assert MOBILE not in logged.getvalue()

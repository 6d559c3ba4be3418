"""The sandbox as an instrument: every fault as it is described, by number and from the panel, for all processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.services.inbox import InboxService
from server.services.sandbox import SandboxService
from server.sms.faults import FAULTS
from server.sms.provider import Receipt, SendFailed, SendResult, Sms
from server.sms.sandbox import Sandbox
from tests.conftest import Stack
from tests.helpers import FakeClock

pytestmark = pytest.mark.gen_test(timeout=30)


class QuickClock(FakeClock):
    """Waits no time and remembers how long it would have been."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def sleep(self, delay_s: float) -> None:
        self.waited.append(delay_s)


class Receiver:
    """Takes the receipts."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[tuple[str, Receipt]] = asyncio.Queue()

    async def take(self, provider: str, receipts: list[Receipt]) -> None:
        for receipt in receipts:
            self.taken.put_nowait((provider, receipt))

    async def next(self) -> tuple[str, Receipt]:
        return await asyncio.wait_for(self.taken.get(), 8)


class Bench:
    """A sandbox whose every part can be looked at."""

    def __init__(self, stack: Stack, name: str = "sandbox") -> None:
        assert stack.services.inbox is not None
        assert stack.services.sandbox is not None
        self.inbox: InboxService = stack.services.inbox
        self.panel: SandboxService = stack.services.sandbox
        self.clock, self.receiver = QuickClock(), Receiver()
        scripted = name == "sandbox"
        self.sandbox = Sandbox(self.inbox, self.panel, self.clock, self.receiver.take, name=name, scripted=scripted)

    async def send(self, mobile: str = "15400000001", sms_id: str = "s1") -> SendResult:
        return await self.sandbox.send(sms(sms_id, mobile))

    async def outcome(self, mobile: str = "15400000001", sms_id: str = "s1") -> str:
        """`delivered`, `accepted` or the kind of failure."""
        try:
            result = await self.send(mobile, sms_id)
        except SendFailed as failed:
            return failed.kind
        return "delivered" if result.delivered else "accepted"

    async def phone(self) -> list[str]:
        return [message["id"] for message in await self.inbox.newest()]


def sms(sms_id: str, mobile: str) -> Sms:
    return Sms(
        id=sms_id,
        mobile=mobile,
        purpose="register",
        code="123456",
        minutes=5,
        text="",
        transaction="0123abcd." + "A" * 22,
        nonce="n",
        key_id="t1",
        locale="zh_CN",
    )


@asynccontextmanager
async def bench_of(stack: Stack, name: str = "sandbox") -> AsyncIterator[Bench]:
    bench = Bench(stack, name)
    yield bench
    await bench.sandbox.aclose()


async def test_an_ordinary_number_gets_its_sms_at_once(stack: Stack) -> None:
    """One step, one message, no receipt, nothing waited for."""
    async with bench_of(stack) as bench:
        assert await bench.outcome() == "delivered"
        assert await bench.phone() == ["s1"]
        assert bench.clock.waited == []
        assert bench.receiver.taken.empty()


@pytest.mark.parametrize("kind", ["config", "limit_user", "limit_service", "transient", "permanent"])
async def test_a_class_of_failure_is_the_same_at_each_try(stack: Stack, kind: str) -> None:
    """By the suffix of the number; nothing reaches the phone."""
    async with bench_of(stack) as bench:
        mobile = "1540000" + FAULTS[kind]
        assert [await bench.outcome(mobile) for _ in range(3)] == [kind] * 3
        assert await bench.phone() == []


async def test_it_can_fail_once(stack: Stack) -> None:
    """The second try of the same message works; another message fails once, too."""
    async with bench_of(stack) as bench:
        mobile = "1540000" + FAULTS["transient_once"]
        assert [await bench.outcome(mobile) for _ in range(2)] == ["transient", "delivered"]
        assert await bench.outcome(mobile, "s2") == "transient"
        assert (await bench.inbox.newest())[0]["attempt"] == 2


async def test_a_lost_answer_is_a_message_that_arrived(stack: Stack) -> None:
    """`unknown`, and who asks again with the same id hears that all is well, without a second message."""
    async with bench_of(stack) as bench:
        mobile = "1540000" + FAULTS["unknown"]
        assert await bench.outcome(mobile) == "unknown"
        assert await bench.phone() == ["s1"]
        assert await bench.outcome(mobile) == "delivered"
        assert await bench.phone() == ["s1"]


async def test_it_can_be_slow(stack: Stack) -> None:
    """Three seconds before it accepts."""
    async with bench_of(stack) as bench:
        assert await bench.outcome("1540000" + FAULTS["delay"]) == "delivered"
        assert bench.clock.waited == [3]


@pytest.mark.parametrize(
    ("fault", "after_s", "delivered", "times", "arrives"),
    [("late", 5, True, 1, True), ("undelivered", 1, False, 1, False), ("duplicate", 1, True, 2, True)],
)
async def test_receipts_come_later(
    stack: Stack, fault: str, after_s: float, delivered: bool, times: int, arrives: bool
) -> None:
    """Accepted at first; each receipt names the message as a vendor's would, and the provider."""
    async with bench_of(stack) as bench:
        mobile = "1540000" + FAULTS[fault]
        result = await bench.send(mobile)
        assert result == SendResult(message_id="s1", delivered=False)
        for _ in range(times):
            provider, receipt = await bench.receiver.next()
            assert provider == "sandbox"
            assert (receipt.message_id, receipt.reference, receipt.mobile) == ("s1", "s1", mobile)
            assert receipt.delivered is delivered
        assert bench.receiver.taken.empty()
        assert bench.clock.waited == [after_s]
        assert await bench.phone() == (["s1"] if arrives else [])


async def test_the_panel_plays_to_the_next_messages_and_then_no_more(stack: Stack) -> None:
    """N messages, not N tries: a retry meets what its message met, and takes no other's."""
    async with bench_of(stack) as bench:
        assert await bench.panel.set("transient", 2) == {"fault": "transient", "left": 2}
        assert [await bench.outcome(sms_id="a") for _ in range(3)] == ["transient"] * 3
        assert await bench.panel.state() == {"fault": "transient", "left": 1}
        assert await bench.outcome(sms_id="b") == "transient"
        assert await bench.panel.state() == {"fault": "none", "left": None}
        assert await bench.outcome(sms_id="c") == "delivered"
        assert await bench.outcome(sms_id="a") == "transient"


async def test_the_panel_plays_to_all_until_it_is_switched_off(stack: Stack) -> None:
    """It goes before the number's own fault, which is there again afterwards."""
    async with bench_of(stack) as bench:
        await bench.panel.set("permanent", None)
        mobile = "1540000" + FAULTS["config"]
        assert [await bench.outcome(mobile, f"s{n}") for n in range(3)] == ["permanent"] * 3
        await bench.panel.set("none", None)
        assert await bench.outcome(mobile, "s9") == "config"
        assert await bench.outcome(sms_id="s10") == "delivered"


async def test_many_at_once_take_no_more_than_n(stack: Stack) -> None:
    """One atomic step takes one of N, whoever sends."""
    async with bench_of(stack) as bench, bench_of(stack) as other:
        await bench.panel.set("permanent", 7)
        asked = [(bench, other)[n % 2].outcome(sms_id=f"s{n}") for n in range(40)]
        assert sorted(await asyncio.gather(*asked)) == ["delivered"] * 33 + ["permanent"] * 7


async def test_the_second_sandbox_always_works(stack: Stack) -> None:
    """Whatever the number or the panel says, and it takes none of the panel's N; it says which try it was."""
    async with bench_of(stack) as first, bench_of(stack, "sandbox2") as second:
        await first.panel.set("transient", 1)
        assert await second.outcome("1540000" + FAULTS["config"], "s1") == "delivered"
        assert (await first.panel.state())["left"] == 1
        assert await first.outcome(sms_id="s2") == "transient"
        assert await second.outcome(sms_id="s2") == "delivered"
        shown = (await first.inbox.newest())[0]
        assert (shown["provider"], shown["attempt"], shown["fault"]) == ("sandbox2", 2, "none")


async def test_the_log_names_each_try_and_each_receipt(stack: Stack) -> None:
    """Newest first, with provider, fault and what came of it."""
    async with bench_of(stack) as bench:
        await bench.outcome("1540000" + FAULTS["permanent"], "a")
        await bench.outcome("1540000" + FAULTS["late"], "b")
        await bench.receiver.next()
        async with asyncio.timeout(5):
            while len(await bench.panel.tries()) < 3:
                pass
        tries = await bench.panel.tries()
        assert [(one["fault"], one["outcome"]) for one in tries] == [
            ("late", "receipt_delivered"),
            ("late", "accepted"),
            ("permanent", "permanent"),
        ]
        assert {one["provider"] for one in tries} == {"sandbox"}

"""The countdown is the server's."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server import slices
from server.errors import StoreUnavailable
from server.events import topics
from server.services import countdowns as countdowns_module
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]


async def test_otp_17_ticks_fall_each_second_down_to_zero_and_then_one_may_send(start: Start) -> None:
    """Every second once, never rising, the last one 0; then the next send is accepted."""
    stack = await start(SMS_INTERVAL_S="3")
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    ticks = []
    while not ticks or ticks[-1]["remaining"]:
        ticks.append((await page.next_event("countdown.tick"))["data"])
    assert [tick["remaining"] for tick in ticks] == [3, 2, 1, 0]
    assert len({tick["resend_at"] for tick in ticks}) == 1
    assert all(
        tick["remaining"] - 1 < tick["resend_at"] - tick["server_now"] + 0.05 <= tick["remaining"] + 0.1
        for tick in ticks
    )
    assert (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["type"] == "sms.queued"


async def test_otp_18_each_tick_and_state_tells_the_deadline_and_the_server_s_time(stack: Stack) -> None:
    """So that one that comes late is drawn right."""
    page = await stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    tick = (await page.next_event("countdown.tick"))["data"]
    delivered = await page.state("delivered")
    for told in (queued, tick, delivered):
        assert told["resend_at"] == queued["resend_at"]
        assert 58 < told["resend_at"] - told["server_now"] <= 60


async def test_otp_17_a_second_tab_shows_the_same_remainder(stack: Stack) -> None:
    """Whoever watches the transaction gets the same deadline."""
    first, second = await stack.page(), await stack.page()
    queued = (await first.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    stack.clock.advance(20)
    watched = (await second.ask("sms.watch", transaction=queued["transaction"]))["data"]
    assert watched["resend_at"] == queued["resend_at"]
    assert (await second.next_event("countdown.tick"))["data"]["remaining"] in (39, 40)


async def test_otp_17_another_transaction_of_the_number_moves_the_countdown(stack: Stack) -> None:
    """The next send belongs to the number, so a page with an older transaction is told of the newer one's."""
    first, second = await stack.page(), await stack.page()
    old = (await first.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await first.state("delivered")
    stack.clock.advance(61)
    new = (await second.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    moved = (await first.next_event("sms.state"))["data"]
    assert moved["transaction"] == old["transaction"]
    assert moved["resend_at"] == new["resend_at"]


async def test_otp_18_a_tick_that_fell_due_while_the_loop_was_busy_is_skipped(start: Start) -> None:
    """Never two ticks in a bunch: the seconds told are all different."""
    stack = await start(SMS_INTERVAL_S="4")
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    (watch,) = stack.services.countdowns._watches.values()
    first = (await page.next_event("countdown.tick"))["data"]["remaining"]
    watch.deadline -= 2.3  # as if the loop had stood still for so long
    told = [first]
    while told[-1]:
        told.append((await page.next_event("countdown.tick"))["data"]["remaining"])
    assert len(set(told)) == len(told)
    assert told == sorted(told, reverse=True)
    assert len(told) < 5


async def test_every_step_of_the_sms_is_pushed_in_order(stack: Stack) -> None:
    """queued, sending, accepted, delivered; what a page sees is never older than what it saw."""
    stack.provider.gate.clear()
    page = await stack.page()
    seen = [(await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]]
    while seen[-1]["status"] != "sending":
        seen.append((await page.next_event("sms.state"))["data"])
    stack.provider.gate.set()
    while seen[-1]["status"] != "delivered":
        seen.append((await page.next_event("sms.state"))["data"])
    steps = ["queued", "sending", "accepted", "delivered"]
    assert [one["status"] for one in seen] == sorted((one["status"] for one in seen), key=steps.index)
    assert [one["seq"] for one in seen] == sorted({one["seq"] for one in seen})


async def test_a_page_that_left_is_not_watched_for(stack: Stack) -> None:
    """Neither its countdown nor its number stays behind."""
    page = await stack.page()
    await page.ask("mobile.check", mobile=MOBILE)
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    await page.close()
    async with asyncio.timeout(5):
        while stack.services.countdowns._watches or stack.services.mobiles._watchers or stack.sockets:
            await asyncio.sleep(0)


async def test_what_is_on_its_way_does_not_reach_a_page_that_watches_no_more(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many pages are told in slices; one that asked about another number meanwhile hears only of that."""
    monkeypatch.setattr(slices, "SLICE_S", 0)
    mobiles, heard = stack.services.mobiles, []

    class Watcher:
        """Half of them leave as soon as the first is told."""

        def push(self, kind: str, data: dict[str, Any]) -> None:
            heard.append((self, kind))
            for watcher in leaving:
                mobiles.unwatch(watcher)  # type: ignore[arg-type]
                mobiles.watch(watcher, "15400000009")  # type: ignore[arg-type]

    staying, leaving = [Watcher() for _ in range(9)], [Watcher() for _ in range(9)]
    for watcher in [staying[0], *leaving, *staying[1:]]:
        mobiles.watch(watcher, MOBILE)  # type: ignore[arg-type]
    mobiles._on_change("", {"kind": "mobile.taken", "mobile": MOBILE})
    async with asyncio.timeout(5):
        while not {*staying} <= {watcher for watcher, _ in heard}:
            await asyncio.sleep(0)
    assert sum(watcher in leaving for watcher, _ in heard) <= 1, "only one that was told before it left"


async def test_a_tab_that_comes_while_others_are_told_takes_nobody_s_tick(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its own at once, and no tab hears an older second after a newer one."""
    monkeypatch.setattr(slices, "SLICE_S", 0)
    page = await stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await page.state("delivered")
    countdowns = stack.services.countdowns
    (watch,) = countdowns._watches.values()

    class Tab:
        """Notes the seconds that it is told."""

        def __init__(self) -> None:
            self.ticks: list[float] = []

        def push(self, kind: str, data: dict[str, Any]) -> None:
            if kind == "countdown.tick":
                self.ticks.append(data["server_now"])

        def forgotten(self, transaction: str) -> None:
            """Not here."""

    async def known(_: str) -> dict[str, Any]:
        return watch.state

    monkeypatch.setattr(countdowns._codes, "require_state", known)
    tabs, late = [Tab() for _ in range(20)], Tab()
    watch.watchers.update(tabs)  # type: ignore[arg-type]
    countdowns._tick(watch)
    watch.beat = 0  # the next second mends nothing
    for _ in range(5):
        await asyncio.sleep(0)
    for tab in (late, tabs[-1]):  # a new one, and one that asks again
        await countdowns.watch(tab, queued["transaction"])  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while not all(tab.ticks for tab in [*tabs, late]):
            await asyncio.sleep(0)
    assert all(tab.ticks == sorted(tab.ticks) for tab in [*tabs, late])


async def test_news_that_an_answer_has_overtaken_are_told_no_further(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While all are told that a number is taken, the store says to one that it is free again."""
    monkeypatch.setattr(slices, "SLICE_S", 0)
    mobiles, heard = stack.services.mobiles, []

    class Watcher:
        """The first that hears it asks, and is answered."""

        def push(self, kind: str, data: dict[str, Any]) -> None:
            heard.append(kind)
            mobiles._told_taken.discard(MOBILE)

    for _ in range(9):
        mobiles.watch(Watcher(), MOBILE)  # type: ignore[arg-type]
    for kind in ("mobile.taken", "mobile.freed"):
        mobiles._on_change("", {"kind": kind, "mobile": MOBILE})
        async with asyncio.timeout(5):
            while mobiles._rounds._going:
                await asyncio.sleep(0)
    assert heard == ["mobile.taken"] + 9 * ["mobile.freed"]


async def test_a_number_that_is_free_again_before_all_were_told_is_not_told_as_taken(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest wins: each page hears last what is true."""
    monkeypatch.setattr(slices, "SLICE_S", 0)
    pages = [await stack.page() for _ in range(6)]
    for page in pages:
        await page.ask("mobile.check", mobile=MOBILE)
    for kind in ("mobile.taken", "mobile.freed"):
        stack.services.mobiles._on_change("", {"kind": kind, "mobile": MOBILE})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    for page in pages:
        await page.next_event("mobile.freed")
        assert (await page.ask("ping"))["type"] == "pong"
        assert page.unasked[-1]["type"] == "mobile.freed"
    assert sum(event["type"] == "mobile.taken" for page in pages for event in page.unasked) < len(pages)


async def test_a_lost_message_is_mended_by_looking(stack: Stack) -> None:
    """Without any event from Redis the page still learns, by the resync."""
    page = await stack.page()
    await page.ask("mobile.check", mobile=MOBILE)
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await page.state("delivered")
    stack.services.countdowns._events._listeners.clear()
    await stack.users.insert({"_id": "x", "mobile": MOBILE, "username": "x", "transaction": "x"})
    await stack.redis.client.hincrby(f"sms:{{{queued['transaction'][:8]}}}:tx:{queued['transaction']}", "seq", 1)
    await stack.services.mobiles._resync()
    await stack.services.countdowns._resync()
    assert (await page.next_event("mobile.taken"))["data"] == {"mobile": MOBILE}
    assert (await page.next_event("sms.state"))["data"]["seq"] == 4


async def test_a_tab_hears_of_a_step_that_another_tab_asked_about_first(stack: Stack) -> None:
    """Whoever reads the state first, all who watch are told it."""
    first, second = await stack.page(), await stack.page()
    queued = (await first.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await first.state("delivered")
    stack.services.countdowns._events._listeners.clear()  # the event of the next change gets lost
    await stack.redis.client.hincrby(f"sms:{{{queued['transaction'][:8]}}}:tx:{queued['transaction']}", "seq", 1)
    seen = (await second.ask("sms.watch", transaction=queued["transaction"]))["data"]
    assert (await first.next_event("sms.state"))["data"]["seq"] == seen["seq"]


async def test_a_page_hears_of_a_number_that_another_page_asked_about_first(stack: Stack) -> None:
    """The message that it was taken got lost; the answer to the one is news for the other, and is known from then."""
    first, second = await stack.page(), await stack.page()
    assert (await first.ask("mobile.check", mobile=MOBILE))["data"]["available"] is True
    stack.services.mobiles._events._listeners.clear()
    await stack.mongo.db.users.insert_one({"_id": "x", "mobile": MOBILE, "username": "x", "transaction": "x"})
    for key in (await stack.redis.each("KEYS", "free:*"))[0]:  # written by us, or it would not be free any more
        await stack.redis.call("DEL", key)
    assert (await second.ask("mobile.check", mobile=MOBILE))["data"]["available"] is False
    assert (await first.next_event("mobile.taken"))["data"] == {"mobile": MOBILE}


async def test_an_account_that_was_made_ends_its_countdown(stack: Stack) -> None:
    """The transaction is over, so nothing is pushed about it any more, to no tab."""
    first, second = await stack.page(), await stack.page()
    queued = (await first.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await second.ask("sms.watch", transaction=queued["transaction"])
    code = (await stack.provider.nth(1)).code
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": code, "transaction": queued["transaction"]}
    assert (await first.ask("user.register", **form))["type"] == "user.registered"
    async with asyncio.timeout(5):
        while stack.services.countdowns._watches:
            await asyncio.sleep(0)


async def test_an_sms_known_to_be_delivered_is_so_in_one_step(stack: Stack) -> None:
    """No kill in between can leave it waiting for a receipt that never comes."""
    page = await stack.page()
    queued = await page.ask("sms.send", mobile=MOBILE, purpose="register")
    delivered = await page.state("delivered")
    assert delivered["seq"] - queued["data"]["seq"] <= 2, "sending, delivered"


async def test_a_step_that_says_all_there_is_to_know_is_not_read(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its acceptance to its end the state of an SMS is not asked for once."""
    codes, asked = stack.services.codes, []
    real = codes.get_states
    for name in ("get_state", "require_state", "get_states"):
        monkeypatch.setattr(codes, name, asked.append)
    page = await stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    delivered = await page.state("delivered")
    assert asked == []
    (read,) = await real([queued["transaction"]])
    assert isinstance(read, dict)
    for told in (read, delivered):
        told.pop("server_now")
    assert delivered == read | {"reason": None}


async def test_a_step_whose_predecessor_got_lost_is_read(stack: Stack) -> None:
    """What it says is only what is new since then."""
    page = await stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    seen = await page.state("delivered")
    key = f"sms:{{{queued['transaction'][:8]}}}:tx:{queued['transaction']}"
    await stack.redis.client.hincrby(key, "attempts", 2)
    seq = await stack.redis.client.hincrby(key, "seq", 2)
    step = {"transaction": queued["transaction"], "seq": seq, "now_ms": 0, "status": "delivered", "attempt": 1}
    await stack.services.countdowns._events.publish(topics.sms(queued["transaction"]), step=step | {"reason": ""})
    state = (await page.next_event("sms.state"))["data"]
    assert (state["seq"], state["attempts_left"]) == (seen["seq"] + 2, seen["attempts_left"] - 2)


async def test_what_is_told_before_a_page_watches_is_not_missed(stack: Stack) -> None:
    """The state that was known at the acceptance is old then, and is read anew; without news it is not."""
    sender, watcher = await stack.page(), Ears()
    queued = (await sender.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    delivered = await sender.state("delivered")
    countdowns, transaction = stack.services.countdowns, queued["transaction"]
    await sender.close()
    async with asyncio.timeout(5):
        while transaction in countdowns._watches:
            await asyncio.sleep(0)
    for news, status in ((None, "queued"), ({}, "delivered")):
        await countdowns.listen(transaction)
        if news is not None:
            countdowns._hear(transaction, news)
        state = await countdowns.watch(watcher, transaction, known=lambda: queued)
        assert state["status"] == status
        countdowns.forget(watcher)
    assert state["seq"] == delivered["seq"]
    await countdowns.listen(transaction)
    countdowns.unlisten(transaction)
    assert transaction not in countdowns._watches
    assert topics.sms(transaction) not in countdowns._events._listeners


class Ears:
    """A page that only listens."""

    def push(self, kind: str, data: dict[str, Any]) -> None:
        """Not here."""

    def forgotten(self, transaction: str) -> None:
        """Not here."""


async def test_a_thousand_ticks_of_one_moment_leave_the_loop_to_others(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one beat go out in slices, each once, and nobody's is lost."""
    monkeypatch.setattr(countdowns_module, "SLICE_S", 0)
    countdowns, told, turns = stack.services.countdowns, [], 0
    loop = asyncio.get_running_loop()

    class Page(Ears):
        """Counts."""

        def push(self, kind: str, data: dict[str, Any]) -> None:
            told.append(data["transaction"])

    for number in range(50):
        watch = countdowns._watch(f"t{number}")
        watch.watchers.add(Page())
        watch.state = {"transaction": f"t{number}", "resend_at": 0.0}
        countdowns._arm(watch, loop.time() + 1.5)
    async with asyncio.timeout(5):
        while len(told) < 50:
            before = len(told)
            await asyncio.sleep(0)
            turns += len(told) > before
    assert sorted(told) == sorted(f"t{number}" for number in range(50))
    assert turns == 50
    countdowns._watches.clear()


async def test_a_page_that_leaves_while_its_sms_is_looked_up_is_forgotten(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so twice: when it leaves, and when its answer is there."""
    page, tab = await stack.page(), Ears()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    countdowns = stack.services.countdowns
    real = countdowns._codes.require_state

    async def meanwhile(transaction: str) -> dict[str, Any]:
        countdowns.forget(tab)
        return await real(transaction)

    monkeypatch.setattr(countdowns._codes, "require_state", meanwhile)
    await countdowns.watch(tab, queued["transaction"])
    countdowns.forget(tab)
    assert tab not in countdowns._watched


async def test_what_was_known_at_a_resend_is_not_told_after_something_newer(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is away just then, and this process has heard of later steps."""
    page, tab = await stack.page(), Ears()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    newest = await page.state("delivered")
    countdowns, transaction = stack.services.countdowns, queued["transaction"]
    await countdowns.watch(tab, transaction)

    async def away(_: str) -> None:
        raise StoreUnavailable("redis", "away")

    monkeypatch.setattr(countdowns._codes, "require_state", away)
    countdowns._watches[transaction].missed = True
    later = queued | {"server_now": newest["server_now"] + 1}
    told = await countdowns.watch(tab, transaction, known=lambda: later)
    assert (told["seq"], told["status"]) == (newest["seq"], "delivered")

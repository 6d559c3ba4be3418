"""The monitor's figures: of all processes together, over time, and what is warned of."""

import asyncio
import io
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.caller import Caller, Identity
from server.container import open_services
from server.errors import StoreUnavailable
from server.feed import KEPT_A_BEAT, Feed
from server.metrics import Metrics
from server.services import Services
from server.services.tally import Tally, describe
from server.sms.router import Route
from server.stores.monitor import MonitorStore
from tests.conftest import Stack
from tests.helpers import MOBILE, ScriptedProvider
from tests.people import sign_up

pytestmark = pytest.mark.gen_test(timeout=40)


class FakeViewer:
    """Somebody who looks; what he sees comes one by one."""

    def __init__(self) -> None:
        self.who = Identity("x", "hm_x", "s", "1", time.time() + 1e6)
        self.seen: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.ended = ""

    def push(self, kind: str, data: dict[str, Any]) -> None:
        self.seen.put_nowait((kind, data))

    def session_ended(self, reason: str) -> None:
        self.ended = reason

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        self.ended = f"{code}"

    async def until(self, kind: str, true: Any = lambda data: True) -> dict[str, Any]:
        async with asyncio.timeout(12):
            while True:
                what, data = await self.seen.get()
                if what == kind and true(data):
                    return data


@asynccontextmanager
async def another(stack: Stack) -> AsyncIterator[Services]:
    """One more process of the same service."""
    async with open_services(
        stack.settings,
        mongo=stack.mongo,
        redis=stack.redis,
        clock=stack.clock,
        routes=[Route(ScriptedProvider(), rate=1000)],
    ) as services:
        yield services


async def look(stack: Stack, viewer: FakeViewer) -> dict[str, Any]:
    """The snapshot; the pictures follow."""
    snapshot = await stack.services.monitor.snapshot()
    stack.services.monitor.add(viewer)
    return snapshot


def _count(services: Services, checks: int) -> None:
    services.metrics.operations.labels("mobile.check", "websocket", "ok").inc(checks)


async def test_the_picture_is_the_sum_of_all_processes_and_shows_each(stack: Stack) -> None:
    """Wherever one looks; a process that is gone is not counted any more."""
    viewer = FakeViewer()
    async with another(stack) as other:
        await look(stack, viewer)
        _count(stack.services, 30)
        _count(other, 50)
        other.metrics.pages.set(7)
        names = {stack.services.monitor.process, other.monitor.process}
        tick = await viewer.until("monitor.tick", lambda data: data["pages"] == 7 and len(data["processes"]) == 2)
        assert {process["id"] for process in tick["processes"]} == names
        series = await other.monitor.series("15m")
        assert sum(point.get("checks", 0) for point in series["points"]) == 80
    tick = await viewer.until("monitor.tick", lambda data: len(data["processes"]) == 1)
    assert tick["pages"] == 0


async def test_what_was_counted_outlives_its_process(stack: Stack) -> None:
    """A restart keeps the charts, and what was counted last is told at the end."""
    async with another(stack) as other:
        _count(other, 11)
    viewer = FakeViewer()
    snapshot = await look(stack, viewer)
    assert sum(point.get("checks", 0) for point in snapshot["series"]["points"]) == 11
    for name in ("1h", "24h"):
        points = (await stack.services.monitor.series(name))["points"]
        assert sum(point.get("checks", 0) for point in points) == 11, name


async def test_what_redis_could_not_hear_is_told_when_it_is_back(stack: Stack) -> None:
    """Nothing that was counted is lost, and nothing counted twice."""
    store = stack.services.monitor._store
    heard, real = asyncio.Event(), store.beat

    async def broken(*args: Any, **named: Any) -> Any:
        if not heard.is_set():
            await real(*args, **named)  # done, and only the answer gets lost
        heard.set()
        raise StoreUnavailable("redis", "away")

    store.beat = broken  # type: ignore[method-assign]
    _count(stack.services, 5)
    await heard.wait()
    heard.clear()
    _count(stack.services, 6)
    await heard.wait()
    store.beat = real  # type: ignore[method-assign]
    viewer = FakeViewer()
    async with asyncio.timeout(10):
        while stack.services.monitor._untold or stack.services.monitor._telling is not None:
            await asyncio.sleep(0.02)
    await look(stack, viewer)
    await viewer.until("monitor.tick")
    points = (await stack.services.monitor.series("15m"))["points"]
    assert sum(point.get("checks", 0) for point in points) == 11


async def test_a_viewer_of_a_process_without_redis_is_told_so(stack: Stack) -> None:
    """The picture does not just stand still."""
    viewer = FakeViewer()
    await look(stack, viewer)

    async def broken(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("redis", "away")

    stack.services.monitor._store.beat = broken  # type: ignore[method-assign]
    assert await viewer.until("degraded") == {"what": "redis"}


async def test_steps_have_their_times(stack: Stack) -> None:
    """From the click to accepted, delivered and verified, by Redis' clock."""
    page = await stack.page()
    sent = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await page.state("delivered")
    form = {"transaction": sent["transaction"], "sms_code": stack.provider.sent[-1].code}
    stack.clock.advance(7)
    await stack.services.accounts.register(
        mobile=MOBILE,
        password="correct horse battery",
        **form,
        consent=None,
        made_before=False,
        caller=Caller(address="127.0.0.1", request_id="r"),
    )
    found = describe(Tally(Metrics()).take() | _counts_of(stack.services.metrics))
    assert found["steps"]["delivered"]["p95"] < 1
    assert 5 <= found["steps"]["verified"]["p50"] <= 8
    assert found["steps"]["verified"]["count"] == 1


def _counts_of(metrics: Metrics) -> dict[str, int]:
    fresh = Tally(Metrics())
    fresh._metrics = metrics
    return fresh.take()


async def test_nothing_is_kept_or_told_while_nobody_looks(stack: Stack) -> None:
    """And of a crowd only so much as a beat can carry; the rest is counted."""
    await sign_up(stack)
    assert stack.services.feed.take() == ([], 0)
    feed = Feed()
    feed.note("x", 1)
    assert feed.take() == ([], 0)
    feed.wanted = True
    for _ in range(KEPT_A_BEAT + 9):
        feed.note("x", 1)
    events, more = feed.take()
    assert (len(events), more) == (KEPT_A_BEAT, 9)
    assert feed.take() == ([], 0)


async def test_what_happens_in_one_process_is_seen_in_another(stack: Stack) -> None:
    """As it happens, with who and what, and no number."""
    viewer = FakeViewer()
    async with another(stack) as other:
        await look(stack, viewer)
        async with asyncio.timeout(8):
            while not other.feed.wanted:
                await asyncio.sleep(0.02)
        await other.audit.note("password.changed", user="u1", mobile=MOBILE)
        seen = await viewer.until("monitor.event", lambda data: data["events"][-1]["kind"] == "password.changed")
        assert seen["events"][-1]["mobile"] == "154****0001"


async def test_each_alert_comes_and_goes_and_is_told_once(stack: Stack) -> None:
    """The budget, an old queue, a provider, a store, a loop that is held, SMS that nobody uses."""
    services, viewer = stack.services, FakeViewer()
    services.monitor._alerts.stands_s = 0.5
    await look(stack, viewer)

    async def stands(name: str) -> None:
        await viewer.until("monitor.tick", lambda data: name in [one["name"] for one in data["alerts"]])

    async def gone() -> None:
        await viewer.until("monitor.tick", lambda data: data["alerts"] == [])

    for percent, name in ((0.5, "budget_50"), (0.81, "budget_80"), (1.0, "budget_100")):
        services.metrics.budget.set(percent)
        await stands(name)
    services.metrics.budget.set(0)
    await gone()
    assert "budget" not in str(await MonitorStore(stack.redis).alerts())
    services.conversion._suspected_at = stack.clock.monotonic()
    await stands("pumping_suspected")
    services.conversion._suspected_at = -1e9
    await gone()
    await services.health.aclose()
    services.health._up["mongo"] = False
    await stands("store_mongo")
    services.health._up["mongo"] = True
    await gone()
    services.monitor._lag._worst_s = 0.15
    await stands("loop_lag")
    await gone()


async def test_an_alert_stands_while_any_process_says_so(stack: Stack) -> None:
    """A process that died cannot keep one up, and one that came later sees it."""
    viewer = FakeViewer()
    async with another(stack) as other:
        other.monitor._alerts.stands_s = stack.services.monitor._alerts.stands_s = 0.5
        await other.health.aclose()
        other.health._up["mongo"] = False
        await look(stack, viewer)
        name = "store_mongo"
        await viewer.until("monitor.tick", lambda data: [one["name"] for one in data["alerts"]] == [name])
        assert name in await MonitorStore(stack.redis).alerts()
    await viewer.until("monitor.tick", lambda data: data["alerts"] == [])
    assert await MonitorStore(stack.redis).alerts() == {}


def _when_told(stream: io.StringIO, event: str) -> threading.Event:
    """Set when a line of that name is written, by whichever thread."""
    told, write = threading.Event(), stream.write

    def note(text: str) -> int:
        if event in text:
            told.set()
        return write(text)

    stream.write = note  # type: ignore[method-assign]
    return told


async def test_pr_5_a_loop_that_is_held_is_told_with_what_holds_it(stack: Stack, logged: io.StringIO) -> None:
    """While it is held, by somebody else than the loop; the stack names the function, the metric has how long."""
    told = _when_told(logged, "loop.held")
    await _until_measured(stack)  # the loop runs, and is seen to
    _hold_the_loop(told)
    assert "_hold_the_loop" in logged.getvalue()
    await _until_measured(stack)
    assert _measured(stack)["+Inf"] > _measured(stack)["0.1"]


def _hold_the_loop(told: threading.Event) -> None:
    assert told.wait(5)


def _measured(stack: Stack) -> dict[str, float]:
    """How often the loop was at most so late, by the metric."""
    (family,) = stack.services.metrics.lag.collect()
    return {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}


async def _until_measured(stack: Stack) -> None:
    before = _measured(stack)
    async with asyncio.timeout(5):
        while _measured(stack) == before:
            await asyncio.sleep(0)


async def test_an_alert_does_not_flap(stack: Stack) -> None:
    """What comes and goes each second is one alert: raised once, cleared when it has been quiet for a while."""
    alerts = stack.services.monitor._alerts
    assert alerts.standing(lag_ms=500, providers={}) == ["loop_lag"]
    assert alerts.standing(lag_ms=1, providers={}) == ["loop_lag"]
    alerts.stands_s = 0
    assert alerts.standing(lag_ms=1, providers={}) == []


async def test_each_process_shows_the_alerts_in_its_metrics(stack: Stack) -> None:
    """Not only the one that was the first to see them; and they fall in all."""
    async with another(stack) as other:
        for services in (stack.services, other):
            services.monitor._alerts.stands_s = 0.5
        for wanted, mark in (("1.0", "bad"), ("0.0", "ok")):
            for _ in range(20):
                await stack.breakers.note("none", "scripted", mark)  # type: ignore[arg-type]
            line = f'haoma_alerts{{alert="breaker_scripted"}} {wanted}'
            async with asyncio.timeout(10):
                while not all(line in one.metrics.exposition().decode() for one in (stack.services, other)):
                    await asyncio.sleep(0.02)


async def test_a_second_viewer_takes_nothing_from_the_first(stack: Stack) -> None:
    """Each gets every point, and what is counted is counted once, however often a chart is asked for."""
    first, second = FakeViewer(), FakeViewer()
    _count(stack.services, 100)
    await look(stack, first)
    point = await first.until("monitor.tick", lambda data: "point" in data and data["point"].get("checks"))
    assert point["quarter"]["checks"] == 100
    snapshot = await look(stack, second)
    await stack.services.monitor.series("15m")
    assert snapshot["quarter"]["checks"] == 100
    for viewer in (first, second):
        assert (await viewer.until("monitor.tick", lambda data: "point" in data))["quarter"]["checks"] == 100

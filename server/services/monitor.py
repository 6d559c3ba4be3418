"""The operators' picture of now: one beat a second in each process, one picture a second for each who looks."""

import asyncio
import os
import platform
import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from server.caller import Identity
from server.clock import Clock
from server.errors import AppError, StoreUnavailable
from server.events import START_PATIENCE_S, EventBus, topics
from server.feed import Feed
from server.logs import get_log
from server.metrics import Metrics
from server.services.accounts import Tell
from server.services.admins import AdminService
from server.services.alerts import AlertService
from server.services.audit import event_of
from server.services.budget import BudgetService
from server.services.controls import ControlService
from server.services.health import HealthService
from server.services.lag import LagService
from server.services.tally import Tally, describe, value_of
from server.stores.audit import AuditStore
from server.stores.jobs import JobStore
from server.stores.monitor import FINE_S, RANGES, SILENT_MS, Beat, Counts, MonitorStore
from server.stores.providers import ProviderStore
from server.tasks import Tasks

_log = get_log(__name__)
BEAT_S = 1
RECHECK_S = 60
DRAIN_AFTER_S = 0.5
# A process may be a beat behind, so a bucket is read when all have told what belongs to it.
_SETTLED_S = 2.5
_EVENTS_MAX = 200
_AT_ONCE = 20
_FIRST = "15m"
RECENT = 30


class Viewer(Protocol):
    """An open monitor."""

    who: Identity

    def push(self, kind: str, data: dict[str, Any]) -> None:
        """Send what nobody asked for; never blocks, never raises."""

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Send it away."""

    def session_ended(self, reason: str) -> None:
        """Tell it that it may not look any more, and close it."""


class MonitorService:
    """Counts lie in Redis by time, so the picture outlives a reload and a restart, and is the same wherever one
    looks. What it costs does not depend on the traffic."""

    def __init__(
        self,
        *,
        store: MonitorStore,
        audit: AuditStore,
        admins: AdminService,
        controls: ControlService,
        alerts: AlertService,
        budget: BudgetService,
        health: HealthService,
        lag: LagService,
        providers: ProviderStore,
        names: list[str],
        jobs: JobStore,
        feed: Feed,
        events: EventBus,
        metrics: Metrics,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._store = store
        self._tell = tell
        self._audit = audit
        self._admins = admins
        self._controls = controls
        self._alerts = alerts
        self._budget = budget
        self._health = health
        self._lag = lag
        self._providers = providers
        self._names = names
        self._jobs = jobs
        self._feed = feed
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._tasks = Tasks(clock)
        self._tally = Tally(metrics)
        self.process = secrets.token_hex(4)
        self._started_at = clock.now()
        self._viewers: set[Viewer] = set()
        self._happened: list[dict[str, Any]] = []
        self._more = 0
        self._untold: Counter[str] = Counter()
        self._telling: Counts | None = None
        self._number = 0
        self._ahead: float | None = None  # what to add to our monotonic clock to have Redis' time
        self._beat_at = clock.monotonic()
        self._cpu_at = time.process_time()
        self._standing: dict[str, int] = {}
        self._last: Beat | None = None
        self._told_at = clock.monotonic()
        self._alerts_shown: set[str] = set()
        self._quarter: deque[Counts] = deque(maxlen=RANGES[_FIRST].points)
        self._quarter_shown: dict[str, Any] = {}
        self._read_to = 0
        self._drain: Callable[[], object] = lambda: None

    async def start(self) -> None:
        """Begin to beat."""
        for topic, heard in (
            (topics.FEED, self._on_feed),
            (topics.PROCESSES, self._on_order),
            (topics.ADMINS, self._on_roles),
        ):
            await self._events.subscribe(topic, heard, patience_s=START_PATIENCE_S)
        self._standing = await self._store.alerts()
        await self._beat()
        self._tasks.keep("monitor.beat", self._beat, every_s=BEAT_S)
        self._tasks.keep("monitor.recheck", self._recheck_later, every_s=0)

    async def aclose(self) -> None:
        """Stop beating; what was counted last is told."""
        await self._tasks.aclose()
        self._count()
        try:
            while self._telling is not None or self._untold:  # a beat under way was cut off, and then the rest
                await self._tell_store(self._record(1.0, {}))
            await self._store.leave(self.process)
        except StoreUnavailable:
            pass  # It is forgotten by itself.

    def end(self) -> None:
        """This process will be gone: whoever looks is to come back, and meets another."""
        for viewer in [*self._viewers]:
            viewer.push("server.closing", {"retry_after": random.randint(1, 5)})  # noqa: S311 (jitter)
            viewer.close(1001, "going away")

    def on_drain(self, drain: Callable[[], object]) -> None:
        """Call `drain` when an operator wants this process to end."""
        self._drain = drain

    async def snapshot(self) -> dict[str, Any]:
        """What a viewer sees first."""
        if not self._viewers:
            await self._fill_quarter()
        picture = await self._picture(self._look(), await self._providers.states(self._names))
        return picture | {
            "process": self.process,
            "series": await self.series(_FIRST),
            "events": [event_of(entry) for entry in reversed(await self._audit.page(0, RECENT))],
        }

    def add(self, viewer: Viewer) -> None:
        """From now on `viewer` gets a picture each second; what happened before is no news to him."""
        if not self._viewers:
            self._happened, self._more = [], 0
        self._viewers.add(viewer)
        self._feed.wanted = True

    def forget(self, viewer: Viewer) -> None:
        """It has left."""
        self._viewers.discard(viewer)

    async def series(self, name: str) -> dict[str, Any]:
        """One of RANGES until now: `{range, step_s, points: [{at, …}]}`. A point says what happened, not how long it
        took."""
        points = []
        for place, (at, counts) in enumerate(await self._store.series(name, now=self._now())):
            points.append({"at": at} | describe(counts, whole=False))
            if place % _AT_ONCE == 0:  # so that nobody's page waits for a chart
                await asyncio.sleep(0)
        return {"range": name, "step_s": RANGES[name].step_s, "points": points}

    async def _fill_quarter(self) -> None:
        """Nobody has looked lately, so the buckets of the last quarter of an hour are read anew."""
        self._read_to = int((self._now() - _SETTLED_S) // FINE_S)
        begin = self._read_to - RANGES[_FIRST].points
        self._quarter.clear()
        self._extend_quarter(await self._store.fine(begin, self._read_to))

    def _extend_quarter(self, some: list[Counts]) -> None:
        """What it comes to is worked out every five seconds, not for every picture."""
        self._quarter.extend(some)
        total: Counter[str] = Counter()
        for counts in self._quarter:
            total.update(counts)
        self._quarter_shown = describe(total)

    async def order_drain(self, process: str) -> None:
        """Have a process finish its work and stop; AppError `not_found`."""
        if process not in self._look().processes:
            raise AppError("not_found")
        await self._events.publish(topics.PROCESSES, drain=process)

    async def recheck(self) -> None:
        """Send away whoever may not look any more (WS-2 in docs/security.md)."""
        for viewer in [*self._viewers]:
            try:
                await self._admins.require(viewer.who, "viewer")
            except AppError as fault:
                viewer.session_ended("role_removed" if fault.code == "not_allowed" else "over")
            except StoreUnavailable:
                pass  # Not known; whatever they ask for meanwhile is refused.

    async def _recheck_later(self) -> None:
        await self._clock.sleep(RECHECK_S)
        await self.recheck()

    def _on_feed(self, _: str, data: dict[str, Any]) -> None:
        if not self._viewers:
            return
        room = max(0, _EVENTS_MAX - len(self._happened))
        self._happened += data["events"][:room]
        self._more += data["more"] + max(0, len(data["events"]) - room)

    def _on_roles(self, _: str, __: dict[str, Any]) -> None:
        self._tasks.start(self.recheck())

    def _on_order(self, _: str, data: dict[str, Any]) -> None:
        if data.get("drain") == self.process:
            _log.warning("process.drained")
            self._tasks.start(self._drain_soon())

    async def _drain_soon(self) -> None:
        """Who ordered it may look through this very process, and is to have the answer."""
        await self._clock.sleep(DRAIN_AFTER_S)
        self._drain()

    async def _beat(self) -> None:
        """Also without Redis: then the viewers of this process are told at least that."""
        now = self._clock.monotonic()
        elapsed_s, self._beat_at = max(0.001, now - self._beat_at), now
        counts = self._count()
        lag_ms = self._lag.worst_ms()
        await self._budget.look()
        try:
            states = await self._providers.states(self._names)
            alerts = self._alerts.standing(lag_ms=lag_ms, providers=states)
            record = self._record(elapsed_s, counts) | {"lag_ms": lag_ms, "alerts": alerts}
            beat = await self._tell_store(record)
            await self._tell_events(beat)
            await self._judge_alerts(beat)
            if self._viewers:
                point = await self._next_point(beat.now)
                self._show(await self._picture(beat, states) | point)
        except StoreUnavailable:
            self._show_alerts(self._alerts.standing(lag_ms=lag_ms, providers={}))
            for viewer in [*self._viewers]:
                viewer.push("degraded", {"what": "redis"})

    def _count(self) -> Counts:
        """What was done since the last beat; it is kept until it was told."""
        counts = self._tally.take()
        self._untold.update(counts)
        return counts

    async def _tell_store(self, record: dict[str, Any]) -> Beat:
        if self._telling is None:
            self._number += 1
            self._telling, self._untold = self._untold, Counter()
        # A beat whose answer got lost comes again as it was, and is then counted once.
        beat = await self._store.beat(
            self.process, self._number, record, self._telling, now=self._now(), watching=bool(self._viewers)
        )
        self._telling = None
        self._ahead, self._last = beat.now - self._clock.monotonic(), beat
        self._told_at = self._clock.monotonic()
        return beat

    async def _tell_events(self, beat: Beat) -> None:
        self._feed.wanted = beat.watched
        events, more = self._feed.take()
        if events or more:
            await self._events.publish(topics.FEED, events=events, more=more)

    async def _judge_alerts(self, beat: Beat) -> None:
        """An alert stands while any process says so; of all that see it come or go, the first tells."""
        standing = {str(name) for record in beat.processes.values() for name in _listed(record.get("alerts"))}
        self._show_alerts(standing)
        for name in standing - self._standing.keys():
            if await self._store.raise_alert(name, beat.now):
                await self._announce(name, raised=True)
        for name in self._standing.keys() - standing:
            if await self._store.clear_alert(name):
                await self._announce(name, raised=False)
        if standing != self._standing.keys():
            self._standing = await self._store.alerts()
            for name in standing ^ self._standing.keys():
                self._standing.pop(name, None)

    def _show_alerts(self, standing: Iterable[str]) -> None:
        """In the metrics of this process, whoever was the first to see them."""
        now = {*standing}
        for name in now | self._alerts_shown:
            self._metrics.alerts.labels(name).set(int(name in now))
        self._alerts_shown = now

    async def _announce(self, name: str, *, raised: bool) -> None:
        (_log.warning if raised else _log.info)("alert.raised" if raised else "alert.cleared", alert=name)
        self._feed.note("alert.raised" if raised else "alert.cleared", self._clock.now(), alert=name)
        await self._tell("alert.raised" if raised else "alert.cleared", alert=name)

    def _record(self, elapsed_s: float, counts: Counts) -> dict[str, Any]:
        """What others learn of this process."""
        cpu = time.process_time()
        used, self._cpu_at = cpu - self._cpu_at, cpu
        return {
            "host": platform.node(),
            "pid": os.getpid(),
            "started_at": round(self._started_at, 3),
            "draining": self._health.draining,
            "pages": round(value_of(self._metrics.pages)),
            "cpu": round(used / elapsed_s, 3),
            "checks_s": round(counts.get("checks", 0) / elapsed_s, 1),
            "sends_min": self._tally.last_minute("sends"),
            "registrations_min": self._tally.last_minute("registrations"),
            "logins_min": self._tally.last_minute("logins"),
            "budget": round(value_of(self._metrics.budget), 4),
        }

    def _queue(self) -> dict[str, float]:
        jobs = {state: value_of(self._metrics.jobs, state=state) for state in ("waiting", "delayed", "working")}
        return jobs | {"oldest_s": round(value_of(self._metrics.oldest), 1)}

    def _stores(self) -> dict[str, bool]:
        degraded = self._health.degraded()
        return {name: name not in degraded for name in ("redis", "mongo")}

    def _look(self) -> Beat:
        """As told a second ago at most."""
        if self._last is None or self._clock.monotonic() - self._told_at > SILENT_MS / 1000:
            raise StoreUnavailable("redis", "no beat")
        return self._last

    async def _picture(self, beat: Beat, states: dict[str, str]) -> dict[str, Any]:
        """What a viewer sees."""
        records = beat.processes
        shown: dict[str, Any] = {name: _total(records, name) for name in _SUMMED}
        return shown | {
            "server_now": round(beat.now, 3),
            "lag_ms": max((_number(record, "lag_ms") for record in records.values()), default=0.0),
            "budget": max((_number(record, "budget") for record in records.values()), default=0.0),
            "stores": self._stores(),
            "queue": self._queue(),
            "processes": [{"id": name} | record for name, record in sorted(records.items())],
            "providers": states,
            "uniqueness": self._controls.uniqueness,
            "blocks_count": len(self._controls.blocks()),
            "dead": await self._jobs.dead_count(),
            "alerts": [{"name": name, "since": since} for name, since in sorted(self._standing.items())],
            "quarter": self._quarter_shown,
        }

    async def _next_point(self, now: float) -> dict[str, Any]:
        """The bucket that has become complete since the last beat, if one has."""
        settled = int((now - _SETTLED_S) // FINE_S)
        if settled <= self._read_to:
            return {}
        begin = max(self._read_to, settled - RANGES[_FIRST].points)
        self._extend_quarter(await self._store.fine(begin, settled))
        self._read_to = settled
        return {"point": {"at": (settled - 1) * FINE_S} | describe(self._quarter[-1], whole=False)}

    def _show(self, picture: dict[str, Any]) -> None:
        happened, more = self._happened, self._more
        self._happened, self._more = [], 0
        for viewer in [*self._viewers]:
            if happened or more:
                viewer.push("monitor.event", {"events": happened, "more": more})
            viewer.push("monitor.tick", picture)

    def _now(self) -> float:
        """Redis' time, as far as the last beat told; before the first, this host's."""
        return self._clock.now() if self._ahead is None else self._clock.monotonic() + self._ahead


_SUMMED = ("pages", "checks_s", "sends_min", "registrations_min", "logins_min")


def _number(record: dict[str, object], name: str) -> float:
    value = record.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _total(records: dict[str, dict[str, object]], name: str) -> float:
    return round(sum(_number(record, name) for record in records.values()), 1)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []

"""What happened, posted to a server of the operator's: durable as an SMS is, and signed.

Delivered at least once; the receiver tells by `webhook-id` what it has had.
"""

import secrets
from datetime import UTC, datetime
from typing import Any

import orjson

from server.clock import Clock
from server.errors import StoreUnavailable
from server.http import HttpClient, RequestFailed
from server.jobs import Job, JobDelayed, JobFailed, Outside, Worker
from server.logs import get_log
from server.metrics import Metrics
from server.signing import signed_headers
from server.stores.jobs import JobStore

_log = get_log(__name__)
KINDS = ("user.registered", "alert.raised", "alert.cleared")
WAITING_MAX = 10_000
# About a day: then nobody will take it.
TRIES = 28
_WAITS_S = (5, 30, 120, 600, 1800, 3600)
_GONE = 410


class HookMeter:
    """The gauges of this queue."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def show_queue(self, waiting: int, delayed: int, working: int, oldest_s: float) -> None:
        """As it stands, the same in every process."""
        self._metrics.hooks.set(waiting + delayed + working)

    def note_dead(self, reason: str) -> None:
        """One was given up."""
        self._metrics.hooks_sent.labels("given_up").inc()


class Hooks:
    """Nothing is posted where no address is set."""

    def __init__(
        self, *, jobs: JobStore, http: HttpClient, url: str, key: bytes, clock: Clock, metrics: Metrics
    ) -> None:
        self._jobs = jobs
        self._http = http
        self._url = url
        self._key = key
        self._clock = clock
        self._metrics = metrics
        self._outside = Outside()
        self._worker = Worker(
            jobs,
            work=self._post,
            give_up=self._give_up,
            lapsed=jobs.forget_intent,
            outside=self._outside,
            clock=clock,
            metrics=HookMeter(metrics),
            concurrency=8,
            busy_max=8,
        )

    async def start(self) -> None:
        """Begin to post what waits, also what was left by an earlier run."""
        if self._url:
            await self._worker.start()

    async def aclose(self) -> None:
        """Hand back what could not be posted."""
        if self._url:
            await self._worker.aclose(grace_s=2)

    async def tell(self, kind: str, **data: Any) -> None:
        """Put one of KINDS in line. Where Redis cannot take it the log says so: what it tells of has happened."""
        assert kind in KINDS
        if not self._url:
            return
        now = self._clock.now()
        told = {"type": kind, "timestamp": datetime.fromtimestamp(now, UTC).isoformat(), "data": data}
        job = {"body": orjson.dumps(told).decode(), "kind": kind}
        try:
            if await self._jobs.length() >= WAITING_MAX:
                self._metrics.hooks_sent.labels("given_up").inc()
                _log.error("hook.lost", kind=kind, why="too many wait for NOTIFY_URL")
                return
            await self._jobs.enqueue(f"evt_{secrets.token_urlsafe(12)}", job)
        except StoreUnavailable as fault:
            _log.error("hook.lost", kind=kind, why=str(fault))

    async def _post(self, job: Job) -> None:
        now = int(self._clock.now())
        body = job["body"].encode()
        try:
            with self._outside:
                status, _ = await self._http.post(
                    self._url, signed_headers(self._key, job["id"], str(now), body), body
                )
        except RequestFailed as fault:
            await self._later(job, str(fault))
        else:
            await self._judge(job, status)

    async def _judge(self, job: Job, status: int) -> None:
        if status == _GONE:
            raise JobFailed("the receiver wants no more")
        if not 200 <= status < 300:
            await self._later(job, f"status {status}")
        self._metrics.hooks_sent.labels("taken").inc()

    async def _later(self, job: Job, why: str) -> None:
        """Longer each time; how often it was tried is kept in the job."""
        tried = int(job.get("tried", "0"))
        if tried + 1 >= TRIES:
            raise JobFailed("nobody took it for a day")
        self._metrics.hooks_sent.labels("refused").inc()
        _log.warning("hook.refused", job=job["id"], kind=job["kind"], why=why, tried=tried + 1)
        await self._jobs.keep(job["id"], {"tried": str(tried + 1)})
        raise JobDelayed(_WAITS_S[min(tried, len(_WAITS_S) - 1)])

    async def _give_up(self, job: Job) -> None:
        _log.error("hook.given_up", job=job["id"], kind=job["kind"])

"""How fast SMS leave. `python -m benchmarks.delivery` measures in this process, on one core, with the stores and a
stand-in vendor beside it, and prints JSON; `python -m benchmarks` runs it and shows the figures."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import uvloop

from benchmarks import processes, targets
from benchmarks.processes import ROOT, cores
from benchmarks.rows import Row
from benchmarks.turns import Bench
from server.clock import Clock
from server.container import open_services, open_stores
from server.events import EventBus
from server.fixed_codes import FixedCodes
from server.i18n import load_texts
from server.logs import set_up_logs
from server.metrics import Metrics
from server.services import Services
from server.services.codes import CodeService
from server.settings import Settings
from server.sms.http import VendorHttp
from server.sms.provider import ReceiptReader, SendResult, Sms
from server.sms.router import Route
from server.sms.routes import make_routes
from server.stores.codes import CodeRules, CodeStore
from server.stores.jobs import JobStore
from server.stores.meta import MetaStore
from server.stores.mongo import Mongo
from server.stores.redis import Redis
from server.tags import Tagger
from tests.vendors import STAND_INS

IDLE_SENDS, JOBS, LATENCY_MS = 1_000, 10_000, 50
IN_FLIGHT = 128  # of the bare client; more do not make it faster
LAG_PROBE_S = 0.005
Figures = dict[str, float]


class Recorder:
    """A provider that notes when it is called."""

    name = "recorder"
    receipts: ReceiptReader | None = None
    notices = True

    def __init__(self) -> None:
        self.called: asyncio.Queue[float] = asyncio.Queue()

    async def send(self, sms: Sms) -> SendResult:
        """Take it at once."""
        self.called.put_nowait(time.perf_counter())
        return SendResult("", delivered=True)


async def measure(_: Bench) -> list[Row]:
    """In a process of its own, which finds its core."""
    return rows(await processes.figures("benchmarks.delivery"))


def rows(has: Figures) -> list[Row]:
    """Its part of the table; the peer are the same requests to the vendor with nothing around them."""
    queue, bare = f"{JOBS:,} SMS to a vendor that takes {LATENCY_MS} ms", "bare requests"
    faster, cheaper = has["drain_per_s"] / has["bare_per_s"], has["bare_cpu_us"] / has["drain_cpu_us"]
    late = (has["drain_lag_p99_ms"], "ms", has["bare_lag_p99_ms"], bare)
    return [
        Row("SMS put in line, p99", has["enqueue_p99_ms"], "ms", target=targets.QUEUE_P99),
        Row("idle: put in line until the vendor is called, p99", has["call_p99_ms"], "ms", target=targets.CALL_P99),
        Row(f"{queue}, per second", has["drain_per_s"], "/s", has["bare_per_s"], bare, [faster], targets.DRAIN),
        Row(f"{queue}, CPU for each", has["drain_cpu_us"], "µs", has["bare_cpu_us"], bare, [cheaper]),
        Row(f"{queue}, loop late by, p99", *late, target=targets.DRAIN_LATE),
    ]


@dataclass(frozen=True)
class Ground:
    """What the measurements share."""

    settings: Settings
    mongo: Mongo
    redis: Redis
    clock: Clock

    def services(self, *routes: Route) -> AbstractAsyncContextManager[Services]:
        """The service without its port; without `routes` it sends to the stand-in vendor."""
        return open_services(
            self.settings, mongo=self.mongo, redis=self.redis, clock=self.clock, routes=routes or None
        )


async def idle(bench: Ground) -> Figures:
    """One SMS at a time: how long to put it in line, and until the provider is called."""
    recorder, queued, called = Recorder(), [], []
    async with bench.services(Route(recorder, rate=1_000_000)) as services:
        for number in range(IDLE_SENDS):
            send = services.codes.plan(f"154{number:08d}", None)
            await services.delivery.admit(send)
            send = await services.codes.issue(send, "register", locale="zh_CN")
            began = time.perf_counter()
            await services.delivery.queue(send)
            queued.append(time.perf_counter() - began)
            called.append(await recorder.called.get() - began)
    return percentiles("enqueue", queued) | percentiles("call", called)


async def fill(bench: Ground) -> None:
    """JOBS accepted SMS, in line, and nobody there to take them."""
    rules = CodeRules(expire_s=bench.settings.sms_expire_s, enforce=False)
    codes = CodeService(
        store=CodeStore(bench.redis, rules),
        rules=rules,
        ring=bench.settings.ring("CODE_KEYS"),
        fixed=FixedCodes(),
        tagger=Tagger(await MetaStore(bench.mongo).shared_key("mobile_tag")),
        events=EventBus(bench.redis, clock=bench.clock),
        metrics=Metrics(),
    )
    jobs = JobStore(bench.redis)

    async def put(number: int) -> None:
        send = await codes.issue(codes.plan(f"154{number:08d}", None), "register", locale="zh_CN")
        await jobs.enqueue(send.owner, {"transaction": send.transaction, "mobile": send.mobile, "name": send.name})

    for start in range(0, JOBS, 200):
        await asyncio.gather(*map(put, range(start, start + 200)))


async def drain(bench: Ground) -> Figures:
    """A long queue worked off through a vendor that takes its time."""
    await bench.redis.each("FLUSHALL")
    await fill(bench)
    async with bench.services() as services:
        accepted = services.metrics.outcomes.labels("yuntongxun", "accepted")
        return await rate("drain", partial(until, lambda: accepted._value.get() >= JOBS))


async def bare(bench: Ground) -> Figures:
    """The same requests to the vendor, and nothing else: no queue, no code, nobody told."""
    http, left = VendorHttp(), iter(range(JOBS))
    (route,) = make_routes(["yuntongxun"], bench.settings.sms_options, http=http, clock=bench.clock, sandboxes={})

    async def post() -> None:
        for number in left:
            await route.provider.send(
                Sms(f"bare{number}", f"154{number:08d}", "register", "000000", 5, "", "", "", "", "zh_CN")
            )

    async def all_of_them() -> None:
        await asyncio.gather(*(post() for _ in range(IN_FLIGHT)))

    figures = await rate("bare", all_of_them)
    await http.aclose()
    return figures


async def rate(name: str, work: Callable[[], Awaitable[None]]) -> Figures:
    """JOBS by second and CPU while `work` lasts, and how late the loop is meanwhile."""
    lags: list[float] = []
    probing = asyncio.create_task(probe(lags))
    began, cpu = time.perf_counter(), time.process_time()
    await work()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    probing.cancel()
    with suppress(asyncio.CancelledError):
        await probing
    return percentiles(f"{name}_lag", lags) | {f"{name}_per_s": JOBS / seconds, f"{name}_cpu_us": cpu / JOBS * 1e6}


async def probe(lags: list[float]) -> None:
    """How much later than asked for the loop comes round."""
    while True:
        asked = time.perf_counter() + LAG_PROBE_S
        await asyncio.sleep(LAG_PROBE_S)
        lags.append(time.perf_counter() - asked)


async def until(done: Callable[[], bool]) -> None:
    """Look every few ms."""
    while not done():
        await asyncio.sleep(LAG_PROBE_S)


def percentiles(name: str, seconds: list[float]) -> Figures:
    """The median and the 99th percentile, in ms."""
    cuts = statistics.quantiles(seconds, n=100)
    return {f"{name}_p50_ms": cuts[49] * 1000, f"{name}_p99_ms": cuts[98] * 1000}


@contextmanager
def stand_in(beside: set[int]) -> Iterator[dict[str, str]]:
    """A vendor in a process of its own; the settings for it."""
    command = [sys.executable, "-m", "tests.vendors", "yuntongxun", "--latency-ms", str(LATENCY_MS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if beside:
            os.sched_setaffinity(process.pid, beside)
        port = int(process.stdout.readline().rpartition(":")[2].partition("/")[0])
        try:
            yield STAND_INS["yuntongxun"](port=port).environ() | {"SMS_YUNTONGXUN_RATE": "1000000"}
        finally:
            process.kill()


@asynccontextmanager
async def opened(core: set[int], beside: set[int], silent: TextIO) -> AsyncIterator[Ground]:
    """Stores and vendor on the other cores, this process on its own."""
    load_texts()
    set_up_logs("json", silent)
    given = {name: os.environ[name] for name in ("MONGO_URL", "MONGO_DRIVER", "REDIS_URL") if name in os.environ}
    given |= {"SMS_PROVIDERS": "yuntongxun", "SMS_EXPIRE_S": "3600", "LIMITS": "observe", "CAPTCHA_PROVIDER": "none"}
    if beside:
        os.sched_setaffinity(0, beside)
    with stand_in(beside) as vendor, tempfile.TemporaryDirectory(prefix="haoma-bench-") as var_dir:
        settings, clock = Settings.from_env(given | vendor | {"VAR_DIR": var_dir}), Clock()
        async with open_stores(settings, clock) as (mongo, redis, _):
            if core:
                os.sched_setaffinity(0, core)
            yield Ground(settings, mongo, redis, clock)


async def figures() -> Figures:
    """All figures."""
    core, beside = cores()
    with Path(os.devnull).open("w", encoding="utf-8") as silent:
        async with opened(core if beside else set(), beside, silent) as bench:
            return await idle(bench) | await bare(bench) | await drain(bench)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(figures())))

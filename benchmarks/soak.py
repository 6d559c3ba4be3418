"""One server for an hour: pages that stay, come and go, checks and SMS all the while. Is it flat at the end?

A line every ten seconds, all of them as JSON in var/; status 1 if memory, tasks or descriptors grew.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import statistics
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from time import perf_counter

import uvloop

from benchmarks import load, messages, processes, servers
from benchmarks.__main__ import raise_file_limit
from benchmarks.clients import SocketClient
from benchmarks.machine import machine
from benchmarks.processes import ROOT, Server
from tests.helpers import RestClient

SAMPLE_S = 10
LEAVE_A_SECOND = 5
SMS_A_SECOND = 0.5
MEMORY_AN_HOUR, MEMORY_KIB = 0.01, 2048  # it may grow by the larger of the two
COUNT = 2 * LEAVE_A_SECOND  # so many tasks or descriptors more are pages that come and go
SETTLE_S = 10
NEVER_S = 30
_SMS = b'{"type":"sms.send","id":8,"data":{"mobile":"154%08d","purpose":"register"}}'


@dataclass(frozen=True)
class Sample:
    """What was seen in some seconds; lost are pages that the server closed."""

    minute: float
    rss_kib: int
    descriptors: int
    tasks: int
    pages: int
    checks: int
    check_p99_ms: float
    lag_p99_ms: float
    sms: int
    wrong: int
    lost: int


class Page(SocketClient):
    """A page that is asked to do something now and then, and may leave."""

    waiting = left = lost = False
    queued = 0

    def ask(self, since: float = 0) -> None:
        """Unless it still waits; an answer that never comes is a wrong one."""
        if not self.waiting:
            self.waiting = True
            super().ask(since)
        elif perf_counter() - self._sent > NEVER_S:
            self.wrong += 1

    def take(self, answer: bytes) -> None:
        if b'"id":8' in answer:
            self.queued += b'"sms.queued"' in answer
            self.wrong += b'"sms.queued"' not in answer
        elif b'"id":7' in answer:
            self.waiting = False
            super().take(answer)
        elif b'"id":null' not in answer:
            super().take(answer)  # a ping

    def leave(self) -> None:
        """One in two without a word."""
        self.left = True
        random.choice((self.transport.close, self.transport.abort))()  # type: ignore[attr-defined]

    def connection_lost(self, fault: Exception | None) -> None:
        super().connection_lost(fault)
        self.lost = not self.left


class Crowd:
    """All pages; their number stays the same."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._messages = messages.checks()
        self._pages: deque[Page] = deque()
        self._gone: list[Page] = []
        self.over = False
        self._number = itertools.count(random.randrange(10**7))

    async def come(self, count: int) -> None:
        """So many more, each with its first check."""
        self._pages += await load.pages(Page, self._port, count, self._messages, b'"available":true')

    async def check(self) -> None:
        """The page whose turn it is asks for a number."""
        self._pages.rotate(-1)
        self._pages[-1].ask()

    async def send_sms(self) -> None:
        """Its steps and its countdown are then pushed to that page."""
        random.choice(self._pages).transport.write(messages.frame(_SMS % next(self._number)))

    async def replace(self) -> None:
        """Any page leaves, and another one comes."""
        number = random.randrange(len(self._pages))
        page = self._pages[number]
        del self._pages[number]
        page.leave()
        self._gone.append(page)
        await self.come(1)

    def leave(self) -> None:
        """All of them."""
        self._gone += self._pages
        self._pages.clear()
        for page in self._gone:
            page.leave()

    def told(self) -> tuple[list[float], int, int, int]:
        """Since this was last asked: times of checks, SMS, wrong answers, pages lost."""
        pages = [*self._pages, *self._gone]
        times = sorted(time for page in pages for time in page.times)
        told = times, *(sum(getattr(page, name) for page in pages) for name in ("queued", "wrong", "lost"))
        for page in pages:
            page.times, page.queued, page.wrong, page.lost = [], 0, 0, False
        self._gone.clear()
        return told


class Watch:
    """Looks at the server from outside."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rest = RestClient(server.port)
        self._began = perf_counter()
        self._lags: dict[float, float] = {}

    async def sample(self, crowd: Crowd) -> Sample:
        """Memory first: the text of /metrics is memory too."""
        rss, descriptors = self._server.rss_kib(), self._server.descriptors()
        text = (await self._rest.get("/metrics")).body.decode()
        times, sms, wrong, lost = crowd.told()
        return Sample(
            minute=round((perf_counter() - self._began) / 60, 2),
            rss_kib=rss,
            descriptors=descriptors,
            tasks=_metric(text, "haoma_loop_tasks"),
            pages=_metric(text, "haoma_pages_open"),
            checks=len(times),
            check_p99_ms=round(statistics.quantiles(times, n=100)[98] * 1000, 2) if len(times) > 1 else 0,
            lag_p99_ms=self._lag_p99_ms(text),
            sms=sms,
            wrong=wrong,
            lost=lost,
        )

    def _lag_p99_ms(self, text: str) -> float:
        """At most so much: the bound of its bucket."""
        found = re.findall(r'^haoma_loop_lag_seconds_bucket\{le="(.+)"\} (\S+)$', text, re.MULTILINE)
        lags = {float(bound): float(count) for bound, count in found}
        fresh = {bound: count - self._lags.get(bound, 0) for bound, count in lags.items()}
        self._lags = lags
        return next(bound * 1000 for bound, count in fresh.items() if count >= 0.99 * fresh[float("inf")])

    def close(self) -> None:
        """Look no more."""
        self._rest.close()


def _metric(text: str, name: str) -> int:
    (value,) = re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)
    return int(float(value))


def growth(samples: Sequence[Sample], of: str) -> tuple[float, float]:
    """Over the last three quarters, by the line of least squares: in all, and as a part of the mean in an hour."""
    late = samples[len(samples) // 4 :]
    minutes, values = [one.minute for one in late], [float(getattr(one, of)) for one in late]
    slope = statistics.linear_regression(minutes, values).slope
    return slope * (minutes[-1] - minutes[0]), slope * 60 / statistics.fmean(values)


def judge(samples: Sequence[Sample], before: Sample, after: Sample) -> list[str]:
    """What is not flat or went wrong; prints what it looked at."""
    broken = []
    for of in ("rss_kib", "tasks", "descriptors"):
        total, an_hour = growth(samples, of)
        print(f"{of:12} grew by {total:8.1f} over the last three quarters, {an_hour:7.2%} an hour")
        flat = an_hour <= MEMORY_AN_HOUR or total <= MEMORY_KIB if of == "rss_kib" else total <= COUNT
        broken += [] if flat else [f"{of} grew by {total:.1f}"]
    for of in ("tasks", "descriptors", "pages"):
        first, last = getattr(before, of), getattr(after, of)
        print(f"{of:12} {first} before the first page, {last} after the last one")
        broken += [f"{of} stayed: {first}, {last}"] if last > first + COUNT else []
    wrong, lost = (sum(getattr(one, of) for one in samples) for of in ("wrong", "lost"))
    return broken + [f"{wrong} wrong answers, {lost} pages lost"] * bool(wrong or lost)


async def soak(asked: argparse.Namespace, record: Callable[[Sample], None]) -> list[str]:
    """What is not flat, after so many minutes."""
    core, others = processes.cores()
    if others:
        os.sched_setaffinity(0, others)
    async with servers.haoma(core) as server:
        watch, crowd = Watch(server), Crowd(server.port)
        await crowd.come(asked.pages)
        before = await _empty(watch, crowd)  # the pools are as large now as they get
        record(before)
        await crowd.come(asked.pages)
        paces = [(asked.checks, crowd.check), (LEAVE_A_SECOND, crowd.replace), (SMS_A_SECOND, crowd.send_sms)]
        tasks = [asyncio.create_task(_pace(crowd, *pace)) for pace in paces]
        samples = []
        for _ in range(int(asked.minutes * 60 / SAMPLE_S)):
            await asyncio.wait(tasks, timeout=SAMPLE_S, return_when=asyncio.FIRST_EXCEPTION)
            samples.append(await watch.sample(crowd))
            record(samples[-1])
        crowd.over = True
        await asyncio.gather(*tasks)
        after = await _empty(watch, crowd)
        record(after)
        watch.close()
    return judge(samples, before, after)


async def _empty(watch: Watch, crowd: Crowd) -> Sample:
    """The server without pages."""
    crowd.leave()
    await asyncio.sleep(SETTLE_S)
    return await watch.sample(crowd)


async def _pace(crowd: Crowd, per_second: float, act: Callable[[], Coroutine[None, None, None]]) -> None:
    began, done = perf_counter(), 0
    while not crowd.over:
        while not crowd.over and done < (perf_counter() - began) * per_second:
            await act()
            done += 1
        await asyncio.sleep(min(0.1, 1 / per_second))


def main() -> int:
    """Print as it goes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--checks", type=int, default=200, help="a second, over all pages")
    asked = parser.parse_args()
    raise_file_limit()
    began = datetime.now()
    path = ROOT / "var" / f"soak-{began:%Y%m%d-%H%M%S}.jsonl"
    path.parent.mkdir(exist_ok=True)
    print(f"{began:%Y-%m-%d}; {machine()}; {asked.pages} pages, {asked.checks} checks/s; {path}")
    print("  ".join(Sample.__annotations__))

    def record(sample: Sample) -> None:
        with path.open("a") as lines:
            lines.write(json.dumps(asdict(sample)) + "\n")
        print("  ".join(f"{value!s:>{len(name)}}" for name, value in asdict(sample).items()), flush=True)

    broken = uvloop.run(soak(asked, record))
    print("NOT FLAT: " + "; ".join(broken) if broken else "flat")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

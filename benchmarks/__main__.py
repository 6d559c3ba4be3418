"""Runs the measurements and prints one table. Where a figure has a target, its row names it."""

import argparse
import asyncio
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import uvloop

from benchmarks import accounts, delivery, load, monitor, registry, servers
from benchmarks.load import HttpClient, Sample, SocketClient
from benchmarks.servers import Server

PAGES = 2_000
BUSY = 0.9  # of a core; a server that had less was kept waiting
MEASUREMENTS = ("ws", "http", "memory", "sms", "accounts", "monitor")
NAMES = ("Haoma", "bare Tornado")


@dataclass
class Rounds:
    """All rounds of one server."""

    samples: list[Sample] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def add(self, sample: Sample, cpu_s: float, seconds: float) -> None:
        """One more round, in which the server used so much CPU."""
        self.samples.append(sample)
        self.cpu_us.append(cpu_s / (sample.per_second * seconds) * 1e6)
        self.busy.append(cpu_s / seconds)

    def median(self, of: Callable[[Sample], float]) -> float:
        """Of one figure, over the rounds."""
        return statistics.median(of(sample) for sample in self.samples)


Row = tuple[str, ...]


async def measure(asked: argparse.Namespace) -> list[Row]:
    """Start both servers and put them under the same load in turns."""
    server_core, other_cores = servers.cores()
    if other_cores:
        os.sched_setaffinity(0, other_cores)
    elif server_core:
        print("Only one core here: server and load share it.", file=sys.stderr)
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        pair = [await stack.enter_async_context(start(server_core)) for start in (servers.haoma, servers.bare)]
        # Memory first: what the rounds leave behind in the allocator would hide what a page takes.
        if "memory" in asked.only:
            rows += await pages(pair)
        if "ws" in asked.only:
            messages = [(load.checks(), b'"available":true'), (load.checks(), b'"mobile":"154')]
            rows += await throughput("websocket `mobile.check`", SocketClient, pair, messages, asked)
        if "http" in asked.only:
            messages = [(load.gets(server.port), b'"available":true') for server in pair]
            rows += await throughput("`GET /user/mobile/<mobile>/`", HttpClient, pair, messages, asked)
    if "accounts" in asked.only:
        async with servers.haoma(server_core) as server:
            rows += apart(await accounts.figures(server))
    if "monitor" in asked.only:
        async with servers.two(server_core) as (both, settings):
            rows += watched(await monitor.figures(both, settings))
    if "registry" in asked.only:
        rows += registered(await servers.figures("benchmarks.registry"))
    if "sms" in asked.only:
        rows += sms(await servers.figures("benchmarks.delivery"))
    return rows


def registered(has: dict[str, float]) -> list[Row]:
    """The figures of `benchmarks/registry.py`."""
    size = f"100 million numbers in {registry.BLOCKS:,} blocks"
    return [
        (f"{size}: memory of Redis", f"{has['memory_mb']:,.0f} MB", "", ""),
        (f"{size}: bytes a number, a block", f"{has['bytes_a_number']:.1f}, {has['bytes_a_block']:,.0f}", "", ""),
        (f"{size}: written, blocks per second", f"{registry.BLOCKS / has['write_s']:,.0f}", "", ""),
        ("read from MongoDB, sparse blocks per second", f"{has['sparse_blocks_per_s']:,.0f}", "", ""),
        ("read from MongoDB, full blocks, numbers per second", f"{has['dense_per_s']:,.0f}", "", ""),
        *(
            (
                f"`mobile.check` of {which}, {when}: p99 (1.2 times that of an empty service)",
                f"{has[f'{load}_{key}_p99_ms']:.1f} ms",
                f"{has[f'{load}_none_p99_ms']:.1f} ms",
                f"{has[f'{load}_{key}_ratio']:.2f}",
            )
            for load, when in (("busy", "64 connections"), ("calm", "half load"))
            for key, which in (("full", "free numbers"), ("mixed", "any numbers"))
        ),
        ("CPU of Redis for each number", f"{has['full_redis_us']:.2f} µs", f"{has['none_redis_us']:.2f} µs", ""),
        (
            "`mobile.check` of free numbers, CPU for each",
            f"{has['full_cpu_us']:.0f} µs",
            f"{has['none_cpu_us']:.0f} µs",
            "",
        ),
    ]


def apart(has: dict[str, float]) -> list[Row]:
    """The figures of `benchmarks/accounts.py`."""
    crowd = f"`mobile.check` beside {accounts.LOGINS} logins under way (PW-7), p99 (50 ms)"
    operations = (("login", "login (PW-8)"), ("reset_send", "SMS for a reset"), ("reset", "reset (OTP-13)"))
    return [
        *(
            (
                f"{name}: known and unknown account apart, median of {accounts.PAIRS} (5 ms)",
                f"{has[f'{key}_apart_ms']:.2f} ms",
                "",
                "",
            )
            for key, name in operations
        ),
        (crowd, f"{has['check_p99_ms']:.1f} ms", "", ""),
        ("the same with no logins", f"{has['quiet_check_p99_ms']:.1f} ms", "", ""),
    ]


def watched(has: dict[str, float]) -> list[Row]:
    """The figures of `benchmarks/monitor.py`."""
    crowd = f"{monitor.PAGES:,} pages, {monitor.CHECKS_A_SECOND} checks/s, two processes"
    cost = has["cores_with"] - has["cores_without"]
    return [
        (f"{crowd}: the monitor's checks and the load's apart (2 %)", f"{has['checks_apart']:.2%}", "", ""),
        (f"{crowd}: the monitor's pages and the load's apart (2 %)", f"{has['pages_apart']:.2%}", "", ""),
        (f"{crowd}: {monitor.MONITORS} monitors cost, of a core (3 %)", f"{cost:.1%}", "", ""),
        (f"{crowd}: all of it without them, of a core", f"{has['cores_without']:.0%}", "", ""),
        (f"{crowd}: `mobile.check` p99", f"{has['check_p99_ms']:.1f} ms", "", ""),
    ]


def sms(has: dict[str, float]) -> list[Row]:
    """The figures of `benchmarks/delivery.py`, beside the same requests to the vendor with nothing around them."""
    queue = f"{delivery.JOBS:,} SMS to a vendor that takes {delivery.LATENCY_MS} ms"
    return [
        ("SMS put in line, p99 (at most 2 ms)", f"{has['enqueue_p99_ms']:.1f} ms", "", ""),
        ("idle: put in line until the vendor is called, p99 (10 ms)", f"{has['call_p99_ms']:.1f} ms", "", ""),
        (
            f"{queue}, per second (1,500)",
            f"{has['drain_per_s']:,.0f}",
            f"{has['bare_per_s']:,.0f}",
            f"{has['drain_per_s'] / has['bare_per_s']:.2f}",
        ),
        (
            f"{queue}, CPU for each",
            f"{has['drain_cpu_us']:.0f} µs",
            f"{has['bare_cpu_us']:.0f} µs",
            f"{has['bare_cpu_us'] / has['drain_cpu_us']:.2f}",
        ),
        (
            f"{queue}, loop late by, p99 (20 ms)",
            f"{has['drain_lag_p99_ms']:.1f} ms",
            f"{has['bare_lag_p99_ms']:.1f} ms",
            "",
        ),
    ]


async def throughput(
    what: str,
    kind: type[load.Client],
    pair: list[Server],
    messages: list[tuple[list[bytes], bytes]],
    asked: argparse.Namespace,
) -> list[Row]:
    """Rounds against ours and the bare one in turns, on connections that stay open."""
    clients = [
        await load.connect(kind, server.port, load.CONNECTIONS, *each)
        for server, each in zip(pair, messages, strict=True)
    ]
    seen = [Rounds(), Rounds()]
    for each in clients:
        await load.run(each, 1)
    for number in range(asked.rounds):
        for server, each, rounds in zip(pair, clients, seen, strict=True):
            before = server.cpu_s()
            sample = await load.run(each, asked.seconds)
            rounds.add(sample, server.cpu_s() - before, asked.seconds)
        ours, bare = (each.samples[-1].per_second for each in seen)
        print(f"{what}: round {number + 1} of {asked.rounds}: {ours:,.0f} to {bare:,.0f}", file=sys.stderr)
    for each in clients:
        await load.close(each)
    return table(what, *seen)


def table(what: str, ours: Rounds, bare: Rounds) -> list[Row]:
    """The rows of one measurement."""
    pairs = [(a.per_second / b.per_second) for a, b in zip(ours.samples, bare.samples, strict=True)]
    ratio = f"{statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})"
    wrong = sum(sample.wrong for rounds in (ours, bare) for sample in rounds.samples)
    if wrong:
        print(f"{what}: {wrong} answers were not what they should be", file=sys.stderr)
    both = (ours, bare)
    if any(0 < statistics.median(each.busy) < BUSY for each in both):
        print(f"{what}: a server did not have its core for itself; compare the CPU for each only", file=sys.stderr)
    return [
        (f"{what}, per second", *(f"{each.median(lambda s: s.per_second):,.0f}" for each in both), ratio),
        (f"{what}, p50", *(f"{each.median(lambda s: s.p50_ms):.1f} ms" for each in both), ""),
        (f"{what}, p99", *(f"{each.median(lambda s: s.p99_ms):.1f} ms" for each in both), ""),
        *_cpu_rows(what, ours, bare),
    ]


def _cpu_rows(what: str, ours: Rounds, bare: Rounds) -> list[Row]:
    """CPU of the servers alone. A server that had less than its whole core was kept waiting by something else."""
    ours_us, bare_us = (statistics.median(each.cpu_us) for each in (ours, bare))
    if not ours_us or not bare_us:
        return []
    busy = (f"{statistics.median(each.busy):.0%}" for each in (ours, bare))
    return [
        (f"{what}, CPU for each", f"{ours_us:.0f} µs", f"{bare_us:.0f} µs", f"{bare_us / ours_us:.2f}"),
        (f"{what}, of its core in use", *busy, ""),
    ]


async def pages(pair: list[Server]) -> list[Row]:
    """What the resident memory grows by for each open page that has said something."""
    each_kib = []
    for server in pair:
        warm_up = await load.connect(SocketClient, server.port, load.CONNECTIONS, load.pings(), b"")
        await load.ask_once(warm_up)
        await load.close(warm_up)
        before = server.rss_kib()
        clients = await load.connect(SocketClient, server.port, PAGES, load.pings(), b"")
        await load.ask_once(clients)
        await asyncio.sleep(1)
        each_kib.append((server.rss_kib() - before) / PAGES)
        await load.close(clients)
    print("memory: done", file=sys.stderr)
    return [(f"memory for each of {PAGES:,} open pages", *(f"{kib:.1f} KiB" for kib in each_kib), "")]


def machine() -> str:
    """What this ran on."""
    count = os.cpu_count()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{_cpu_model()}, {count} cores; {platform.system()} {platform.machine()}; {python}"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        return subprocess.check_output(["sysctl", "-n", "machdep.cpu.brand_string"], text=True).strip()
    return platform.processor() or "unknown CPU"


def show(rows: list[Row], asked: argparse.Namespace) -> None:
    """The table, aligned for a reader or as Markdown for the docs."""
    head = ("", *NAMES, "ratio")
    print(f"{date.today().isoformat()}; {machine()}")
    print(f"{load.CONNECTIONS} connections, one request in flight on each; median of {asked.rounds} rounds")
    print(f"of {asked.seconds:g} s, the two servers in turns on one core, the load and the stores beside it.\n")
    if asked.markdown:
        for row in (head, ("---", "---:", "---:", "---:"), *rows):
            print(f"| {' | '.join(row)} |")
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
    for first, *others in (head, *rows):
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join((first.replace("`", "").ljust(widths[0]), *cells)).rstrip())


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="length of a round (default: 4)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each server (default: 7)")
    parser.add_argument(
        "--only", choices=(*MEASUREMENTS, "registry"), nargs="+", default=MEASUREMENTS, help="these measurements"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table for the docs")
    return parser.parse_args(arguments)


def raise_file_limit() -> None:
    """5,000 pages are as many files here; servers inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = monitor.PAGES + 1_000
    wanted = needed if most == resource.RLIM_INFINITY else min(needed, most)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main() -> None:
    """Measure and print."""
    asked = parse()
    raise_file_limit()
    show(uvloop.run(measure(asked)), asked)


if __name__ == "__main__":
    main()

"""What the monitor costs, and whether what it shows is what happened: two processes, many pages, three who look."""

import asyncio
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import perf_counter, time
from typing import Any

from benchmarks import load, messages, servers, targets
from benchmarks.clients import Client, SocketClient
from benchmarks.processes import ROOT, Server
from benchmarks.rows import Row
from benchmarks.turns import Bench
from tests.helpers import PASSWORD, PageClient, RestClient

PAGES, CHECKS_A_SECOND, MONITORS = 5_000, 500, 3
_CHECKING = 32  # pages of each server that ask
_ROUND_S, _ROUNDS = 10, 4
_TOLD_S = 3  # by then each process has told
_OPERATOR = "15400000099"
Figures = dict[str, float]


async def measure(bench: Bench) -> list[Row]:
    """On servers of its own."""
    async with servers.two(bench.core) as (both, settings):
        return rows(await figures(both, settings))


def rows(has: Figures) -> list[Row]:
    """Its part of the table."""
    crowd = f"{PAGES:,} pages, {CHECKS_A_SECOND} checks/s, two processes"
    cost = (has["cores_with"] - has["cores_without"]) * 100
    apart = targets.MONITOR_APART
    return [
        Row(f"{crowd}: the monitor's checks and the load's apart", has["checks_apart"] * 100, "%", target=apart),
        Row(f"{crowd}: the monitor's pages and the load's apart", has["pages_apart"] * 100, "%", target=apart),
        Row(f"{crowd}: {MONITORS} monitors cost, of a core", cost, "%", target=targets.MONITOR_COST),
        Row(f"{crowd}: all of it without them, of a core", has["cores_without"] * 100, "%"),
        Row(f"{crowd}: `mobile.check` p99", has["check_p99_ms"], "ms"),
    ]


async def figures(pair: Sequence[Server], environ: dict[str, str]) -> Figures:
    """`checks_apart` and `pages_apart`: of what the load did, by which part the monitor was wrong; `cores`: CPU of
    both servers with the monitors beside without; `check_p99_ms` meanwhile."""
    token = await _operator(pair[0], environ)
    count, pings, checks = PAGES // 2 - _CHECKING, messages.pings(), messages.checks()
    idle = [await load.pages(SocketClient, server.port, count, pings) for server in pair]
    asking = [await load.connect(SocketClient, server.port, _CHECKING, checks, b"true") for server in pair]
    pages = [client for clients in asking for client in clients]
    with_, without = [], []
    asked = 0
    for _ in range(_ROUNDS):
        for watched, costs in ((False, without), (True, with_)):
            async with AsyncExitStack() as stack:
                monitors = [await _watch(stack, pair[n % 2], token) for n in range(MONITORS if watched else 0)]
                before = sum(server.cpu_s() for server in pair)
                asked += await _pace(pages, _ROUND_S)
                costs.append((sum(server.cpu_s() for server in pair) - before) / _ROUND_S)
                shown = await _shown(monitors[0]) if watched else {}
    times = sorted(time for client in pages for time in client.times)
    for clients in (*idle, *asking):
        await load.close(clients)
    return {
        "checks_apart": abs(shown["checks"] - asked) / asked,
        "pages_apart": abs(shown["pages"] - PAGES) / PAGES,
        "cores_with": statistics.median(with_),
        "cores_without": statistics.median(without),
        "check_p99_ms": statistics.quantiles(times, n=100)[98] * 1000,
    }


async def _operator(server: Server, environ: dict[str, str]) -> str:
    """Signs up, and is made one by the tool."""
    rest = RestClient(server.port)
    sent = (await rest.post("/user/sms/", {"mobile": _OPERATOR, "purpose": "register"})).body
    inbox: list[dict[str, str]] = []
    while not inbox:
        inbox = (await rest.get("/dev/inbox.json")).body
    form = {"mobile": _OPERATOR, "password": PASSWORD, "sms_code": inbox[0]["code"]}
    made = await rest.post("/user/", form | {"transaction": sent["transaction"]})
    tool = [sys.executable, "tools/make_admin.py", _OPERATOR]
    done = await asyncio.to_thread(
        subprocess.run, tool, cwd=ROOT, env=os.environ | environ | {"PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rest.close()
    return str(made.body["token"])


async def _watch(stack: AsyncExitStack, server: Server, token: str) -> PageClient:
    rest = RestClient(server.port)
    ticket = (await rest.post("/admin/ticket/", {}, Authorization=f"Bearer {token}")).body["ticket"]
    rest.close()
    page = await PageClient.open(server.port, path=f"/ws/admin?ticket={ticket}")
    stack.push_async_callback(page.close)
    await page.next_event("monitor.snapshot")
    return page


async def _pace(pages: list[Client], seconds: float) -> int:
    """So many checks a second, evenly; how many were answered."""
    before = sum(len(page.times) for page in pages)
    began, sent = perf_counter(), 0
    while (passed := perf_counter() - began) < seconds:
        while sent < passed * CHECKS_A_SECOND:
            pages[sent % len(pages)].ask()
            sent += 1
        await asyncio.sleep(0.002)
    async with asyncio.timeout(5):
        while sum(len(page.times) for page in pages) - before < sent:
            await asyncio.sleep(0.01)
    return sent


async def _shown(monitor: PageClient) -> dict[str, Any]:
    """What the monitor says: the pages of a tick that came after all, and the checks of a quarter of an hour."""
    after = time()
    tick = {"server_now": 0.0, "pages": 0}
    while tick["server_now"] < after + _TOLD_S:  # ticks of before still wait to be read
        tick = (await monitor.next_event("monitor.tick"))["data"]
    points = (await monitor.ask("monitor.series", range="15m"))["data"]["points"]
    return {"pages": tick["pages"], "checks": sum(point.get("checks", 0) for point in points)}

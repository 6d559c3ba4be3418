"""What an open page costs: the growth of resident memory for each one that has said something and is silent now."""

import asyncio

from benchmarks import load, messages, servers, targets
from benchmarks.clients import SocketClient
from benchmarks.processes import Server
from benchmarks.rows import Row
from benchmarks.turns import Bench

PAGES = 9_990  # just below what a process takes


async def measure(bench: Bench) -> list[Row]:
    """One server after the other."""
    async with servers.haoma(bench.core) as server:
        ours_kib = await _each_kib(server)
    async with servers.bare_tornado(bench.core) as server:
        tornado_kib = await _each_kib(server)
    return rows(ours_kib, tornado_kib)


async def _each_kib(server: Server) -> float:
    """Some come and go first, so that what the process keeps for itself is not counted."""
    await load.close(await load.pages(SocketClient, server.port, load.CONNECTIONS, messages.pings()))
    before = server.rss_kib()
    clients = await load.pages(SocketClient, server.port, PAGES, messages.pings())
    await asyncio.sleep(1)
    each_kib = (server.rss_kib() - before) / PAGES
    await load.close(clients)
    return each_kib


def rows(ours_kib: float, tornado_kib: float) -> list[Row]:
    """One figure each."""
    what = f"memory for each of {PAGES:,} idle pages, over the process's own"
    ratio = [tornado_kib / ours_kib]
    return [Row(what, ours_kib, "KiB", tornado_kib, "bare Tornado", ratio, targets.PAGE)]

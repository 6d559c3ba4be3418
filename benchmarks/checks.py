"""`mobile.check` over the websocket: what one page asks most often."""

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks import load, messages, servers, targets
from benchmarks.clients import HttpClient, SocketClient
from benchmarks.load import Sample
from benchmarks.rows import Row
from benchmarks.turns import Bench, Rival, Rounds, details, in_turns, rate

WHAT = "websocket `mobile.check`"


async def measure(bench: Bench) -> list[Row]:
    """All in turns, then ours at half of what it could, and the bare wire at the same pace: what that shows of delays
    is the machine's."""
    async with AsyncExitStack() as stack:
        rivals = await _rivals(stack, bench)
        seen = await in_turns(WHAT, rivals, bench)
        half = [await _half(rival, seen[0].per_second / 2, bench) for rival in (rivals[0], rivals[-1])]
    return rows(seen, *half)


async def _rivals(stack: AsyncExitStack, bench: Bench) -> list[Rival]:
    start = stack.enter_async_context
    ours, tornado = await start(servers.haoma(bench.core)), await start(servers.bare_tornado(bench.core))
    fastapi, django = await start(servers.fastapi_redis(bench.core)), await start(servers.django_drf(bench.core))
    wire = await start(servers.bare_wire(bench.core))
    checks, free = messages.checks(), b'"available":true'
    return [
        Rival("Haoma", ours, SocketClient, checks, free),
        Rival("bare Tornado echo", tornado, SocketClient, checks, b'"mobile":"154'),
        Rival("FastAPI + Redis", fastapi, SocketClient, checks, free),
        Rival("Django + DRF, REST", django, HttpClient, messages.gets(django.port), b'"ok"'),
        Rival("bare wire, echo", wire, SocketClient, checks, b'"mobile":"154'),
    ]


async def _half(rival: Rival, per_second: float, bench: Bench) -> list[Sample]:
    clients = await load.connect(rival.kind, rival.server.port, load.CONNECTIONS, rival.messages, rival.right)
    await load.pace(clients, per_second, 1)
    samples = [await load.pace(clients, per_second, bench.seconds) for _ in range(bench.rounds)]
    await load.close(clients)
    return samples


def rows(seen: Sequence[Rounds], half: Sequence[Sample], wire_half: Sequence[Sample]) -> list[Row]:
    """Haoma, bare Tornado, FastAPI, Django + DRF and the bare wire, in this order."""
    ours, tornado, fastapi, django, wire = seen
    p99_ms, wire_p99_ms = (statistics.median(sample.p99_ms for sample in each) for each in (half, wire_half))
    return [
        rate(WHAT, ours, tornado, targets.CHECK_TORNADO),
        rate(WHAT, ours, fastapi, targets.CHECK_FASTAPI),
        rate(WHAT, ours, django, targets.CHECK_DJANGO),
        rate(WHAT, ours, wire),
        *details(WHAT, ours, tornado, targets.CHECK_P99),
        *details(f"{WHAT} beside the wire alone", ours, wire)[1:],
        Row(f"{WHAT}, p99 at half load", p99_ms, "ms", wire_p99_ms, wire.name, target=targets.CHECK_HALF_P99),
    ]

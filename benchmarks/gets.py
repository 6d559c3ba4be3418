"""The same question over REST."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks import messages, servers, targets
from benchmarks.clients import HttpClient
from benchmarks.processes import Server
from benchmarks.rows import Row
from benchmarks.turns import Bench, Rival, Rounds, details, in_turns, rate

WHAT = "`GET /user/mobile/<mobile>/`"


async def measure(bench: Bench) -> list[Row]:
    """All in turns."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        rivals = [
            _rival("Haoma", await start(servers.haoma(bench.core))),
            _rival("bare Tornado", await start(servers.bare_tornado(bench.core))),
            _rival("FastAPI + Redis", await start(servers.fastapi_redis(bench.core))),
            _rival("Django + DRF", await start(servers.django_drf(bench.core)), b'"ok"'),
        ]
        return rows(await in_turns(WHAT, rivals, bench))


def _rival(name: str, server: Server, right: bytes = b'"available":true') -> Rival:
    return Rival(name, server, HttpClient, messages.gets(server.port), right)


def rows(seen: Sequence[Rounds]) -> list[Row]:
    """Haoma, bare Tornado, FastAPI and Django + DRF, in this order."""
    ours, tornado, fastapi, django = seen
    return [
        rate(WHAT, ours, tornado, targets.GET_TORNADO),
        rate(WHAT, ours, fastapi),
        rate(WHAT, ours, django),
        *details(WHAT, ours, tornado),
    ]

"""`sms.send`, accepted: the answer that an SMS is safely in line. Ours are sent, pushed and counted down as well, by
the same process; what is then still in line is worked off before the next has its turn."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks import messages, servers, targets
from benchmarks.clients import HttpClient, SocketClient
from benchmarks.rows import Row
from benchmarks.turns import Bench, Rival, Rounds, details, in_turns, rate

WHAT, REST = "websocket `sms.send`", "`POST /user/sms/`"
SETTINGS = {"SMS_BUDGET_DAY": "10000000", "SMS_BUDGET_MINUTE": "60000"}
BETTER_AUTH_PER_S = 1_440  # its send-otp on one core, measured once, elsewhere


async def measure(bench: Bench) -> list[Row]:
    """Over the websocket, then over REST, all in turns."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        ours, fastapi = (
            await start(servers.haoma(bench.core, **SETTINGS)),
            await start(servers.fastapi_redis(bench.core)),
        )
        django, right = await start(servers.django_drf(bench.core)), b'"transaction"'
        pages = [
            Rival("Haoma", ours, SocketClient, messages.sends(), right),
            Rival("FastAPI + Redis", fastapi, SocketClient, messages.sends(), right),
        ]
        posts = [
            Rival("Haoma", ours, HttpClient, messages.sends_by_post(ours.port), right),
            Rival("FastAPI + Redis", fastapi, HttpClient, messages.sends_by_post(fastapi.port), right),
            Rival("Django + DRF", django, HttpClient, messages.sends_by_get(django.port), b'"message"'),
        ]
        return rows(await in_turns(WHAT, pages, bench), await in_turns(REST, posts, bench))


def rows(by_page: Sequence[Rounds], by_post: Sequence[Rounds]) -> list[Row]:
    """Haoma and FastAPI by websocket; Haoma, FastAPI and Django + DRF over REST."""
    ours, fastapi = by_page
    elsewhere = [ours.per_second / BETTER_AUTH_PER_S]
    return [
        rate(WHAT, ours, fastapi, targets.SEND_FASTAPI),
        Row(
            f"{WHAT}, per second",
            ours.per_second,
            "/s",
            BETTER_AUTH_PER_S,
            "better-auth, elsewhere",
            elsewhere,
            targets.SEND_BETTER_AUTH,
        ),
        *details(WHAT, ours, fastapi),
        *(rate(REST, by_post[0], peer) for peer in by_post[1:]),
    ]

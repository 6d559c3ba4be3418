"""What a stranger can learn from the time an answer takes, and what a crowd that signs in does to everybody else."""

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Awaitable, Callable
from time import perf_counter

from benchmarks import servers, targets
from benchmarks.processes import Server
from benchmarks.rows import Row
from benchmarks.turns import Bench
from tests.helpers import PASSWORD, PageClient, RestClient

PAIRS = 200
LOGINS, CHECKING_PAGES, CHECK_EVERY_S, CROWD_S = 50, 10, 0.1, 10
# None of them is guessed at so often that its codes or passwords are closed.
_KNOWN = [f"154{place:08d}" for place in range(1, 41)]
Figures = dict[str, float]


async def measure(bench: Bench) -> list[Row]:
    """On a server of its own."""
    async with servers.haoma(bench.core) as server:
        return rows(await figures(server))


def rows(has: Figures) -> list[Row]:
    """Its part of the table."""
    crowd = f"`mobile.check` beside {LOGINS} logins under way (PW-7), p99"
    operations = (("login", "login (PW-8)"), ("reset_send", "SMS for a reset"), ("reset", "reset (OTP-13)"))
    apart = f"known and unknown account apart, median of {PAIRS}"
    return [
        *(Row(f"{name}: {apart}", has[f"{key}_apart_ms"], "ms", target=targets.APART) for key, name in operations),
        Row(crowd, has["check_p99_ms"], "ms", target=targets.LOGIN_CHECK_P99),
        Row("the same with no logins", has["quiet_check_p99_ms"], "ms"),
    ]


async def figures(server: Server) -> Figures:
    """`<operation>_apart_ms`: medians of a known and of an unknown account, apart; `check_p99_ms` beside the crowd,
    `quiet_check_p99_ms` without it."""
    rest = RestClient(server.port)
    for place, mobile in enumerate(_KNOWN):
        await _sign_up(rest, mobile, place)
    found = await _apart(rest)
    found["quiet_check_p99_ms"] = await _checks(server, 3)
    found["check_p99_ms"] = await _beside(_logins(server), lambda: _checks(server, CROWD_S))
    rest.close()
    return found


async def _sign_up(rest: RestClient, mobile: str, before: int) -> None:
    sent = (await rest.post("/user/sms/", {"mobile": mobile, "purpose": "register"})).body
    inbox: list[dict[str, str]] = []
    while len(inbox) <= before:
        inbox = (await rest.get("/dev/inbox.json")).body
    form = {"mobile": mobile, "password": PASSWORD, "sms_code": inbox[0]["code"], "transaction": sent["transaction"]}
    made = await rest.post("/user/", form)
    assert made.status == 201, made.body


async def _apart(rest: RestClient) -> Figures:
    """Known and unknown in turns, so that whatever else goes on meets both."""
    times: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for pair in range(PAIRS + 5):
        for known in (True, False) if pair % 2 else (False, True):
            mobile = _KNOWN[pair % len(_KNOWN)] if known else f"154{pair + 100:08d}"
            for name, seconds in (await _times(rest, mobile)).items():
                if pair >= 5:  # the first ones warm up
                    times[name, known].append(seconds * 1000)
    names = {name for name, _ in times}
    return {
        f"{name}_apart_ms": abs(statistics.median(times[name, True]) - statistics.median(times[name, False]))
        for name in names
    }


async def _times(rest: RestClient, mobile: str) -> dict[str, float]:
    """How long each of the three takes that must not tell an account from none."""
    taken: dict[str, float] = {}

    async def timed(name: str, path: str, body: dict[str, str]) -> dict[str, str]:
        began = perf_counter()
        answer = await rest.post(path, body)
        taken[name] = perf_counter() - began
        return dict(answer.body)

    sent = await timed("reset_send", "/user/sms/", {"mobile": mobile, "purpose": "reset"})
    code = {"sms_code": "000000", "transaction": sent["transaction"]}
    await timed("reset", "/user/password/reset/", {"mobile": mobile, "new_password": PASSWORD + "!"} | code)
    await timed("login", "/user/login/", {"account": mobile, "password": PASSWORD + "?"})
    return taken


async def _beside(crowd: "asyncio.Task[None]", measured: Callable[[], Awaitable[float]]) -> float:
    try:
        return await measured()
    finally:
        crowd.cancel()
        await asyncio.gather(crowd, return_exceptions=True)


def _logins(server: Server) -> "asyncio.Task[None]":
    """So many logins under way at any moment."""

    async def one(place: int) -> None:
        rest = RestClient(server.port)
        try:
            while True:
                await rest.post("/user/login/", {"account": f"154{place:08d}", "password": PASSWORD})
        finally:
            rest.close()

    async def crowd() -> None:
        await asyncio.gather(*(one(place) for place in range(LOGINS)))

    return asyncio.create_task(crowd())


async def _checks(server: Server, seconds: float) -> float:
    """p99 of `mobile.check`, in ms, on pages that ask at the pace of people who type."""
    pages = [await PageClient.open(server.port) for _ in range(CHECKING_PAGES)]
    times: list[float] = []

    async def types(page: PageClient, place: int) -> None:
        await asyncio.sleep(place * CHECK_EVERY_S / CHECKING_PAGES)
        for number in range(int(seconds / CHECK_EVERY_S)):
            began = perf_counter()
            await page.ask("mobile.check", mobile=f"1540{place:03d}{number:04d}")
            times.append((perf_counter() - began) * 1000)
            await asyncio.sleep(CHECK_EVERY_S)

    await asyncio.gather(*(types(page, place) for place, page in enumerate(pages)))
    for page in pages:
        await page.close()
    return statistics.quantiles(times, n=100)[98]

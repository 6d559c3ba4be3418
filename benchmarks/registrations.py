"""Accounts made, beside bcrypt alone in as many threads on the same core; and what a page feels meanwhile."""

import asyncio
import os
import statistics
from collections.abc import Sequence
from time import perf_counter

from benchmarks import load, messages, processes, servers, targets
from benchmarks.clients import SocketClient
from benchmarks.load import Sample
from benchmarks.rows import Row
from benchmarks.turns import Bench
from tests.helpers import PASSWORD, RestClient

COST, CODE = 12, "123456"
EACH_S = 5  # more hashes a second than a core of these days does
AT_ONCE = 8
CHECKING_PAGES, CHECKS_A_SECOND = 10, 100


async def measure(bench: Bench) -> list[Row]:
    """So many accounts, then as many hashes, in turns."""
    count = max(AT_ONCE, round(bench.seconds * EACH_S))
    mobiles = [f"1540000{place:04d}" for place in range(count * bench.rounds)]
    codes = ",".join(f"{mobile}={CODE}" for mobile in mobiles)
    ours_s, bare_s, checks = [], [], []
    bcrypt = ("benchmarks/peers/bare_bcrypt.py", bench.core, str(COST), str(os.cpu_count()))  # threads as ours has
    settings = {"BCRYPT_COST": str(COST), "TEST_MOBILES": codes}
    async with servers.haoma(bench.core, **settings) as server, processes.helper(*bcrypt) as bare:
        rest = RestClient(server.port)
        pages = await load.connect(SocketClient, server.port, CHECKING_PAGES, messages.checks(), b'"available":true')
        for start in range(0, len(mobiles), count):
            forms = [await _form(rest, mobile) for mobile in mobiles[start : start + count]]
            await server.rests()
            seconds, sample = await _register(rest, forms, pages)
            ours_s.append(seconds)
            checks.append(sample)
            bare_s.append(float(await bare.ask(str(count))))
        rest.close()
        await load.close(pages)
    return rows(count, ours_s, bare_s, checks)


async def _form(rest: RestClient, mobile: str) -> dict[str, str]:
    """All that an account needs; the number is one whose code is known."""
    sent = await rest.post("/user/sms/", {"mobile": mobile, "purpose": "register"})
    form = {"mobile": mobile, "password": PASSWORD, "sms_code": CODE}
    return form | {"transaction": sent.body["transaction"]}


async def _register(
    rest: RestClient, forms: Sequence[dict[str, str]], pages: list[SocketClient]
) -> tuple[float, Sample]:
    """How long all of them took, and the checks of pages for as long."""
    left = iter(forms)

    async def one_after_the_other() -> None:
        for form in left:
            made = await rest.post("/user/", form)
            assert made.status == 201, made.body

    began = perf_counter()
    crowd = asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    checks = asyncio.create_task(load.pace(pages, CHECKS_A_SECOND, beside=crowd))
    await crowd
    return perf_counter() - began, await checks


def rows(count: int, ours_s: Sequence[float], bare_s: Sequence[float], checks: Sequence[Sample]) -> list[Row]:
    """Seconds of each round, and the checks beside them."""
    ratios = [bare / ours for ours, bare in zip(ours_s, bare_s, strict=True)]
    ours, bare = (count / statistics.median(seconds) for seconds in (ours_s, bare_s))
    p99_ms = statistics.median(sample.p99_ms for sample in checks)
    return [
        Row("registrations, per second", ours, "/s", bare, "bare bcrypt", ratios, targets.REGISTER_BCRYPT),
        Row("`mobile.check` meanwhile, p99", p99_ms, "ms", target=targets.REGISTER_CHECK_P99),
    ]

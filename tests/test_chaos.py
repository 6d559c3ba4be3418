"""Short forms of `python -m tests.chaos`, and a stop in the middle of sends."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import kills, races, vendor_death
from tests.chaos.traffic import Traffic
from tests.chaos.world import new_seed, open_servers, open_stores, vendor_settings
from tests.vendors import YuntongxunStandIn

pytestmark = pytest.mark.gen_test(timeout=90)
SENDS = 50


FIRST = {"mobile": "15400000001", "key": "k1", "at": 100.0}
SENT = {"status": "accepted", "can_resend": False}
FAILED = {"status": "failed", "can_resend": True}


@pytest.mark.parametrize(
    ("state", "orders", "kill", "broken"),
    [
        (SENT, [FIRST], 200, False),
        (SENT, [FIRST, FIRST | {"at": 110.5}], 100.2, False),
        (FAILED, [], 200, False),
        (FAILED, [FIRST], 100.2, False),
        (SENT, [], 200, True),
        ({}, [FIRST], 200, True),
        (FAILED, [FIRST], 200, True),
        (FAILED | {"can_resend": False}, [], 200, True),
        (SENT, [FIRST, FIRST | {"at": 110.5}], 200, True),
        (SENT, [FIRST, FIRST | {"at": 109.5}], 100.2, True),
        (SENT, [FIRST, FIRST | {"at": 110.5, "key": "k2"}], 100.2, True),
    ],
)
async def test_the_judge_of_kills_is_strict(
    state: dict[str, Any], orders: list[dict[str, Any]], kill: float, broken: bool
) -> None:
    """Lost, sent twice without a kill, too early or under another key, failed but sent, or failed and not released:
    each breaks the promise."""
    send = kills.Send("15400000001", "t", killed_at=kill, settled_at=kill + 1 if state else 0, state=state)
    assert bool(kills.judge([send], orders, [kill]).broken) == broken


async def test_pr_1_what_was_acknowledged_survives_kill_nine(tmp_path: Path) -> None:
    """Eight kills, most of them in the middle of a call: nothing is lost, nothing is sent twice without reason."""
    seed = new_seed()
    table = await kills.run(tmp_path, rounds=8, seed=seed, longest_wait_s=0.06)
    assert table.broken == [], f"seed {seed}\n{table}"


async def test_pv_2_all_arrive_though_a_vendor_dies(tmp_path: Path) -> None:
    """It refuses connections from the middle on: the other one sends, the breaker opens, and closes by a probe."""
    table = await vendor_death.run(tmp_path, sends=60, mode="refuse")
    assert table.broken == [], str(table)


async def one_race(directory: Path, race: str) -> None:
    """A dozen rounds; `make chaos ARGS=races` runs two hundred."""
    table = await races.run(directory, race=race, rounds=12)
    assert table.broken == [], str(table)


async def test_rc_1_of_four_who_register_one_number_one_gets_it(tmp_path: Path) -> None:
    """And only his password signs in."""
    await one_race(tmp_path, "RC-1")


async def test_rc_2_of_eight_uses_of_one_code_one_succeeds(tmp_path: Path) -> None:
    """Whichever process they reach."""
    await one_race(tmp_path, "RC-2")


async def test_rc_3_of_twenty_sends_to_one_number_one_is_accepted(tmp_path: Path) -> None:
    """The others are told to wait."""
    await one_race(tmp_path, "RC-3")


async def test_rc_4_a_number_that_is_registered_and_moved_to_has_one_holder(tmp_path: Path) -> None:
    """And the loser keeps what he had."""
    await one_race(tmp_path, "RC-4")


async def test_rc_5_no_session_of_the_old_password_survives_its_change(tmp_path: Path) -> None:
    """Opened or refreshed in that very moment."""
    await one_race(tmp_path, "RC-5")


async def test_rc_6_of_an_old_and_a_new_code_one_works(tmp_path: Path) -> None:
    """Never both."""
    await one_race(tmp_path, "RC-6")


async def test_rc_7_no_session_outlives_its_account_s_end(tmp_path: Path) -> None:
    """Refreshed or opened in that very moment."""
    await one_race(tmp_path, "RC-7")


async def test_pr_3_sigterm_in_the_middle_of_fifty_sends_loses_none_and_repeats_none(tmp_path: Path) -> None:
    """Some are with the vendor, some wait for its rate: this process or the next one brings them to their end."""
    async with YuntongxunStandIn() as vendor, open_stores(tmp_path) as stores:
        vendor.behave(latency_s=0.5)
        settings = stores | vendor_settings({vendor.name: vendor.port}, rate=25)
        async with open_servers(tmp_path, 2, settings) as servers:
            traffic = Traffic(servers)
            await traffic.run(SENDS, per_second=200)
            while not vendor.taken:
                await asyncio.sleep(0.01)
            assert len(vendor.taken) < SENDS / 2
            assert await servers[1].stop() == 0
            await traffic.settle()
        assert {ask.state["status"] for ask in traffic.asks} == {"accepted"}
        assert Counter(taken.mobile for taken in vendor.taken) == {ask.mobile: 1 for ask in traffic.asks}

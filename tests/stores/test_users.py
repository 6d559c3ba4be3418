"""The unique index is the truth, and it stands before anybody can register."""

import asyncio
from typing import Any

import pytest

from server.container import StartFault, open_services
from server.stores.mongo import Mongo
from server.stores.redis import Redis
from tests.conftest import Stack
from tests.helpers import MOBILE, FakeClock, on_both_drivers

pytestmark = [pytest.mark.gen_test(timeout=30), on_both_drivers]


def _user(number: int, **change: str) -> dict[str, Any]:
    about = {"mobile": MOBILE, "username": f"hm_{number}", "transaction": f"t{number}", "password": "x"}
    return {"_id": f"u{number}"} | about | change


async def _start_over(stack: Stack) -> None:
    """Start a second service on the data of the first."""
    clock = FakeClock()
    redis = Redis(stack.settings.redis_url, clock=clock)
    mongo = Mongo(stack.settings.mongo_url, stack.settings.mongo_driver)
    try:
        async with open_services(stack.settings, mongo=mongo, redis=redis, clock=clock):
            pass
    finally:
        await redis.aclose()
        await mongo.aclose()


async def test_st_7_two_users_cannot_hold_one_number(stack: Stack) -> None:
    """Nor one transaction; 30 inserts at once make one user."""
    users = stack.users
    done = await asyncio.gather(*(users.insert(_user(number)) for number in range(30)))
    assert done.count(True) == 1
    assert await users.insert(_user(31, mobile="15400000002", transaction="t31"))
    assert not await users.insert(_user(32, mobile="15400000003", transaction="t31"))
    assert await users.get(mobile="15400000002") is not None
    assert await users.get(mobile="15400000009") is None


async def test_st_7_duplicates_in_old_data_stop_the_start_with_a_masked_list(stack: Stack) -> None:
    """Never "build failed, go on"."""
    users = stack.mongo.db.users
    await users.drop_index("mobile_1")
    for number in (1, 2):
        await users.insert_one(_user(number))
    with pytest.raises(StartFault, match=r"more than one user holds \(1\): 154\*\*\*\*0001"):
        await _start_over(stack)


@pytest.mark.parametrize(
    "variant",
    [{}, {"unique": True, "sparse": True}, {"unique": True, "partialFilterExpression": {"active": True}}],
    ids=["not unique", "sparse", "partial"],
)
async def test_st_7_an_index_that_only_looks_like_ours_stops_the_start(stack: Stack, variant: dict[str, Any]) -> None:
    """One that would let a second holder in is no protection."""
    users = stack.mongo.db.users
    await users.drop_index("mobile_1")
    await users.create_index("mobile", **variant)
    with pytest.raises(StartFault):
        await _start_over(stack)


async def test_st_7_readiness_fails_when_the_index_is_gone(stack: Stack) -> None:
    """Whoever dropped it while we ran: no traffic until it is back."""
    rest = stack.rest()
    assert (await rest.get("/readyz")).status == 200
    await stack.mongo.db.users.drop_index("mobile_1")
    answer = await rest.get("/readyz")
    assert (answer.status, answer.body["waiting_for"]) == (503, ["mongo"])


async def test_api_5_an_operator_in_a_field_matches_nobody(stack: Stack) -> None:
    """Even past the schema a value is only ever compared."""
    users = stack.users
    await users.insert(_user(1))
    assert await users.get(mobile={"$ne": None}) is None  # type: ignore[arg-type]

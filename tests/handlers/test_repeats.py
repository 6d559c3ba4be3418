"""`Idempotency-Key` on what must not be done twice."""

import asyncio

import pytest

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD
from tests.people import code_for

pytestmark = pytest.mark.gen_test(timeout=30)
SEND = {"mobile": MOBILE, "purpose": "register"}


async def test_api_6_a_send_that_is_repeated_is_one_sms_and_one_transaction(stack: Stack) -> None:
    """The same key and body have the same result, and another key has its own."""
    rest = stack.rest()
    first = await rest.post("/user/sms/", SEND, Idempotency_Key="a")
    again = await rest.post("/user/sms/", SEND, Idempotency_Key="a")
    other = await rest.post("/user/sms/", SEND, Idempotency_Key="b")
    assert (first.status, again.status, other.status) == (202, 202, 429)
    assert first.body["transaction"] == again.body["transaction"]
    await stack.provider.nth(1)
    assert len(stack.provider.sent) == 1


async def test_api_6_a_registration_that_is_repeated_is_one_account(stack: Stack) -> None:
    """Whoever did not hear the answer hears it now, and is signed in."""
    rest = stack.rest()
    form = {"mobile": MOBILE, "password": PASSWORD} | await code_for(stack)
    first, again = [await rest.post("/user/", form, Idempotency_Key="k") for _ in range(2)]
    assert (first.status, again.status) == (201, 201)
    assert first.body["id"] == again.body["id"]
    assert "refresh=" in again.headers["Set-Cookie"]
    assert (await rest.post("/user/", form)).error["code"] == "mobile_taken"


async def test_api_6_another_body_is_refused(stack: Stack) -> None:
    """For ten minutes; what was refused may be tried anew with a better body."""
    rest = stack.rest()
    form = {"mobile": MOBILE, "password": PASSWORD} | await code_for(stack)
    assert (await rest.post("/user/", form | {"sms_code": "000000"}, Idempotency_Key="k")).status == 400
    assert (await rest.post("/user/", form, Idempotency_Key="k")).status == 201
    conflict = await rest.post("/user/", form | {"password": "another battery, staple"}, Idempotency_Key="k")
    assert (conflict.status, conflict.error["code"]) == (422, "idempotency_conflict")
    stack.clock.advance(601)
    assert (await rest.post("/user/", form, Idempotency_Key="k")).error["code"] == "mobile_taken"


async def test_api_6_two_at_once_are_one(stack: Stack) -> None:
    """The second is told to wait for the first, and then hears its result."""
    rest = stack.rest()
    form = {"mobile": MOBILE, "password": PASSWORD} | await code_for(stack)
    answers = await asyncio.gather(*(rest.post("/user/", form, Idempotency_Key="k") for _ in range(5)))
    assert sorted(answer.status for answer in answers)[0] == 201
    assert {answer.error["code"] for answer in answers if answer.status != 201} <= {"busy"}
    assert len({answer.body["id"] for answer in answers if answer.status == 201}) == 1
    assert await stack.mongo.db.users.count_documents({"mobile": MOBILE}) == 1


async def test_pr_2_api_6_what_was_begun_by_a_process_that_died_can_be_finished(stack: Stack) -> None:
    """The account is there, and nobody noted that: the same request with the same key tells so."""
    rest = stack.rest()
    form = {"mobile": MOBILE, "password": PASSWORD} | await code_for(stack)
    first = await rest.post("/user/", form, Idempotency_Key="k")
    ((name,),) = await stack.redis.each("KEYS", "repeat:*")
    await stack.redis.call("HDEL", name, "result")
    waits = await rest.post("/user/", form, Idempotency_Key="k")
    assert waits.error["code"] == "busy"
    stack.clock.advance(waits.error["params"]["retry_after"])
    again = await rest.post("/user/", form, Idempotency_Key="k")
    assert (again.status, again.body["id"]) == (201, first.body["id"])


@pytest.mark.parametrize("key", ["x" * 65, "é", "a\tb"])
async def test_api_6_a_key_of_another_shape_is_refused(stack: Stack, key: str) -> None:
    """Not passed over: whoever sent it relies on it."""
    answer = await stack.rest().post("/user/sms/", SEND, Idempotency_Key=key)
    assert (answer.status, answer.error["code"]) == (400, "request_invalid")


async def test_api_6_what_is_kept_says_nothing_of_the_body(stack: Stack) -> None:
    """No number, no password, no key in plain text."""
    rest = stack.rest()
    form = {"mobile": MOBILE, "password": PASSWORD} | await code_for(stack)
    await rest.post("/user/", form, Idempotency_Key="my-key")
    ((name,),) = await stack.redis.each("KEYS", "repeat:*")
    kept = str(await stack.redis.call("HGETALL", name)) + name
    assert not [part for part in (MOBILE, PASSWORD, "my-key", form["sms_code"]) if part in kept]

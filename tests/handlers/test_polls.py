"""The long poll: without a websocket, too, a page hears of its SMS as it happens."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, Answer, RestClient, ServerProcess, servers

pytestmark = pytest.mark.gen_test(timeout=60)
_BODY = {"mobile": MOBILE, "purpose": "register"}


async def sending(stack: Stack) -> dict[str, Any]:
    """The state of an SMS that the provider holds and does not answer."""
    stack.provider.gate.clear()
    rest = stack.rest()
    state = (await rest.post("/user/sms/", _BODY)).body
    while state["status"] != "sending":
        state = (await rest.get(poll_of(state, 20))).body
    return dict(state)


async def delivered(stack: Stack) -> dict[str, Any]:
    """The state of an SMS of which nothing more will come by itself."""
    rest = stack.rest()
    state = (await rest.post("/user/sms/", _BODY)).body
    while state["status"] != "delivered":
        state = (await rest.get(poll_of(state, 20))).body
    return dict(state)


def poll_of(state: dict[str, Any], wait: int) -> str:
    return f"/user/sms/{state['transaction']}/?after={state['seq']}&wait={wait}"


async def waiting(stack: Stack, count: int) -> None:
    """Until so many requests are held back."""
    async with asyncio.timeout(8):
        while len(stack.services.polls._waiting) != count:
            await asyncio.sleep(0)


def begin(stack: Stack, state: dict[str, Any], wait: int = 25) -> "asyncio.Task[Answer]":
    return asyncio.create_task(stack.rest().get(poll_of(state, wait)))


async def test_it_is_answered_by_the_next_step(stack: Stack) -> None:
    """Long before its time, with the step and its `seq`."""
    state = await sending(stack)
    poll = begin(stack, state)
    await waiting(stack, 1)
    stack.provider.gate.set()
    answer = await asyncio.wait_for(poll, 15)
    assert answer.status == 200
    assert answer.body["status"] == "delivered"
    assert answer.body["seq"] > state["seq"]


async def test_what_has_happened_already_is_answered_at_once(stack: Stack) -> None:
    """A page that missed a step asks with the `seq` it knows and is not held back; nor is one that would not wait."""
    state = await delivered(stack)
    for path in (poll_of(state | {"seq": state["seq"] - 1}, 20), poll_of(state, 0)):
        assert (await stack.rest().get(path)).body["status"] == "delivered"


async def test_without_news_it_answers_the_same_state_with_the_time_of_now(stack: Stack) -> None:
    """After `wait`, so that the page can set its countdown by `server_now`."""
    state = await delivered(stack)
    answer = await begin(stack, state, wait=1)
    assert answer.body["seq"] == state["seq"]
    assert answer.body["server_now"] >= state["server_now"] + 1
    assert answer.body["resend_at"] == state["resend_at"]


async def test_polls_of_one_sms_share_a_subscription_and_leave_nothing(stack: Stack) -> None:
    """Twenty of them are one watch, all hear the step, and none stays behind."""
    state = await sending(stack)
    asked = [begin(stack, state) for _ in range(20)]
    await waiting(stack, 20)
    countdowns, events = stack.services.countdowns, stack.services.countdowns._events
    assert [len(watch.watchers) for watch in countdowns._watches.values()] == [20]
    assert len(events._listeners[f"events:sms:{state['transaction'][:8]}"]) == 1
    stack.provider.gate.set()
    assert {answer.body["status"] for answer in await asyncio.gather(*asked)} == {"delivered"}
    async with asyncio.timeout(5):
        while countdowns._watches or countdowns._watched or stack.services.polls._waiting:
            await asyncio.sleep(0)


async def test_a_used_code_ends_it(stack: Stack) -> None:
    """The transaction is over, and who still waits for news of it is told at once that it is unknown."""
    rest, state = stack.rest(), await delivered(stack)
    poll = begin(stack, state)
    await waiting(stack, 1)
    form = {"mobile": MOBILE, "password": PASSWORD, "transaction": state["transaction"]}
    code = (await stack.provider.nth(1)).code
    assert (await rest.post("/user/", form | {"sms_code": code})).status == 201
    answer = await asyncio.wait_for(poll, 15)
    assert answer.status == 404
    assert answer.error["code"] == "transaction_unknown"


async def test_an_unknown_transaction_is_not_waited_for(rest: RestClient) -> None:
    """404, whatever `wait` says."""
    answer = await rest.get(f"/user/sms/0123abcd.{'A' * 22}/?after=0&wait=25")
    assert answer.status == 404
    assert answer.error["code"] == "transaction_unknown"


@pytest.mark.parametrize("query", ["after=0&wait=26", "after=-1&wait=1", "after=x&wait=1", "after=0&wait=1.5"])
async def test_it_waits_for_25_seconds_at_most(stack: Stack, query: str) -> None:
    """Any other `after` or `wait` than whole numbers in their range is refused."""
    state = await delivered(stack)
    answer = await stack.rest().get(f"/user/sms/{state['transaction']}/?{query}")
    assert answer.status == 400
    assert answer.error["code"] == "validation_failed"


async def test_a_store_that_fails_is_said(stack: Stack) -> None:
    """503 with a wait: neither "unknown" nor silence."""
    state = await delivered(stack)
    await stack.redis.call("CLIENT", "PAUSE", 3000, "ALL")
    answer = await begin(stack, state, wait=1)
    assert answer.status == 503
    assert answer.error["code"] == "unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    async with asyncio.timeout(8):
        while (await stack.rest().get("/readyz")).status != 200:
            pass


async def test_who_leaves_is_not_waited_for(stack: Stack) -> None:
    """A connection that closes ends its request here, too."""
    state = await delivered(stack)
    _, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(f"GET {poll_of(state, 25)} HTTP/1.1\r\nHost: 127.0.0.1:{stack.port}\r\n\r\n".encode())
    await waiting(stack, 1)
    writer.close()
    await waiting(stack, 0)
    await asyncio.wait_for(stack.dispatcher.idle(), 5)


async def test_where_too_many_wait_the_next_is_answered_at_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room is bounded, and without room the answer is only less fresh."""
    state = await delivered(stack)
    monkeypatch.setattr(stack.services.polls, "_room", 1)
    held = begin(stack, state)
    await waiting(stack, 1)
    assert (await begin(stack, state)).body["seq"] == state["seq"]
    assert not held.done()
    stack.services.polls.end()
    assert (await held).body["seq"] == state["seq"]


async def test_a_step_on_another_process_is_heard(tmp_path: Path) -> None:
    """The poll waits at one process, the wrong code is tried at the other."""
    async with servers(tmp_path / "var", 2) as (one, other):
        here, there = RestClient(one.port), RestClient(other.port)
        state = (await here.post("/user/sms/", _BODY)).body
        while state["status"] != "delivered":
            state = (await here.get(poll_of(state, 20))).body
        poll = asyncio.create_task(here.get(poll_of(state, 25)))
        code = (await there.get("/dev/inbox.json")).body[0]["code"]
        form = {"mobile": MOBILE, "password": PASSWORD, "transaction": state["transaction"]}
        wrong = "000000" if code != "000000" else "000001"
        assert (await there.post("/user/", form | {"sms_code": wrong})).status == 400
        assert (await asyncio.wait_for(poll, 15)).body["attempts_left"] == 4


async def test_pr_3_a_process_that_goes_away_answers_those_who_wait(tmp_path: Path) -> None:
    """With the state of now, instead of making the end wait for them."""
    server = await ServerProcess.start(tmp_path / "var")
    rest = RestClient(server.port)
    state = (await rest.post("/user/sms/", _BODY)).body
    while state["status"] != "delivered":
        state = (await rest.get(poll_of(state, 20))).body
    poll = asyncio.create_task(rest.get(poll_of(state, 25)))
    while b"haoma_polls_waiting 1.0" not in (await rest.get("/metrics")).body:
        pass
    assert await server.stop() == 0
    answer = await poll
    assert answer.status == 200
    assert answer.body["server_now"] < state["server_now"] + 20

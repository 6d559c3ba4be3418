"""The monitor's websocket: who gets in, what it shows, who is sent away."""

import asyncio
import json
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from server.errors import StoreUnavailable
from server.operations import OPERATIONS
from server.services.monitor import RECHECK_S
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, PageClient
from tests.people import OPERATOR, bearer, code_for, monitor, operator, seen_off, sign_up, ticket_for

pytestmark = pytest.mark.gen_test(timeout=30)
FOR_OPERATORS = [row for row in OPERATIONS.values() if row.role]
# What each act takes; a shape that is right, so that the role is what decides.
SHAPES: dict[str, dict[str, Any]] = {
    "monitor.user": {"mobile": MOBILE},
    "monitor.timeline": {"mobile": MOBILE},
    "monitor.series": {"range": "1h"},
    "provider.pause": {"name": "scripted"},
    "provider.resume": {"name": "scripted"},
    "block.add": {"kind": "prefix", "value": "1540000", "minutes": 1},
    "block.remove": {"kind": "prefix", "value": "1540000"},
    "user.disable": {"id": "x"},
    "user.enable": {"id": "x"},
    "user.end_sessions": {"id": "x"},
    "sms.retry": {"job": "x"},
    "sms.drop": {"job": "x"},
    "uniqueness.set": {"mode": "off"},
    "process.drain": {"id": "x"},
}


async def _refusal(stack: Stack, path: str, **headers: str) -> int:
    """The status of a handshake that is refused."""
    with pytest.raises(HTTPClientError) as refused:
        await PageClient.open(stack.port, path=path, **headers)
    return refused.value.code


async def test_ws_2_a_ticket_opens_the_monitor_once(stack: Stack) -> None:
    """Not one that was used, is late or invented; and an access token has no place in an address."""
    token = await operator(stack)
    ticket = await ticket_for(stack, token)
    page = await PageClient.open(stack.port, path=f"/ws/admin?ticket={ticket}")
    stack.clients.push_async_callback(page.close)
    assert (await page.next_event())["type"] == "monitor.snapshot"
    for wrong in (ticket, "", "x" * 32, token):
        assert await _refusal(stack, f"/ws/admin?ticket={wrong}") == 401
    assert await _refusal(stack, "/ws/admin", **bearer(token)) == 401
    late = await ticket_for(stack, token)
    ((key,),) = await stack.redis.each("KEYS", "ticket:*")
    assert late not in key
    assert 0 < await stack.redis.call("TTL", key) <= 30
    await stack.redis.call("EXPIRE", key, 0)
    assert await _refusal(stack, f"/ws/admin?ticket={late}") == 401


async def test_ws_2_only_a_role_gets_a_ticket_or_comes_in_by_it(stack: Stack) -> None:
    """Nobody without a token, nobody without a role, nobody who lost it since, no page of another site."""
    made = await sign_up(stack)
    rest = stack.rest()
    assert (await rest.post("/admin/ticket/", {})).error["code"] == "token_invalid"
    refused = await rest.post("/admin/ticket/", {}, **bearer(made.body["token"]))
    assert (refused.status, refused.error["code"], refused.error["params"]) == (
        403,
        "not_allowed",
        {"role": "viewer"},
    )
    token = await operator(stack)
    ticket = await ticket_for(stack, token)
    assert await _refusal(stack, f"/ws/admin?ticket={ticket}", Origin="https://evil.example") == 403
    assert await stack.services.admins.grant(OPERATOR, None)
    assert await _refusal(stack, f"/ws/admin?ticket={ticket}") == 403


async def test_ws_7_a_monitor_has_a_place_of_its_address_and_gives_it_back(stack: Stack) -> None:
    """When it is refused, and when it leaves."""
    token = await operator(stack)
    taken = stack.services.rooms._taken
    for _ in range(3):
        assert await _refusal(stack, "/ws/admin?ticket=invented") == 401
    assert len(taken) == 0
    page = await monitor(stack, token)
    assert len(taken) == 1
    await page.close()
    async with asyncio.timeout(8):
        while taken:
            await asyncio.sleep(0.005)


async def test_ws_2_the_role_is_asked_for_with_each_message(stack: Stack) -> None:
    """A viewer may look and do nothing; who lost the role may not even look; the page's socket knows none of it."""
    token = await operator(stack, "viewer")
    page = await monitor(stack, token)
    for row in FOR_OPERATORS:
        answer = await page.ask(row.name, **SHAPES.get(row.name, {}))
        allowed = answer["type"] == row.reply or answer["data"]["code"] in ("not_found", "job_gone")
        assert allowed == (row.role == "viewer"), row.name
        if row.role == "operator":
            assert answer["data"]["params"] == {"role": "operator"}
    ordinary = await stack.page()
    await ordinary.ask("session.authenticate", token=token)
    for row in FOR_OPERATORS:
        answer = await ordinary.ask(row.name, **SHAPES.get(row.name, {}))
        assert answer["data"]["code"] == "message_unknown", row.name
    assert (await page.ask("mobile.check", mobile=MOBILE))["data"]["code"] == "message_unknown"
    await stack.services.guard.aclose()  # nothing but the message itself finds it out
    await stack.mongo.db.users.update_one({"mobile": OPERATOR}, {"$unset": {"role": ""}})
    assert (await page.ask("block.list"))["data"]["code"] == "not_allowed"


async def test_ws_2_the_monitor_outlives_the_token_it_came_in_by(stack: Stack) -> None:
    """It ends with its session, not after a quarter of an hour."""
    page = await monitor(stack, await operator(stack))
    stack.clock.advance(1000)
    assert (await page.ask("block.list"))["type"] == "block.listed"
    await stack.services.monitor.recheck()
    assert (await page.next_event("monitor.tick"))["data"]["processes"]


async def test_ws_2_the_role_is_looked_at_each_minute(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself, not only when our tool says so."""
    waits: list[float] = []
    real = stack.clock.sleep

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)
        await real(0.01 if delay_s == RECHECK_S else delay_s)

    page = await monitor(stack, await operator(stack))
    monkeypatch.setattr(stack.clock, "sleep", sleep)
    await stack.services.monitor._tasks.aclose()
    await stack.services.monitor.start()
    await stack.mongo.db.users.update_one({"mobile": OPERATOR}, {"$unset": {"role": ""}})
    assert await seen_off(page) == "role_removed"
    assert RECHECK_S == 60
    assert RECHECK_S in waits


async def test_ws_2_who_lost_the_role_is_sent_away(stack: Stack) -> None:
    """At once if it was taken by our tool, within a minute however it was."""
    token = await operator(stack)
    page, other = await monitor(stack, token), await monitor(stack, await operator(stack, mobile="15400000098"))
    assert await stack.services.admins.grant(OPERATOR, None)
    assert await seen_off(page) == "role_removed"
    await stack.mongo.db.users.update_one({"mobile": "15400000098"}, {"$unset": {"role": ""}})
    await stack.services.monitor.recheck()
    assert await seen_off(other) == "role_removed"


async def test_ws_2_the_monitor_ends_with_its_session(stack: Stack) -> None:
    """As any page does; an account that is disabled looks no more."""
    made = await sign_up(stack)
    await stack.services.admins.grant(MOBILE, "operator")
    first, second = await monitor(stack, made.body["token"]), await monitor(stack, made.body["token"])
    await stack.services.sessions.end_all(made.body["id"], "ended")
    assert await seen_off(first) == await seen_off(second) == "ended"
    assert (await stack.rest().post("/admin/ticket/", {}, **bearer(made.body["token"]))).status == 401


async def test_ws_2_no_number_and_no_code_reaches_the_monitor(stack: Stack) -> None:
    """Neither by what is pushed nor by what is looked up; who looked is in the audit."""
    token = await operator(stack)
    page = await monitor(stack, token)
    seen = [await page.next_event("monitor.snapshot"), await page.next_event("monitor.tick")]
    form = {"mobile": MOBILE, "password": PASSWORD} | await code_for(stack)
    await stack.rest().post("/user/", form | {"sms_code": "000000"})
    made = await stack.rest().post("/user/", form)
    kinds: set[str] = set()
    async with asyncio.timeout(10):
        while not {"user.registered", "refused", "sms.delivered"} <= kinds:
            seen.append(await page.next_event("monitor.event"))
            kinds |= {event["kind"] for event in seen[-1]["data"]["events"]}
    rest = stack.rest()
    seen += [
        await page.ask("monitor.user", mobile=MOBILE),
        await page.ask("monitor.user", username=made.body["username"]),
        await page.ask("monitor.user", id=made.body["id"]),
        await page.ask("monitor.timeline", mobile=MOBILE),
        await page.ask("monitor.timeline", transaction=form["transaction"]),
        (await rest.get("/user/", **bearer(token))).body,
        (await rest.get("/admin/audit/", **bearer(token))).body,
    ]
    text = json.dumps(seen, ensure_ascii=False)
    assert form["transaction"] in text
    for secret in (MOBILE, OPERATOR, form["sms_code"], PASSWORD, token):
        assert secret not in text
    audit = (await rest.get("/admin/audit/", **bearer(token))).body["entries"]
    looked = [entry for entry in audit if entry["event"] == "admin.looked"]
    assert len(looked) == 4
    assert {entry["details"]["by"] for entry in looked} == {
        (await stack.mongo.db.users.find_one({"mobile": OPERATOR}))["username"]
    }


async def test_the_course_of_an_sms_is_there_for_a_day_also_when_it_is_over(stack: Stack) -> None:
    """Each step with its time, wrong codes too; of a number all of its transactions, the newest first."""
    token = await operator(stack)
    page = await monitor(stack, token)
    stack.provider.refuse("transient")
    form = {"mobile": MOBILE, "password": PASSWORD} | await code_for(stack)
    sent = await stack.provider.nth(3)  # the operator's own, and two tries
    wrong = "000000" if sent.code != "000000" else "111111"
    await stack.rest().post("/user/", form | {"sms_code": wrong})
    await stack.rest().post("/user/", form | {"sms_code": sent.code})
    stack.clock.advance(61)
    again = await code_for(stack, purpose="login")
    found = (await page.ask("monitor.timeline", mobile=MOBILE))["data"]["transactions"]
    assert [one["transaction"] for one in found] == [again["transaction"], form["transaction"]]
    parts = found[1]["parts"]
    assert [part["what"] for part in parts] == [
        *("queued", "sending", "sending", "delivered", "wrong", "verified"),
    ]
    assert [part["at"] for part in parts] == sorted(part["at"] for part in parts)
    assert "scripted" in parts[1]["about"]
    by_mask = (await page.ask("monitor.timeline", masked="154****0001"))["data"]["transactions"]
    assert by_mask == found
    assert (await page.ask("monitor.timeline", masked="154****0077"))["data"]["code"] == "not_found"
    assert (await page.ask("monitor.timeline", mobile="15400000077"))["data"]["code"] == "not_found"
    both = await page.ask("monitor.timeline", mobile=MOBILE, transaction=form["transaction"])
    assert both["data"]["code"] == "mobile_invalid"


async def test_a_viewer_that_asks_nonsense_keeps_its_picture(stack: Stack) -> None:
    """One error frame for each, whatever comes; the ticks go on."""
    page = await monitor(stack, await operator(stack))
    year = {"type": "monitor.series", "id": 1, "data": {"range": "1y"}}
    for nonsense in ("[", "1", "", year, {"type": 7, "id": 2}):
        await page.send(nonsense)
    codes = []
    async with asyncio.timeout(10):
        while len(codes) < 5:
            event = await page.next_event()
            if event["type"] == "error":
                codes.append(event["data"]["code"])
    assert len(codes) == 5
    assert (await page.next_event("monitor.tick"))["data"]["processes"]


async def test_users_and_audit_are_listed_page_by_page(stack: Stack) -> None:
    """In one order, each once, masked; for operators only."""
    token = await operator(stack)
    made = [await sign_up(stack, f"1540000001{digit}") for digit in range(4)]
    rest = stack.rest()
    assert (await rest.get("/user/", **bearer(made[0].body["token"]))).error["code"] == "not_allowed"
    assert (await rest.get("/user/")).status == 401
    users: list[dict[str, Any]] = []
    after = ""
    while after is not None:
        body = (await rest.get(f"/user/?limit=2&after={after}", **bearer(token))).body
        users += body["users"]
        after = body["next"]
    assert len(users) == len({user["id"] for user in users}) == 5
    assert {one.body["id"] for one in made} < {user["id"] for user in users}
    assert all("****" in user["mobile"] for user in users)
    numbers: list[int] = []
    before: int | None = 0
    while before is not None:
        body = (await rest.get(f"/admin/audit/?limit=3&before={before}", **bearer(token))).body
        numbers += [entry["number"] for entry in body["entries"]]
        before = body["next"]
    assert numbers == [*range(numbers[0], 0, -1)]
    own = (await rest.get(f"/admin/audit/?user={made[0].body['id']}", **bearer(token))).body["entries"]
    assert [entry["event"] for entry in own] == ["session.opened", "user.registered"]
    for path in ("/user/?limit=0", "/user/?limit=101", "/user/?after=A", "/admin/audit/?before=x", "/user/?limit=x"):
        assert (await rest.get(path, **bearer(token))).status == 400, path


async def test_tok_12_operators_are_refused_while_a_store_is_away(stack: Stack) -> None:
    """Reading too: what nobody can confirm is not true."""
    token = await operator(stack)

    async def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("redis", "away")

    stack.services.guard._store.version = away  # type: ignore[method-assign]
    answer = await stack.rest().get("/user/", **bearer(token))
    assert (answer.status, answer.error["code"]) == (503, "unavailable")


async def test_a_viewer_that_stops_reading_is_cut_off_and_harms_nobody(stack: Stack) -> None:
    """So much may wait for it and no more; the others get their picture meanwhile."""
    token = await operator(stack)
    other = await monitor(stack, token)
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    lines = (
        f"GET /ws/admin?ticket={await ticket_for(stack, token)} HTTP/1.1",
        f"Host: 127.0.0.1:{stack.port}",
        *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    before = {*stack.services.monitor._viewers}
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert b" 101 " in await reader.readline()
    viewers = stack.services.monitor._viewers
    async with asyncio.timeout(20):
        while not (deaf := viewers - before):
            await asyncio.sleep(0)
        (viewer,) = deaf
        while viewer in viewers:
            for _ in range(200):
                viewer.push("monitor.event", {"events": [{"kind": "x" * 1000, "at": 1.0}], "more": 0})
            await asyncio.sleep(0)
    writer.close()
    while not other._events.empty():
        other._events.get_nowait()
    assert (await other.next_event("monitor.tick"))["data"]["processes"]

"""What operators do, and what comes of it on the other side."""

import asyncio
from typing import Any

import pytest

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, PageClient
from tests.people import OPERATOR, bearer, code_for, monitor, operator, seen_off, sign_in, sign_up, signed_in_page

pytestmark = pytest.mark.gen_test(timeout=40)


async def _done(page: PageClient, act: str, /, **data: Any) -> dict[str, Any]:
    answer = await page.ask(act, **data)
    assert answer["type"] != "error", answer
    return dict(answer["data"])


async def _events_of(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [dict(one) async for one in stack.mongo.db.audit.find({"event": name})]


async def _told(page: PageClient, kind: str) -> dict[str, Any]:
    """The event of that kind, as a monitor shows it."""
    while True:
        for event in (await page.next_event("monitor.event"))["data"]["events"]:
            if event["kind"] == kind:
                return dict(event)


async def test_a_blocked_number_range_or_address_is_refused_everywhere_until_it_is_lifted(stack: Stack) -> None:
    """On both transports, whatever is asked, with the true wait; the operator himself can still act."""
    page, rest, visitor = await monitor(stack, await operator(stack)), stack.rest(), await stack.page()
    services = stack.services
    for kind, value, code in (
        ("mobile", "+86 154-0000-0001", "number_blocked"),
        ("prefix", "1540000", "number_blocked"),
        ("ip", "127.0.0.1", "address_blocked"),
    ):
        if kind == "ip":  # his own, which he may not block himself
            own = await page.ask("block.add", kind=kind, value=value, minutes=10)
            assert own["data"]["code"] == "validation_failed"
            await services.controls.block(kind, value, 10, by="hm_other")
            assert (await page.ask("ping"))["type"] == "pong"
        else:
            await _done(page, "block.add", kind=kind, value=value, minutes=10)
        (block,) = (await _done(page, "block.list"))["blocks"]
        assert block["until"] > stack.clock.now() + 590
        answers = [
            (await visitor.ask("mobile.check", mobile=MOBILE))["data"],
            (await visitor.ask("sms.send", mobile=MOBILE, purpose="register"))["data"],
            (await rest.get(f"/user/mobile/{MOBILE}/")).error,
            (await sign_in(rest)).error,
        ]
        assert {answer["code"] for answer in answers} == {code}, kind
        assert all(598 <= answer["params"]["retry_after"] <= 600 for answer in answers)
        assert (await rest.get(f"/user/mobile/{MOBILE}/")).status == 403
        (listed,) = (await _done(page, "block.list"))["blocks"]
        assert (listed["kind"], MOBILE in listed["value"]) == (kind, False)
        await _done(page, "block.remove", kind=kind, value=listed["key"])
        assert (await visitor.ask("mobile.check", mobile=MOBILE))["data"]["available"] is True
    assert len(await _events_of(stack, "admin.blocked")) == 2
    assert len(await _events_of(stack, "admin.unblocked")) == 3
    assert MOBILE not in str(await _events_of(stack, "admin.blocked"))
    assert (await page.ask("block.remove", kind="ip", value="127.0.0.1"))["data"]["code"] == "not_found"


async def test_a_blocked_address_gets_no_websocket_and_a_block_ends_by_itself(stack: Stack) -> None:
    """Its number of another range is not blocked; nobody has to lift anything."""
    await stack.services.controls.block("ip", "127.0.0.1", 10, by="hm_operator")
    answer = await stack.rest().get("/ws", Origin=f"http://127.0.0.1:{stack.port}", **_UPGRADE)
    assert (answer.status, answer.error["code"]) == (403, "address_blocked")
    assert int(answer.headers["Retry-After"]) <= 600
    stack.clock.advance(601)
    await stack.services.controls.block("prefix", "1541111", 10, by="hm_operator")  # reads anew
    assert len(stack.services.controls.blocks()) == 1
    assert (await stack.rest().get(f"/user/mobile/{MOBILE}/")).status == 200


_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "x" * 22 + "==",
    "Sec_WebSocket_Version": "13",
}


@pytest.mark.parametrize(
    ("kind", "value", "minutes"),
    [
        ("mobile", "123", 1),
        ("prefix", "154000", 1),
        ("prefix", "15400000", 1),
        ("prefix", "0540000", 1),
        ("ip", "localhost", 1),
        ("ip", "", 1),
        ("all", "x", 1),
        ("ip", "127.0.0.1", 1),
        ("ip", "10.0.0.1", 0),
        ("ip", "10.0.0.1", 43_201),
        ("ip", "10.0.0.1", True),
    ],
)
async def test_a_block_that_makes_no_sense_is_refused(stack: Stack, kind: str, value: str, minutes: Any) -> None:
    """By its shape, and nothing is blocked."""
    page = await monitor(stack, await operator(stack))
    answer = await page.ask("block.add", kind=kind, value=value, minutes=minutes)
    assert answer["data"]["code"] == "validation_failed"
    assert stack.services.controls.blocks() == []


async def test_a_paused_provider_is_asked_no_more_until_it_is_resumed(stack: Stack) -> None:
    """Where there is no other, people are told to wait before anything is charged; a job in line waits too."""
    page, rest = await monitor(stack, await operator(stack)), stack.rest()
    sent = len(stack.provider.sent)
    await _done(page, "provider.pause", name="scripted")
    answer = await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})
    assert (answer.status, answer.error["code"]) == (503, "sms_unavailable")
    assert answer.error["params"]["retry_after"] >= 1
    assert len(stack.provider.sent) == sent
    await _done(page, "provider.resume", name="scripted")
    await code_for(stack)
    assert len(stack.provider.sent) == sent + 1
    assert (await page.ask("provider.pause", name="nobody"))["data"]["code"] == "not_found"


async def test_a_disabled_account_leaves_at_once_and_comes_back_when_it_is_enabled(stack: Stack) -> None:
    """By the operation; nobody can do it to himself, and it is in the audit with who did it."""
    token = await operator(stack)
    made, page = await sign_up(stack), await monitor(stack, token)
    theirs = await signed_in_page(stack, made.body["token"])
    await _done(page, "user.disable", id=made.body["id"])
    assert await seen_off(theirs) == "disabled"
    assert (await sign_in(stack.rest())).error["code"] == "account_disabled"
    await _done(page, "user.enable", id=made.body["id"])
    assert (await sign_in(stack.rest())).status == 200
    mine = (await _done(page, "monitor.user", mobile=OPERATOR))["user"]["id"]
    for act in ("user.disable", "user.end_sessions"):
        assert (await page.ask(act, id=mine))["data"]["code"] == "not_allowed"
    assert (await page.ask("user.disable", id="nobody"))["data"]["code"] == "not_found"
    (entry,) = await _events_of(stack, "account.disabled")
    assert entry["details"]["by"].startswith("hm_")
    assert entry["address"] == "127.0.0.1"


async def test_an_account_is_signed_out_everywhere(stack: Stack) -> None:
    """Its pages leave, its holder may come back."""
    page, made = await monitor(stack, await operator(stack)), await sign_up(stack)
    theirs = await signed_in_page(stack, made.body["token"])
    await _done(page, "user.end_sessions", id=made.body["id"])
    assert await seen_off(theirs) == "ended"
    assert (await sign_in(stack.rest())).status == 200
    assert len(await _events_of(stack, "admin.sessions_ended")) == 1


async def test_the_question_is_answered_as_operators_wish(start: Any) -> None:
    """Open, after a captcha, or not at all; at once, and the same after a restart of the process."""
    stack: Stack = await start(CAPTCHA_PROVIDER="altcha")
    services, rest = stack.services, stack.rest()
    for mode, status in (("captcha", 403), ("off", 200), ("open", 200)):
        await services.controls.set_uniqueness(mode)
        assert (await rest.get(f"/user/mobile/{MOBILE}/")).status == status, mode
        assert services.controls.uniqueness == mode
    await services.controls.set_uniqueness("off")
    assert (await rest.get(f"/user/mobile/{MOBILE}/")).body["available"] is None


async def test_a_dead_letter_is_sent_after_all_while_its_code_is_good(stack: Stack) -> None:
    """The page that waits for it sees it arrive with the code that is right; once."""
    page, visitor = await monitor(stack, await operator(stack)), await stack.page()
    stack.provider.refuse("permanent")
    state = (await visitor.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    await visitor.state("failed")
    await _told(page, "sms.failed")
    (dead,) = (await _done(page, "sms.dead"))["jobs"]
    assert (dead["reason"], dead["transaction"]) == ("number_refused", state["transaction"])
    await _done(page, "sms.retry", job=dead["job"])
    assert (await visitor.state("delivered"))["can_resend"] is False
    sms = stack.provider.sent[-1]
    assert sms.transaction == state["transaction"]
    assert (await page.ask("sms.retry", job=dead["job"]))["data"]["code"] == "job_gone"
    assert (await _done(page, "sms.dead"))["jobs"] == []
    form = {"mobile": MOBILE, "password": PASSWORD, "transaction": state["transaction"], "sms_code": sms.code}
    assert (await stack.rest().post("/user/", form)).status == 201
    assert len(await _events_of(stack, "admin.sms_retried")) == 1


async def test_a_dead_letter_that_is_too_late_or_overtaken_is_not_sent(stack: Stack) -> None:
    """Nobody gets an SMS whose code is over, or two with different codes; it can be dropped, once."""
    page = await monitor(stack, await operator(stack))
    stack.provider.refuse("permanent", "permanent")
    rest = stack.rest()
    first = (await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})).body["transaction"]
    await _told(page, "sms.failed")
    again = {"mobile": MOBILE, "purpose": "register", "transaction": first}
    assert (await rest.post("/user/sms/", again)).status == 202
    await _told(page, "sms.failed")
    newest, overtaken = (await _done(page, "sms.dead"))["jobs"]
    sent = len(stack.provider.sent)
    assert (await page.ask("sms.retry", job=overtaken["job"]))["data"]["code"] == "job_gone"
    stack.clock.advance(280)
    assert (await page.ask("sms.retry", job=newest["job"]))["data"]["code"] == "job_gone"
    assert len(stack.provider.sent) == sent
    await _done(page, "sms.drop", job=newest["job"])
    assert (await page.ask("sms.drop", job=newest["job"]))["data"]["code"] == "job_gone"
    assert [job["job"] for job in (await _done(page, "sms.dead"))["jobs"]] == [overtaken["job"]]


async def test_a_dead_letter_does_not_follow_a_newer_sms(stack: Stack) -> None:
    """Of another transaction of the same number too: nobody gets two codes within an interval."""
    page = await monitor(stack, await operator(stack))
    stack.provider.refuse("permanent")
    rest = stack.rest()
    await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})
    await _told(page, "sms.failed")
    (dead,) = (await _done(page, "sms.dead"))["jobs"]
    newer = (await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})).body
    await _told(page, "sms.delivered")
    sent = len(stack.provider.sent)
    assert (await page.ask("sms.retry", job=dead["job"]))["data"]["code"] in ("job_gone", "sms_too_soon")
    assert len(stack.provider.sent) == sent
    assert (await rest.get(f"/user/sms/{newer['transaction']}/")).body["resend_at"] == newer["resend_at"]


async def test_two_who_send_a_dead_letter_again_send_it_once(stack: Stack) -> None:
    """And what the one has noted the other does not take back."""
    first = await monitor(stack, await operator(stack))
    second = await monitor(stack, await operator(stack, mobile="15400000098"))
    stack.provider.refuse("permanent")
    await stack.rest().post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})
    await _told(first, "sms.failed")
    (dead,) = (await _done(first, "sms.dead"))["jobs"]
    sent = len(stack.provider.sent)
    answers = await asyncio.gather(*(page.ask("sms.retry", job=dead["job"]) for page in (first, second)))
    assert sorted(answer["type"] for answer in answers) == ["error", "sms.retried"]
    await _told(first, "sms.delivered")
    assert len(stack.provider.sent) == sent + 1
    assert await stack.mongo.db.outbox.count_documents({"owner": dead["job"]}) == 1
    assert len(await _events_of(stack, "admin.sms_retried")) == 1


async def test_a_process_is_drained_by_its_name(stack: Stack) -> None:
    """That one and no other."""
    page = await monitor(stack, await operator(stack))
    drained = asyncio.Event()
    stack.services.monitor.on_drain(drained.set)
    assert (await page.ask("process.drain", id="nobody"))["data"]["code"] == "not_found"
    await _done(page, "process.drain", id=stack.services.monitor.process)
    async with asyncio.timeout(5):
        await drained.wait()
    assert len(await _events_of(stack, "admin.drained")) == 1


async def test_what_one_operator_does_the_others_see(stack: Stack) -> None:
    """On each open monitor, with who did it."""
    first = await monitor(stack, await operator(stack))
    second = await monitor(stack, await operator(stack, "viewer", mobile="15400000098"))
    await first.next_event("monitor.tick")
    await _done(first, "block.add", kind="prefix", value="1541234", minutes=5)
    for page in (first, second):
        event = await _told(page, "admin.blocked")
        assert event["by"].startswith("hm_")
        assert "1541234" in event["about"]
        assert (await page.next_event("monitor.tick"))["data"]["blocks_count"] == 1


async def test_acts_need_a_living_session(stack: Stack) -> None:
    """A token whose session was ended acts no more, over REST either."""
    token = await operator(stack)
    await stack.rest().ask("DELETE", "/user/sessions/", **bearer(token))
    page = await monitor(stack, token)
    await page.next_event("monitor.snapshot")
    who = stack.services.tokens.identify(token)
    await stack.services.sessions.end_all(who.user, "ended")
    assert await seen_off(page) == "ended"
    assert (await stack.rest().get("/user/", **bearer(token))).error["code"] == "token_invalid"

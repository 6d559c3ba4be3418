"""A number that has left its holder: claimed by the next one or given up; refused, carried out, dropped."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.caller import Caller, Identity
from server.clock import Clock
from server.container import open_services
from server.errors import AppError
from server.services.claim_keeper import TELLING_S, ClaimKeeper
from server.sms.router import Route
from server.stores.redis import Redis
from server.stores.users import pending_claim
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, Answer
from tests.people import bearer, code_for, seen_off, sign_in, sign_up, signed_in_page, user_of

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
HOUR_S = 3600
NEW = "another battery, staple"
OTHER = "15400000002"
NOBODY = "15400000099"
CALLER = Caller(address="203.0.113.7", request_id="r")
JSON = {"Content_Type": "application/json"}


def keeper(stack: Stack) -> ClaimKeeper:
    """That of one more process. The one of the service itself looks when it starts and then every half minute."""
    claims = stack.services.claims
    return ClaimKeeper(
        users=stack.users,
        sessions=stack.services.sessions,
        notices=claims._notices,
        news=claims._news,
        events=claims._events,
        now=stack.redis.now,
        clock=stack.clock,
    )


async def claim(stack: Stack, mobile: str = MOBILE) -> Answer:
    """The present holder of a number claims it; a minute later."""
    form = {"mobile": mobile} | await code_for(stack, mobile, "claim")
    answer = await stack.rest().post("/user/claim/", form)
    stack.clock.advance(61)
    return answer


async def recovery(stack: Stack, token: str, new: str = OTHER, **more: str) -> dict[str, str]:
    """Everything that a recovery needs, and `more` in its place."""
    code = await code_for(stack, new, "change-new", token)
    return {"password": PASSWORD, "new_mobile": new} | {f"new_{name}": text for name, text in code.items()} | more


async def recover(stack: Stack, made: Answer, new: str = OTHER) -> Answer:
    token = made.body["token"]
    form = await recovery(stack, token, new)
    sent = len(stack.provider.sent)
    answer = await stack.rest().post("/user/mobile/recovery/", form, **bearer(token))
    assert answer.status == 202, answer.body
    if answer.body["due_at"]:
        await stack.provider.nth(sent + 1)  # the old number is told
    return answer


async def fresh_token(stack: Stack, account: str = MOBILE, password: str = PASSWORD) -> str:
    return str((await sign_in(stack.rest(), password, account)).body["token"])


async def events(stack: Stack, user: str) -> list[str]:
    """What the audit says of an account's claims, in order."""
    found = stack.mongo.db.audit.find({"user": user}).sort("_id", 1)
    return [entry["event"] async for entry in found if entry["event"].startswith("claim.")]


async def is_free(stack: Stack, mobile: str = MOBILE) -> bool:
    return (await stack.rest().get(f"/user/mobile/{mobile}/")).status == 200


async def shown(stack: Stack, token: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (await stack.rest().get("/user/claim/", **bearer(token))).body["claim"]
    return found


# A recycled number


async def test_a_recycled_number_is_free_after_the_cool_off_and_not_before(stack: Stack) -> None:
    """Whoever has it now proves that by SMS, waits, and registers it; nothing of the old account is lost but that."""
    made = await sign_up(stack)
    watcher = await stack.page()
    await watcher.ask("mobile.check", mobile=MOBILE)
    answer = await claim(stack)
    due = answer.body["due_at"]
    assert answer.status == 202
    assert due == pytest.approx(await stack.redis.now() - 61 + 336 * HOUR_S, abs=5)
    stack.clock.advance(336 * HOUR_S - 61 - 10)
    await keeper(stack).look()
    assert not await is_free(stack)
    stack.clock.advance(15)
    await keeper(stack).look()
    assert (await watcher.next_event("mobile.freed"))["data"] == {"mobile": MOBILE}
    rest = stack.rest()
    assert (await sign_in(rest)).error["code"] == "credentials_invalid"
    newcomer = await sign_up(stack)
    assert newcomer.body["id"] != made.body["id"]
    back = await sign_in(rest, account=made.body["username"])
    assert (back.status, back.body["id"], back.body["mobile"]) == (200, made.body["id"], "")
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.carried_out"]


async def test_a_second_claim_does_not_begin_the_cool_off_anew(stack: Stack) -> None:
    """It is told the same day; each takes a code of its own."""
    made = await sign_up(stack)
    form = {"mobile": MOBILE} | await code_for(stack, MOBILE, "claim")
    rest = stack.rest()
    first = await rest.post("/user/claim/", form)
    assert (await rest.post("/user/claim/", form)).error["code"] == "sms_code_invalid"
    stack.clock.advance(HOUR_S)
    second = await claim(stack)
    assert second.body == first.body
    assert await events(stack, made.body["id"]) == ["claim.opened"]


async def test_a_code_for_something_else_claims_nothing(stack: Stack) -> None:
    """Nor one to another number."""
    made = await sign_up(stack)
    login = {"mobile": MOBILE} | await code_for(stack, MOBILE, "login")
    rest = stack.rest()
    assert (await rest.post("/user/claim/", login)).error["code"] == "sms_code_invalid"
    assert (await rest.post("/user/claim/", login | {"mobile": NOBODY})).error["code"] == "sms_code_invalid"
    assert "claim" not in await user_of(stack, made)


async def test_the_pages_of_the_account_hear_of_a_claim_and_refuse_it(stack: Stack) -> None:
    """All of them, and nobody else's; a session is all that refusing needs, and it is heard too."""
    made = await sign_up(stack)
    stranger = await sign_up(stack, OTHER)
    pages = [await signed_in_page(stack, made.body["token"]) for _ in range(2)]
    other = await signed_in_page(stack, stranger.body["token"])
    due = (await claim(stack)).body["due_at"]
    for page in pages:
        told = (await page.next_event("claim.shown"))["data"]["claim"]
        assert (told["kind"], told["mobile"], told["due_at"]) == ("release", "154****0001", due)
        assert (await page.ask("claim.get"))["data"]["claim"] == told
    assert (await pages[0].ask("claim.refuse"))["type"] == "claim.refused"
    for page in pages:
        assert (await page.next_event("claim.shown"))["data"] == {"claim": None}
    assert (await other.ask("claim.get"))["data"]["claim"] is None
    assert other._events.empty()
    stack.clock.advance(337 * HOUR_S)
    await keeper(stack).look()
    assert not await is_free(stack)
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.refused"]


async def test_after_a_refusal_the_number_cannot_be_claimed_for_a_cool_off(stack: Stack) -> None:
    """The wait that is told is true, and the code is as good as before."""
    made = await sign_up(stack)
    await claim(stack)
    rest = stack.rest()
    refused = await rest.ask("DELETE", "/user/claim/", **bearer(made.body["token"]))
    assert refused.status == 204
    again = await claim(stack)
    assert (again.status, again.error["code"]) == (409, "claim_refused")
    stack.clock.advance(again.error["params"]["retry_after"] - 61 - 10)
    late = {"mobile": MOBILE} | await code_for(stack, MOBILE, "claim")
    assert (await rest.post("/user/claim/", late)).error["code"] == "claim_refused"
    stack.clock.advance(11)
    assert (await rest.post("/user/claim/", late)).status == 202


async def test_to_refuse_nothing_is_no_fault(stack: Stack) -> None:
    """But it needs a living session."""
    made = await sign_up(stack)
    rest = stack.rest()
    assert (await rest.ask("DELETE", "/user/claim/", **bearer(made.body["token"]))).status == 204
    assert (await rest.ask("DELETE", "/user/claim/")).error["code"] == "token_invalid"
    assert (await rest.get("/user/claim/")).error["code"] == "token_invalid"


async def test_a_release_ends_all_sessions(start: Start) -> None:
    """Their pages are told why, and neither cookie nor token is good for anything."""
    stack = await start(RELEASE_COOL_OFF_H="1")
    made = await sign_up(stack)
    await claim(stack)
    stack.clock.advance(HOUR_S)
    page = await signed_in_page(stack, await fresh_token(stack))
    await keeper(stack).look()
    assert await seen_off(page) == "mobile_released"
    cookie = made.headers["Set-Cookie"].split(";")[0]
    refreshed = await stack.rest().post("/user/refresh/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")
    assert refreshed.error["code"] == "token_invalid"


async def test_a_process_that_starts_carries_out_what_came_due_while_it_was_away(start: Start) -> None:
    """By itself, and the pages on other processes hear it."""
    stack = await start(RELEASE_COOL_OFF_H="1")
    await sign_up(stack)
    await claim(stack)
    page = await signed_in_page(stack, await fresh_token(stack))
    stack.clock.advance(HOUR_S)
    stores = {"mongo": stack.mongo, "redis": stack.redis}
    routes = [Route(stack.provider, rate=1000)]
    async with open_services(stack.settings, **stores, clock=stack.clock, routes=routes):
        assert await seen_off(page) == "mobile_released"


async def test_the_clock_of_the_host_decides_nothing(stack: Stack) -> None:
    """A server that is a day ahead gives nobody's number away sooner."""

    class Ahead(Clock):
        def now(self) -> float:
            return super().now() + 86_400

    redis = Redis(stack.settings.redis_url, clock=Ahead())
    seconds, _ = await redis.call("TIME")
    assert await redis.now() == pytest.approx(seconds, abs=2)
    await redis.aclose()


async def test_a_closed_account_gives_nothing_away(stack: Stack) -> None:
    """Nobody could refuse: what waits is dropped, and nothing new begins."""
    made = await sign_up(stack)
    await claim(stack)
    form = {"mobile": MOBILE} | await code_for(stack, MOBILE, "claim")
    stack.clock.advance(61)
    await stack.services.accounts.disable(made.body["id"], by="hm_operator")
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.dropped"]
    assert (await stack.rest().post("/user/claim/", form)).error["code"] == "sms_code_invalid"
    sent = len(stack.provider.sent)
    queued = await stack.rest().post("/user/sms/", {"mobile": MOBILE, "purpose": "claim"})
    assert queued.status == 202
    stack.clock.advance(400 * HOUR_S)
    await keeper(stack).look()
    assert not await is_free(stack)
    assert len(stack.provider.sent) == sent
    await stack.services.accounts.enable(made.body["id"], by="hm_operator")
    assert (await sign_in(stack.rest())).status == 200


async def test_to_open_an_account_that_is_open_drops_no_claim(stack: Stack) -> None:
    """Only closing one does."""
    made = await sign_up(stack)
    await claim(stack)
    await stack.services.accounts.enable(made.body["id"], by="hm_operator")
    assert pending_claim(await user_of(stack, made))


# An account without a number


async def released(stack: Stack) -> Answer:
    """An account that has lost its number, signed in by its name."""
    made = await sign_up(stack)
    await claim(stack)
    stack.clock.advance(336 * HOUR_S)
    await keeper(stack).look()
    opened = await sign_in(stack.rest(), account=made.body["username"])
    assert opened.status == 200, opened.body
    return opened


async def test_an_account_without_a_number_gets_one_by_a_code_to_that_alone(stack: Stack) -> None:
    """At once: there is no old number that could be asked, or told."""
    opened = await released(stack)
    rest, token = stack.rest(), bearer(opened.body["token"])
    assert (await rest.get("/user/me/", **token)).body["mobile"] == ""
    sent = len(stack.provider.sent)
    answer = await recover(stack, opened)
    assert answer.body == {"mobile": "154****0002", "due_at": None}
    assert len(stack.provider.sent) == sent + 1  # the code
    assert (await rest.get("/user/me/", **token)).body["mobile"] == "154****0002"
    assert (await sign_in(rest, account=OTHER)).status == 200
    assert not await is_free(stack, OTHER)


async def test_what_stands_in_place_of_a_number_is_none(stack: Stack) -> None:
    """It lets nobody in, is nobody's to change, and two accounts can be without."""
    opened = await released(stack)
    kept = (await user_of(stack, opened))["mobile"]
    rest, token = stack.rest(), bearer(opened.body["token"])
    for account in (kept, "", "none:"):
        assert (await sign_in(rest, account=account)).status in (400, 401)
    for purpose in ("change-old", "login", "reset", "claim"):
        asked = await rest.post("/user/sms/", {"mobile": kept, "purpose": purpose}, **token)
        assert asked.error["code"] == "mobile_invalid"
    second = await released(stack)  # the next holder of that number
    assert (await user_of(stack, second))["mobile"] != kept


async def test_an_account_without_a_number_can_do_all_the_rest(stack: Stack) -> None:
    """Change its password, be closed and opened, be deleted; nobody hears that a number was freed."""
    opened = await released(stack)
    await sign_up(stack)
    watcher = await stack.page()
    await watcher.ask("mobile.check", mobile=MOBILE)
    rest, token = stack.rest(), bearer(opened.body["token"])
    changed = await rest.post("/user/password/", {"password": PASSWORD, "new_password": NEW}, **token)
    assert changed.status == 204
    assert (await rest.ask("PATCH", "/user/me/", {"age": 40}, **token)).body["mobile"] == ""
    await stack.services.accounts.disable(opened.body["id"], by="hm_operator")
    await stack.services.accounts.enable(opened.body["id"], by="hm_operator")
    back = await sign_in(rest, NEW, opened.body["username"])
    gone = await rest.ask("DELETE", "/user/me/", {"password": NEW}, **bearer(back.body["token"]), **JSON)
    assert gone.status == 204
    with pytest.raises(TimeoutError):
        await watcher.next_event("mobile.freed", timeout_s=0.3)


# A lost number


async def test_tok_11_a_recovery_needs_the_password_and_a_code_to_the_new_number(stack: Stack) -> None:
    """Each is refused without the other; right, nothing happens yet but that the old number is told."""
    made = await sign_up(stack)
    await sign_up(stack, NOBODY)
    rest, token = stack.rest(), bearer(made.body["token"])
    form = await recovery(stack, made.body["token"])
    for name, value in {"password": "wrong", "new_sms_code": "000000", "new_mobile": NOBODY}.items():
        assert (await rest.post("/user/mobile/recovery/", form | {name: value}, **token)).status in (400, 401)
    assert (await rest.post("/user/mobile/recovery/", form)).error["code"] == "token_invalid"
    sent = len(stack.provider.sent)
    answer = await rest.post("/user/mobile/recovery/", form, **token)
    assert (answer.status, answer.body["mobile"]) == (202, "154****0002")
    assert answer.body["due_at"] == pytest.approx(await stack.redis.now() + 72 * HOUR_S, abs=5)
    notice = await stack.provider.nth(sent + 1)
    assert (notice.mobile, notice.purpose) == (MOBILE, "notice-claim")
    assert await is_free(stack, OTHER)
    assert (await rest.get("/user/me/", **token)).status == 200


async def test_tok_11_a_recovery_takes_effect_after_the_delay_and_is_told_to_both(stack: Stack) -> None:
    """All sessions end, the number is the new one, and the old one is free."""
    made = await sign_up(stack)
    await recover(stack, made)
    stack.clock.advance(72 * HOUR_S - 10)
    await keeper(stack).look()
    page = await signed_in_page(stack, await fresh_token(stack))
    assert (await page.ask("claim.get"))["data"]["claim"]["mobile"] == "154****0002"
    stack.clock.advance(11)
    sent = len(stack.provider.sent)
    await keeper(stack).look()
    assert await seen_off(page) == "mobile_changed"
    notices = [await stack.provider.nth(sent + number) for number in (1, 2)]
    assert {(sms.mobile, sms.purpose) for sms in notices} == {(MOBILE, "notice-mobile"), (OTHER, "notice-moved")}
    rest = stack.rest()
    assert (await sign_in(rest)).error["code"] == "credentials_invalid"
    assert (await sign_in(rest, account=OTHER)).body["id"] == made.body["id"]
    assert await is_free(stack)
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.carried_out"]


async def test_tok_11_a_recovery_can_be_refused_and_asked_for_again(stack: Stack) -> None:
    """The next one begins its delay anew, also where the first one still waits."""
    made = await sign_up(stack)
    page = await signed_in_page(stack, made.body["token"])
    first = await recover(stack, made)
    assert (await page.ask("claim.refuse"))["type"] == "claim.refused"
    stack.clock.advance(61)
    second = await recover(stack, made)
    stack.clock.advance(61)
    third = await recover(stack, made, NOBODY)
    assert first.body["due_at"] < second.body["due_at"] < third.body["due_at"]
    found = await shown(stack, made.body["token"])
    assert found is not None
    assert (found["mobile"], found["due_at"]) == ("154****0099", third.body["due_at"])


async def by_reset(stack: Stack, token: str) -> None:
    form = {"mobile": MOBILE, "new_password": NEW} | await code_for(stack, MOBILE, "reset")
    assert (await stack.rest().post("/user/password/reset/", form)).status == 204


async def by_password(stack: Stack, token: str) -> None:
    form = {"password": PASSWORD, "new_password": NEW}
    assert (await stack.rest().post("/user/password/", form, **bearer(token))).status == 204


async def by_mobile(stack: Stack, token: str) -> None:
    old, new = await code_for(stack, MOBILE, "change-old", token), await code_for(stack, NOBODY, "change-new", token)
    form = {"password": PASSWORD, "new_mobile": NOBODY} | old | {f"new_{name}": text for name, text in new.items()}
    assert (await stack.rest().post("/user/mobile/", form, **bearer(token))).status == 200


@pytest.mark.parametrize("act", [by_reset, by_password, by_mobile])
async def test_tok_11_what_shows_that_the_holder_is_there_ends_a_recovery(
    stack: Stack, act: Callable[[Stack, str], Coroutine[Any, Any, None]]
) -> None:
    """A code to the old number says that it is not lost; a new password takes with it what the old one asked for."""
    made = await sign_up(stack)
    page = await signed_in_page(stack, made.body["token"])
    await recover(stack, made)
    await page.next_event("claim.shown")
    await act(stack, made.body["token"])
    if act is not by_reset:  # which ends this session, too
        assert (await page.next_event("claim.shown"))["data"] == {"claim": None}
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.dropped"]
    stack.clock.advance(100 * HOUR_S)
    await keeper(stack).look()
    assert await is_free(stack, OTHER)


async def test_of_these_only_another_number_ends_a_release(stack: Stack) -> None:
    """Whoever holds the number now can reset the password, so that says nothing; and a refusal of before is over."""
    made = await sign_up(stack)
    await claim(stack)
    await by_reset(stack, "")
    assert await events(stack, made.body["id"]) == ["claim.opened"]
    stack.clock.advance(61)
    token = await fresh_token(stack, password=NEW)
    await stack.rest().ask("DELETE", "/user/claim/", **bearer(token))
    assert "refused_at" in await user_of(stack, made)
    old, new = await code_for(stack, MOBILE, "change-old", token), await code_for(stack, OTHER, "change-new", token)
    form = {"password": NEW, "new_mobile": OTHER} | old | {f"new_{name}": text for name, text in new.items()}
    assert (await stack.rest().post("/user/mobile/", form, **bearer(token))).status == 200
    assert "refused_at" not in await user_of(stack, made)


async def test_a_recovery_takes_the_place_of_a_release_that_waits(stack: Stack) -> None:
    """Its holder says himself that the number is lost; a claimant is told the day on which it will be free."""
    made = await sign_up(stack)
    await claim(stack)
    due = (await recover(stack, made)).body["due_at"]
    stack.clock.advance(61)
    assert (await claim(stack)).body["due_at"] == due
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.dropped", "claim.opened"]


async def test_tok_11_a_recovery_to_a_number_that_was_taken_meanwhile_is_dropped_and_told(stack: Stack) -> None:
    """The unique index decides; the account is as it was, and its sessions go on."""
    made = await sign_up(stack)
    await recover(stack, made)
    stack.clock.advance(61)
    winner = await sign_up(stack, OTHER)
    stack.clock.advance(72 * HOUR_S)
    page = await signed_in_page(stack, await fresh_token(stack))
    sent = len(stack.provider.sent)
    await keeper(stack).look()
    notice = await stack.provider.nth(sent + 1)
    assert (notice.mobile, notice.purpose) == (MOBILE, "notice-dropped")
    assert (await page.next_event("claim.shown"))["data"] == {"claim": None}
    assert (await page.ask("profile.get"))["data"]["mobile"] == "154****0001"
    assert "claim" not in await user_of(stack, made)
    assert (await user_of(stack, winner))["mobile"] == OTHER
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.dropped"]


async def test_tok_11_a_recovery_to_a_taken_number_does_not_begin(stack: Stack) -> None:
    """Not even with a code from before it was taken; that is as good as before."""
    made = await sign_up(stack)
    token = made.body["token"]
    form = await recovery(stack, token)
    stack.clock.advance(61)
    await sign_up(stack, OTHER)
    answer = await stack.rest().post("/user/mobile/recovery/", form, **bearer(token))
    assert answer.error["code"] == "mobile_taken"
    assert await shown(stack, token) is None


# Several processes, and processes that die


async def test_of_two_processes_one_carries_a_claim_out(stack: Stack) -> None:
    """It is told once, however many look."""
    made = await sign_up(stack)
    await recover(stack, made)
    stack.clock.advance(73 * HOUR_S)
    sent = len(stack.provider.sent)
    await asyncio.gather(*(keeper(stack).look() for _ in range(5)))
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.carried_out"]
    await stack.provider.nth(sent + 2)
    assert len(stack.provider.sent) == sent + 2


async def test_refusing_and_carrying_out_never_both_succeed(stack: Stack) -> None:
    """120 times at the same moment: who is told that it was refused keeps the number, else all is carried out."""
    users, now = stack.users, await stack.redis.now()
    won = {"refused": 0, "carried out": 0}
    keepers = [keeper(stack), keeper(stack)]

    async def refuse(who: Identity, delay: float) -> bool:
        await asyncio.sleep(delay)
        try:
            await stack.services.claims.refuse(who, caller=dataclasses.replace(CALLER, session=who))
        except AppError as fault:
            return fault.code != "token_invalid"
        return True

    for number in range(120):
        user_id, mobile = f"u{number}", f"1540001{number:04d}"
        waiting = {"kind": "release", "asked_at": now - 2, "due_at": now - 1, "locale": "zh_CN"}
        names = {"_id": user_id, "username": user_id, "mobile": mobile, "transaction": user_id}
        user = names | {"password": "x", "version": 1, "claim": waiting}
        assert await users.insert(user)
        who = (await stack.services.sessions.open(user, CALLER)).who
        # From long before to long after the step that counts.
        refused, *_ = await asyncio.gather(refuse(who, number % 20 / 1000), *(each.look() for each in keepers))
        after = await users.get(_id=user_id)
        assert after is not None
        assert "claim" not in after
        assert (after["mobile"] == mobile) == refused == (after["version"] == 1)
        told = await events(stack, user_id)
        assert told == ["claim.refused" if refused else "claim.carried_out"]
        won["refused" if refused else "carried out"] += 1
    assert min(won.values()) > 0, won


async def test_what_a_killed_process_carried_out_is_told_by_another(stack: Stack) -> None:
    """Sessions end, pages hear it, notices leave: a minute later, and not while the first may still be at it."""
    made = await sign_up(stack)
    await recover(stack, made)
    stack.clock.advance(73 * HOUR_S)
    page = await signed_in_page(stack, await fresh_token(stack))
    dying = keeper(stack)

    async def die(_: Any) -> None:
        """Killed after the one step that carries it out."""

    dying._tell = die  # type: ignore[method-assign]
    sent = len(stack.provider.sent)
    await dying.look()
    assert (await user_of(stack, made))["mobile"] == OTHER
    await keeper(stack).look()
    assert "claim" in await user_of(stack, made)
    stack.clock.advance(TELLING_S + 1)
    await asyncio.gather(keeper(stack).look(), keeper(stack).look())
    assert await seen_off(page) == "mobile_changed"
    await stack.provider.nth(sent + 2)
    assert len(stack.provider.sent) == sent + 2
    assert await events(stack, made.body["id"]) == ["claim.opened", "claim.carried_out"]
    assert "claim" not in await user_of(stack, made)


async def test_a_refusal_that_comes_too_late_says_so(stack: Stack) -> None:
    """Between the step that carries it out and the end of the sessions nobody is told that all stays as it is."""
    made = await sign_up(stack)
    await claim(stack)
    stack.clock.advance(336 * HOUR_S)
    token = await fresh_token(stack)
    dying = keeper(stack)

    async def die(_: Any) -> None:
        """Killed."""

    dying._tell = die  # type: ignore[method-assign]
    await dying.look()
    refused = await stack.rest().ask("DELETE", "/user/claim/", **bearer(token))
    assert refused.error["code"] == "token_invalid"
    assert await shown(stack, token) is None
    assert made.status == 201


async def test_a_claim_that_cannot_be_carried_out_holds_up_no_other(stack: Stack) -> None:
    """It stays due, and is tried again."""
    first, second = await sign_up(stack), await sign_up(stack, OTHER)
    for mobile in (MOBILE, OTHER):
        await claim(stack, mobile)
    stack.clock.advance(337 * HOUR_S)
    found = keeper(stack)
    carry_out = found._carry_out

    async def fail_once(user: dict[str, Any], *rest: Any) -> Any:
        if user["_id"] == first.body["id"]:
            raise ConnectionError("not now")
        return await carry_out(user, *rest)

    found._carry_out = fail_once  # type: ignore[method-assign]
    await found.look()
    assert await is_free(stack, OTHER)
    assert not await is_free(stack)
    await keeper(stack).look()
    assert await is_free(stack)
    assert second.status == 201


async def test_the_old_number_is_told_before_a_recovery_is_in_force(stack: Stack) -> None:
    """A process that dies in between leaves a false alarm, and no change that nobody heard of."""
    made = await sign_up(stack)
    form = await recovery(stack, made.body["token"])
    notices, kinds = stack.services.claims._notices, []
    send = notices.send

    async def watched(kind: str, mobile: str, *, locale: str) -> None:
        kinds.append((kind, "claim" in await user_of(stack, made)))
        await send(kind, mobile, locale=locale)

    notices.send = watched  # type: ignore[method-assign]
    answer = await stack.rest().post("/user/mobile/recovery/", form, **bearer(made.body["token"]))
    assert answer.status == 202
    assert kinds == [("claim", False)]

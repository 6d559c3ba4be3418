"""Signing in by code, a forgotten password, a new password, a new number, the end of an account."""

import asyncio
from typing import Any

import pytest

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, Answer
from tests.people import bearer, code_for, seen_off, sign_in, sign_up, signed_in_page, user_of

pytestmark = pytest.mark.gen_test(timeout=60)
NEW = "another battery, staple"
OTHER = "15400000002"
NOBODY = "15400000099"


async def works(stack: Stack, token: str) -> bool:
    """Whether an access token still lets in."""
    return (await stack.rest().get("/user/me/", **bearer(token))).status == 200


# Login by SMS code


async def test_a_code_signs_in_without_the_password(stack: Stack) -> None:
    """As the same user, with the refresh cookie over REST; the code is used up."""
    made = await sign_up(stack)
    form = {"mobile": MOBILE} | await code_for(stack, purpose="login")
    opened = await stack.rest().post("/user/login/", form)
    assert (opened.status, opened.body["id"]) == (200, made.body["id"])
    assert "refresh=" in opened.headers["Set-Cookie"]
    again = await stack.rest().post("/user/login/", form)
    assert again.error["code"] == "sms_code_invalid"


USES = {
    "login": ("session.login", {}),
    "reset": ("password.reset", {"new_password": NEW}),
    "claim": ("mobile.claim", {}),
}


@pytest.mark.parametrize("purpose", USES)
async def test_a_known_and_an_unknown_number_look_the_same(stack: Stack, purpose: str) -> None:
    """Status, fields, countdown, limits and what a page hears; only the account's phone gets an SMS."""
    await sign_up(stack)
    sent = len(stack.provider.sent)
    seen: dict[str, Any] = {}
    for mobile in (MOBILE, NOBODY):
        page = await stack.page()
        first = await page.ask("sms.send", mobile=mobile, purpose=purpose)
        again = await page.ask("sms.send", mobile=mobile, purpose=purpose)
        if mobile == MOBILE:
            await stack.provider.nth(sent + 1)
        await _worked_off(stack)
        tick = await page.next_event("countdown.tick")
        kind, more = USES[purpose]
        transaction = first["data"]["transaction"]
        wrong = await page.ask(kind, mobile=mobile, sms_code="000000", transaction=transaction, **more)
        after = (await page.next_event("sms.state"))["data"]
        polled = (await stack.rest().get(f"/user/sms/{first['data']['transaction']}/")).body
        assert after["status"] == polled["status"] == first["data"]["status"] == "queued"
        fixed = {
            name: first["data"][name]
            for name in ("seq", "status", "attempt", "reason", "can_resend", "attempts_left")
        }
        life = round(first["data"]["expires_at"] - first["data"]["server_now"])
        seen[mobile] = (
            fixed,
            life,
            again["data"]["code"],
            wrong["data"]["code"],
            after["attempts_left"],
            after["seq"],
            polled["seq"],
            tick["data"]["remaining"],
        )
    assert seen[MOBILE] == seen[NOBODY]
    assert [sms.mobile for sms in stack.provider.sent[sent:]] == [MOBILE]


async def _worked_off(stack: Stack) -> None:
    """Until no SMS is in line or being worked on."""
    async with asyncio.timeout(8):
        while (stands := await stack.queue.tend()).depth + stands.working:
            await asyncio.sleep(0.01)


async def test_a_failed_sms_of_a_known_number_is_told_to_nobody(stack: Stack) -> None:
    """An interval that ends early would say that there is an account."""
    await sign_up(stack)
    sent = len(stack.provider.sent)
    stack.provider.refuse("permanent")
    page = await stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="reset"))["data"]
    await stack.provider.nth(sent + 1)
    await _worked_off(stack)
    state = (await page.ask("sms.watch", transaction=queued["transaction"]))["data"]
    assert (state["status"], state["reason"], state["can_resend"], state["seq"]) == ("queued", None, False, 1)


# Forgotten password


async def test_pw_10_a_reset_signs_nobody_in_and_ends_all_sessions(stack: Stack) -> None:
    """The grant is the code of an SMS: it works once, for this alone. PW-10 allows ten minutes, a code has five."""
    made = await sign_up(stack)
    page = await signed_in_page(stack, made.body["token"])
    form = {"mobile": MOBILE, "new_password": NEW} | await code_for(stack, purpose="reset")
    rest = stack.rest()
    assert (
        await rest.post("/user/login/", {k: form[k] for k in ("mobile", "sms_code", "transaction")})
    ).status == 400
    answer = await rest.post("/user/password/reset/", form)
    assert (answer.status, answer.headers.get("Set-Cookie")) == (204, None)
    assert await seen_off(page) == "password_reset"
    assert not await works(stack, made.body["token"])
    assert (await rest.post("/user/password/reset/", form)).error["code"] == "sms_code_invalid"
    assert (await sign_in(rest)).error["code"] == "credentials_invalid"
    assert (await sign_in(rest, NEW)).status == 200


async def test_otp_14_a_reset_that_fails_gives_the_code_back(stack: Stack) -> None:
    """A password that will not do costs no code."""
    await sign_up(stack)
    form = {"mobile": MOBILE, "new_password": "short"} | await code_for(stack, purpose="reset")
    rest = stack.rest()
    assert (await rest.post("/user/password/reset/", form)).error["code"] == "validation_failed"
    assert (await rest.post("/user/password/reset/", form | {"new_password": NEW})).status == 204


async def test_pw_9_the_holder_is_told_by_sms(stack: Stack) -> None:
    """After a change and after a reset; a notice has no code and takes no interval of the number."""
    made = await sign_up(stack)
    sent, rest = len(stack.provider.sent), stack.rest()
    body = {"password": PASSWORD, "new_password": NEW}
    assert (await rest.post("/user/password/", body, **bearer(made.body["token"]))).status == 204
    notice = await stack.provider.nth(sent + 1)
    assert (notice.mobile, notice.code, notice.purpose) == (MOBILE, "", "notice-password")
    assert "密码" in notice.text
    form = {"mobile": MOBILE, "new_password": PASSWORD} | await code_for(stack, purpose="reset")
    assert (await rest.post("/user/password/reset/", form)).status == 204
    assert (await stack.provider.nth(sent + 3)).purpose == "notice-password"


# New password


async def test_pw_9_a_change_needs_the_password_and_ends_the_other_sessions(stack: Stack) -> None:
    """The session that changed it goes on, with its token, its page and its cookie."""
    mine = await sign_up(stack)
    rest = stack.rest()
    theirs = await sign_in(rest)
    my_page, their_page = [await signed_in_page(stack, one.body["token"]) for one in (mine, theirs)]
    wrong = await my_page.ask("password.change", password=PASSWORD + " ", new_password=NEW)
    assert wrong["data"]["code"] == "credentials_invalid"
    assert (await my_page.ask("password.change", password=PASSWORD, new_password=NEW))["type"] == "password.changed"
    assert await seen_off(their_page) == "password_changed"
    assert not await works(stack, theirs.body["token"])
    assert await works(stack, mine.body["token"])
    assert (await my_page.ask("profile.get"))["type"] == "profile.shown"
    assert (await refresh(stack, theirs)).error["code"] == "token_invalid"
    assert (await refresh(stack, mine)).status == 200
    assert (await sign_in(rest)).error["code"] == "credentials_invalid"
    assert (await sign_in(rest, NEW)).status == 200


async def refresh(stack: Stack, opened: Answer) -> Answer:
    cookie = opened.headers["Set-Cookie"].split(";")[0]
    return await stack.rest().post("/user/refresh/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")


async def test_a_session_whose_end_redis_never_heard_of_ends_at_its_refresh(stack: Stack) -> None:
    """The account knows which sessions are too old for it."""
    made = await sign_up(stack)
    user = await user_of(stack, made)
    await stack.mongo.db.users.update_one({"_id": user["_id"]}, {"$set": {"version": 2}})
    assert (await refresh(stack, made)).error["code"] == "token_invalid"
    assert not await works(stack, made.body["token"])


# New number


async def changing(stack: Stack, token: str, new: str = OTHER) -> dict[str, str]:
    """Everything that a change of the number needs."""
    old, code = await code_for(stack, MOBILE, "change-old", token), await code_for(stack, new, "change-new", token)
    new_code = {f"new_{name}": value for name, value in code.items()}
    return {"password": PASSWORD, "new_mobile": new} | old | new_code


async def test_tok_11_a_new_number_needs_the_password_and_a_code_to_both(stack: Stack) -> None:
    """Each is refused without the others, and nothing is lost by that; then the account answers to the new one."""
    made = await sign_up(stack)
    rest, token = stack.rest(), bearer(made.body["token"])
    watcher = await stack.page()
    await watcher.ask("mobile.check", mobile=MOBILE)
    right = await changing(stack, made.body["token"])
    wrong = {"password": "wrong", "sms_code": "000000", "new_sms_code": "000000", "new_mobile": NOBODY}
    for name, value in wrong.items():
        assert (await rest.post("/user/mobile/", right | {name: value}, **token)).status in (400, 401), name
    sent = len(stack.provider.sent)
    changed = await rest.post("/user/mobile/", right, **token)
    assert (changed.status, changed.body) == (200, {"mobile": "154****0002"})
    assert (await watcher.next_event("mobile.freed"))["data"] == {"mobile": MOBILE}
    assert ((await stack.provider.nth(sent + 1)).mobile, stack.provider.sent[sent].purpose) == (
        MOBILE,
        "notice-mobile",
    )
    assert (await sign_in(rest)).error["code"] == "credentials_invalid"
    assert (await sign_in(rest, account=OTHER)).status == 200
    assert (await rest.get(f"/user/mobile/{MOBILE}/")).status == 200
    assert (await rest.get(f"/user/mobile/{OTHER}/")).status == 409


async def test_tok_11_a_code_to_somebody_else_s_number_is_not_sent(stack: Stack) -> None:
    """The old one has to be the account's own, the new one free."""
    made = await sign_up(stack)
    await sign_up(stack, OTHER)
    rest, token = stack.rest(), bearer(made.body["token"])
    sent = len(stack.provider.sent)
    old = await rest.post("/user/sms/", {"mobile": OTHER, "purpose": "change-old"}, **token)
    assert (old.error["code"], [*old.error["params"]["fields"]]) == ("validation_failed", ["mobile"])
    new = await rest.post("/user/sms/", {"mobile": OTHER, "purpose": "change-new"}, **token)
    assert new.error["code"] == "mobile_taken"
    assert len(stack.provider.sent) == sent


async def test_tok_11_of_two_who_want_one_number_one_gets_it_and_the_other_keeps_his(stack: Stack) -> None:
    """The unique index decides; the loser's account is as it was."""
    first, second = await sign_up(stack), await sign_up(stack, OTHER)
    forms = [await changing(stack, first.body["token"], NOBODY)]
    stack.clock.advance(61)
    token = second.body["token"]
    old, new = await code_for(stack, OTHER, "change-old", token), await code_for(stack, NOBODY, "change-new", token)
    forms.append(
        {"password": PASSWORD, "new_mobile": NOBODY} | old | {f"new_{name}": value for name, value in new.items()}
    )
    before = [await user_of(stack, made) for made in (first, second)]
    answers = await asyncio.gather(
        *(
            stack.rest().post("/user/mobile/", form, **bearer(made.body["token"]))
            for form, made in zip(forms, (first, second), strict=True)
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    loser = 0 if answers[0].status == 409 else 1
    assert await user_of(stack, (first, second)[loser]) == before[loser]
    assert await works(stack, (first, second)[loser].body["token"])


async def test_tok_6_a_new_number_ends_the_other_sessions(stack: Stack) -> None:
    """As a new password does."""
    mine = await sign_up(stack)
    theirs = await sign_in(stack.rest())
    their_page = await signed_in_page(stack, theirs.body["token"])
    form = await changing(stack, mine.body["token"])
    assert (await stack.rest().post("/user/mobile/", form, **bearer(mine.body["token"]))).status == 200
    assert await seen_off(their_page) == "mobile_changed"
    assert not await works(stack, theirs.body["token"])
    assert await works(stack, mine.body["token"])


# The end


async def test_an_account_that_is_deleted_is_gone_and_its_number_free(stack: Stack) -> None:
    """Its pages leave, who watches the number hears it, and the next one may have it."""
    made = await sign_up(stack)
    page, watcher = await signed_in_page(stack, made.body["token"]), await stack.page()
    await watcher.ask("mobile.check", mobile=MOBILE)
    rest, token = stack.rest(), bearer(made.body["token"])
    json = {"Content_Type": "application/json"}
    wrong = await rest.ask("DELETE", "/user/me/", {"password": "wrong"}, **token, **json)
    assert wrong.error["code"] == "credentials_invalid"
    gone = await rest.ask("DELETE", "/user/me/", {"password": PASSWORD}, **token, **json)
    assert gone.status == 204
    assert await seen_off(page) == "deleted"
    assert (await watcher.next_event("mobile.freed"))["data"] == {"mobile": MOBILE}
    assert not await works(stack, made.body["token"])
    assert (await refresh(stack, made)).error["code"] == "token_invalid"
    assert (await sign_in(rest)).error["code"] == "credentials_invalid"
    assert (await sign_up(stack)).body["id"] != made.body["id"]


async def test_a_disabled_account_lets_nobody_in_until_it_is_enabled(stack: Stack) -> None:
    """Only who has the right password hears why; its number stays taken, and no code goes there."""
    made = await sign_up(stack)
    page, rest = await signed_in_page(stack, made.body["token"]), stack.rest()
    sent = len(stack.provider.sent)
    await stack.services.accounts.disable(made.body["id"], by="hm_operator")
    assert await seen_off(page) == "disabled"
    assert not await works(stack, made.body["token"])
    assert (await refresh(stack, made)).error["code"] == "token_invalid"
    assert (await sign_in(rest, "wrong")).error["code"] == "credentials_invalid"
    assert (await sign_in(rest)).error["code"] == "account_disabled"
    assert (await rest.get(f"/user/mobile/{MOBILE}/")).status == 409
    assert (await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "login"})).status == 202
    await _worked_off(stack)
    assert len(stack.provider.sent) == sent
    await stack.services.accounts.enable(made.body["id"], by="hm_operator")
    assert (await sign_in(rest)).status == 200

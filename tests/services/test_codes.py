"""What is promised about SMS codes, over the real steps in Redis."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from server.caller import Caller
from server.errors import AppError
from server.i18n import text
from server.schemas.code import SMS_PURPOSES
from server.services.codes import CodeService, Send
from server.services.otp import derive_code
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]


async def _issue(stack: Stack, mobile: str = MOBILE, transaction: str | None = None) -> Send:
    codes = stack.services.codes
    return await codes.issue(codes.plan(mobile, transaction), "register", locale="zh_CN")


async def _code(stack: Stack, send: Send) -> str:
    """What the SMS would say, worked out as delivery does."""
    fields = await _fields(stack, send.transaction)
    code = derive_code(
        stack.settings.ring("CODE_KEYS"),
        fields["key"],
        purpose=fields["purpose"],
        mobile=send.mobile,
        transaction=send.transaction,
        nonce=fields["nonce"],
    )
    assert code is not None
    return code


async def _fields(stack: Stack, transaction: str) -> dict[str, str]:
    return dict(await stack.redis.client.hgetall(f"sms:{{{transaction[:8]}}}:tx:{transaction}"))


async def _use(codes: CodeService, send: Send, code: str, **other: str) -> str:
    """ok, or the code of the refusal."""
    about = {"mobile": send.mobile, "purpose": "register", "transaction": send.transaction} | other
    try:
        async with codes.used(about["mobile"], about["purpose"], about["transaction"], code):
            return "ok"
    except AppError as fault:
        return fault.code


def _wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_otp_3_after_five_wrong_codes_the_right_one_fails_like_a_wrong_one(stack: Stack) -> None:
    """The transaction is void until a new send."""
    send = await _issue(stack)
    code = await _code(stack, send)
    for left in (4, 3, 2, 1, 0):
        assert await _use(stack.services.codes, send, _wrong(code)) == "sms_code_invalid"
        assert (await stack.services.codes.require_state(send.transaction))["attempts_left"] == left
    assert await _use(stack.services.codes, send, code) == "sms_code_invalid"


async def test_otp_7_of_many_parallel_tries_at_most_five_are_decided(stack: Stack) -> None:
    """500 wrong codes at once, then the right one: refused."""
    send = await _issue(stack)
    code = await _code(stack, send)
    guesses = [f"{guess:06d}" for guess in range(501) if f"{guess:06d}" != code][:500]
    await asyncio.gather(*(_use(stack.services.codes, send, guess) for guess in guesses))
    assert (await _fields(stack, send.transaction))["attempts"] == "5"
    assert await _use(stack.services.codes, send, code) == "sms_code_invalid"


async def test_otp_8_of_parallel_uses_of_a_right_code_exactly_one_succeeds(stack: Stack) -> None:
    """A code is used once."""
    for number in range(20):
        send = await _issue(stack, f"154000010{number:02d}")
        code = await _code(stack, send)
        outcomes = await asyncio.gather(*(_use(stack.services.codes, send, code) for _ in range(8)))
        assert sorted(outcomes) == ["ok"] + ["sms_code_invalid"] * 7


@pytest.mark.parametrize("other", [{"purpose": "login"}, {"mobile": "15400000009"}], ids=["purpose", "mobile"])
async def test_otp_9_a_code_is_refused_for_another_purpose_or_number(stack: Stack, other: dict[str, str]) -> None:
    """And that costs its owner no attempt (OTP-6)."""
    send = await _issue(stack)
    assert await _use(stack.services.codes, send, await _code(stack, send), **other) == "sms_code_invalid"
    assert (await stack.services.codes.require_state(send.transaction))["attempts_left"] == 5


async def test_otp_9_a_code_is_refused_for_another_transaction_of_its_number(stack: Stack) -> None:
    """Two independent sends have two codes."""
    first = await _issue(stack)
    stack.clock.advance(61)
    second = await _issue(stack)
    code = await _code(stack, first)
    assert code != await _code(stack, second)
    assert await _use(stack.services.codes, second, code) == "sms_code_invalid"
    assert await _use(stack.services.codes, first, code) == "ok"


async def test_otp_10_a_resend_repeats_the_code_with_its_expiry_and_attempts(stack: Stack) -> None:
    """While at least 120 s and one attempt are left."""
    send = await _issue(stack)
    code = await _code(stack, send)
    await _use(stack.services.codes, send, _wrong(code))
    before = await stack.services.codes.require_state(send.transaction)
    stack.clock.advance(179)
    again = await _issue(stack, transaction=send.transaction)
    after = await stack.services.codes.require_state(send.transaction)
    assert await _code(stack, again) == code
    assert (after["expires_at"], after["attempts_left"]) == (before["expires_at"], 4)


async def test_otp_10_a_late_resend_makes_a_new_code_and_voids_the_old_one(stack: Stack) -> None:
    """With less than 120 s left the code would come too late."""
    send = await _issue(stack)
    old = await _code(stack, send)
    stack.clock.advance(181)
    again = await _issue(stack, transaction=send.transaction)
    new = await _code(stack, again)
    assert new != old
    assert await _use(stack.services.codes, send, old) == "sms_code_invalid"
    assert await _use(stack.services.codes, send, new) == "ok"


async def test_otp_10_a_resend_after_the_last_attempt_makes_a_new_code(stack: Stack) -> None:
    """A void code is not sent again."""
    send = await _issue(stack)
    old = await _code(stack, send)
    for _ in range(5):
        await _use(stack.services.codes, send, _wrong(old))
    stack.clock.advance(61)
    again = await _issue(stack, transaction=send.transaction)
    assert (await stack.services.codes.require_state(send.transaction))["attempts_left"] == 5
    assert await _use(stack.services.codes, again, await _code(stack, again)) == "ok"


@pytest.mark.parametrize(("after_s", "outcome"), [(299, "ok"), (301, "sms_code_invalid")])
async def test_otp_11_a_code_lives_300_seconds(stack: Stack, after_s: int, outcome: str) -> None:
    """By Redis's clock, whatever anybody else's says."""
    send = await _issue(stack)
    code = await _code(stack, send)
    stack.clock.advance(after_s)
    assert await _use(stack.services.codes, send, code) == outcome


async def test_otp_14_a_registration_that_fails_gives_the_code_back(stack: Stack) -> None:
    """With its attempt; nothing was used."""
    send = await _issue(stack)
    code = await _code(stack, send)
    with pytest.raises(RuntimeError):
        async with stack.services.codes.used(MOBILE, "register", send.transaction, code):
            raise RuntimeError("insert failed")
    assert (await stack.services.codes.require_state(send.transaction))["attempts_left"] == 5
    assert await _use(stack.services.codes, send, code) == "ok"


async def test_otp_14_a_password_that_can_be_mended_costs_neither_code_nor_attempt(stack: Stack) -> None:
    """Shape is judged before the code is touched."""
    page = await stack.page()
    queued = (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]
    code = (await stack.provider.nth(1)).code
    form = {"mobile": MOBILE, "sms_code": code, "transaction": queued["transaction"]}
    refused = await page.ask("user.register", password="short", **form)
    assert list(refused["data"]["params"]["fields"]) == ["password"]
    assert (await page.ask("sms.watch", transaction=queued["transaction"]))["data"]["attempts_left"] == 5
    assert (await page.ask("user.register", password=PASSWORD, **form))["type"] == "user.registered"


async def test_a_hold_whose_process_died_lapses(stack: Stack) -> None:
    """After 20 s the code is good again."""
    send = await _issue(stack)
    code = await _code(stack, send)
    never_ended = stack.services.codes.used(MOBILE, "register", send.transaction, code)
    await never_ended.__aenter__()
    assert await _use(stack.services.codes, send, code) == "sms_code_invalid"
    stack.clock.advance(21)
    assert await _use(stack.services.codes, send, code) == "ok"
    await never_ended.__aexit__(None, None, None)


async def test_otp_2_no_code_is_stored_anywhere(start: Start) -> None:
    """Neither Redis nor Mongo holds the six digits, in any key, field, list or stream, before and after their use."""
    stack = await start(sandbox=True)
    page = await stack.page()
    await page.ask("sms.send", mobile=MOBILE, purpose="register")
    done = await page.state("delivered")
    assert stack.services.inbox is not None
    shown = (await stack.services.inbox.newest())[0]
    assert shown["code"] in shown["text"]
    before = await _everything(stack)
    answer = await page.ask(
        "user.register",
        mobile=MOBILE,
        password=PASSWORD,
        sms_code=shown["code"],
        transaction=done["transaction"],
    )
    assert answer["type"] == "user.registered"
    for found in (before, await _everything(stack)):
        assert MOBILE in found, "the dump looks at what is there"
        assert not _standing_alone(shown["code"], found)


def _standing_alone(code: str, text: str) -> bool:
    """The digits, not as a part of a longer number or word."""
    pieces = text.split(code)
    return any(not (a[-1:].isalnum() or b[:1].isalnum()) for a, b in itertools.pairwise(pieces))


async def _everything(stack: Stack) -> str:
    client = stack.redis.client
    readers = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "set": client.smembers,
        "stream": lambda key: client.xrange(key),
    }
    keys = [key for key in await client.keys("*") if not _is_bitmap(key)]
    found = [f"{key} {await readers[await client.type(key)](key)}" for key in keys]
    for name in await stack.mongo.db.list_collection_names():
        found += [str(document) for document in await stack.mongo.db[name].find().to_list(None)]
    return "\n".join(found)


def _is_bitmap(key: str) -> bool:
    """Of a block of numbers: bits, and no digits."""
    return key.startswith("free:") and not key.endswith(":pen")


async def test_rc_6_a_code_that_is_used_while_a_new_one_is_made_is_the_only_one_that_works(stack: Stack) -> None:
    """It was right before the resend, so the transaction is over with it."""
    codes, send = stack.services.codes, await _issue(stack)
    old = await _code(stack, send)
    stack.clock.advance(181)
    async with codes.used(MOBILE, "register", send.transaction, old):
        again = await _issue(stack, transaction=send.transaction)
        new = await _code(stack, again)
    assert new != old
    assert await _use(codes, send, new) == "sms_code_invalid"
    assert await codes.get_state(send.transaction) is None


async def test_rc_6_a_use_that_fails_while_a_new_code_is_made_leaves_the_new_one_with_its_attempts(
    stack: Stack,
) -> None:
    """And the old one void."""
    codes, send = stack.services.codes, await _issue(stack)
    old = await _code(stack, send)
    stack.clock.advance(181)
    again = send
    with suppress(AppError):
        async with codes.used(MOBILE, "register", send.transaction, old):
            again = await _issue(stack, transaction=send.transaction)
            raise AppError("busy")
    assert (await codes.require_state(send.transaction))["attempts_left"] == 5
    assert await _use(codes, send, old) == "sms_code_invalid"
    assert await _use(codes, again, await _code(stack, again)) == "ok"


async def test_otp_13_whatever_is_wrong_with_a_code_the_answer_is_the_same(stack: Stack) -> None:
    """Wrong, expired, void, used and never sent: status, code, text and params, and the header names."""
    rest = stack.rest()

    async def answer(send: Send, code: str) -> tuple[Any, ...]:
        form = {"mobile": MOBILE, "sms_code": code, "transaction": send.transaction, "new_password": f"{PASSWORD}!"}
        refused = await rest.post("/user/password/reset/", form)
        error = {name: value for name, value in refused.error.items() if name != "request_id"}
        return refused.status, error, sorted(refused.headers)

    async def issue() -> Send:
        stack.clock.advance(901)
        codes = stack.services.codes
        return await codes.issue(codes.plan(MOBILE, None), "reset", locale="zh_CN", silent=True)

    wrong, void, used, late = [await issue() for _ in range(4)]
    found = [await answer(late, await _code(stack, late))]  # right, but nobody has this number
    for _ in range(5):
        found.append(await answer(void, _wrong(await _code(stack, void))))
    fresh = await issue()
    right = await _code(stack, fresh)
    async with stack.services.codes.used(MOBILE, "reset", fresh.transaction, right):
        pass
    never = Send(fresh.transaction[:9] + "A" * 22, MOBILE, "", "", "", False)
    for send, code in ((fresh, right), (never, "123456"), (wrong, "000000"), (used, "000000")):
        found.append(await answer(send, code))
    assert all(one == found[0] for one in found)
    assert found[0][1]["code"] == "sms_code_invalid"
    assert found[0][1]["params"] == {}


@pytest.mark.parametrize("purpose", ["register", "login", "reset", "change-old", "change-new"])
def test_otp_16_an_sms_names_service_purpose_and_life_and_warns(purpose: str) -> None:
    """In both languages; one for each purpose, and no two alike."""
    params = {"site": "Shop", "code": "123456", "minutes": 5}
    for locale, warning in (("zh_CN", "请勿告诉他人"), ("en_US", "not share")):
        words = text(locale, f"sms.text.{purpose}", params)
        assert not [part for part in ("Shop", "123456", "5", warning) if part not in words], words
        others = [text(locale, f"sms.text.{one}", params) for one in SMS_PURPOSES if one != purpose]
        assert words not in others


async def test_otp_16_an_sms_ends_with_the_line_that_binds_it_to_the_site(start: Start) -> None:
    """Where the site has an address; a notice has no code to bind."""
    stack = await start(SITE_URL="https://shop.example")
    await _send_sms(stack)
    assert (await stack.provider.nth(1)).text.splitlines()[-1] == f"@shop.example #{stack.provider.sent[0].code}"


async def _send_sms(stack: Stack) -> None:
    caller = Caller(address="127.0.0.1", request_id="r")
    await stack.services.sending.send(mobile=MOBILE, purpose="register", caller=caller)

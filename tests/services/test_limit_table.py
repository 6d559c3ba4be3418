"""Each row of the tables in docs/security.md: what is refused, for how long, and that the wait is true."""

from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from server.caller import Caller
from server.errors import AppError
from server.rates import Few, Run
from server.services.rooms import LEASE_S
from server.settings import Settings, SettingsFault
from server.stores.limits import LimitStore
from server.tags import Tag
from tests.conftest import Stack
from tests.handlers.test_page_socket import refusal_of
from tests.helpers import MOBILE, PASSWORD, Answer
from tests.people import bearer, code_for, sign_in, sign_up
from tests.services.test_captcha import solve

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
_WHO = Tag("abcdef01", "somebody")
NEW = "another battery, staple"


async def wait_is_true(stack: Stack, again: Callable[[], Awaitable[Answer]], code: str) -> None:
    """One second sooner is refused, at the second told it is not."""
    refused = await again()
    assert refused.error["code"] == code, refused.body
    wait = refused.error["params"]["retry_after"]
    stack.clock.advance(wait - 1.5)
    assert (await again()).error["code"] == code
    stack.clock.advance(1.5)
    last = await again()
    assert last.status < 400 or last.error["code"] != code, last.body


def apart(number: int) -> str:
    """Numbers of different blocks that are nobody's neighbours."""
    return f"154{number:04d}{number * 3 % 1000:04d}"


def sender(stack: Stack, **headers: str) -> Callable[..., Awaitable[Answer]]:
    """Asks for an SMS to a fresh number each time."""
    count = iter(range(10_000))

    async def send(mobile: str = "", purpose: str = "register") -> Answer:
        body = {"mobile": mobile or apart(next(count)), "purpose": purpose}
        return await stack.rest().post("/user/sms/", body, **headers)

    return send


async def test_few_different_ones_pass_and_the_known_ones_always(stack: Stack) -> None:
    """Each counts from its first time on."""
    store = LimitStore(stack.redis)

    async def outcome(member: str) -> str:
        return (await store.charge("t", _WHO, (Few("f", 3, 100, member),), mode="enforce")).outcome

    assert [await outcome(member) for member in "abcabd"] == ["ok"] * 5 + ["refused"]
    stack.clock.advance(101)
    assert await outcome("d") == "ok"


async def test_neighbours_shut_the_door_for_an_hour(stack: Stack) -> None:
    """Also for others; numbers that are nobody's neighbours never do."""
    store = LimitStore(stack.redis)

    async def outcome(number: int, within: str = "b") -> str:
        run = Run("run", 4, 600, str(number), within)
        return (await store.charge("t", _WHO, (run,), mode="enforce")).outcome

    assert [await outcome(number) for number in range(0, 40, 2)] == ["ok"] * 20
    assert [await outcome(number, "c") for number in (7, 9, 8)] == ["ok", "ok", "ok"]
    assert await outcome(6, "c") == "refused"
    assert await outcome(100, "c") == "refused"
    assert await outcome(100, "d") == "ok"
    stack.clock.advance(3601)
    assert await outcome(100, "c") == "ok"


# SMS


async def test_rl_1_an_address_and_its_network_have_so_many_sms(start: Start) -> None:
    """Five times the soft limit of the address; of the network all its addresses together."""
    stack = await start(TRUSTED_PROXIES="127.0.0.1", LIMIT_SMS_ADDRESS_BURST="2", LIMIT_SMS_NETWORK_HOUR="4")
    one = sender(stack, X_Forwarded_For="203.0.113.1")
    assert {(await one()).status for _ in range(10)} == {202}
    assert (await one()).error["code"] == "sms_limit"
    other = sender(stack, X_Forwarded_For="203.0.113.2")
    for number in range(10):
        assert (await other(apart(100 + number))).status == 202
    third = sender(stack, X_Forwarded_For="203.0.113.3")
    await wait_is_true(stack, lambda: third(apart(300)), "sms_limit")


async def test_rl_1_a_browser_has_so_many_sms_to_so_many_numbers(start: Start) -> None:
    """Whatever its address is; a program without the cookie has the other limits."""
    stack = await start()
    send = sender(stack, Cookie="device=abcdefgh")
    for number in range(3):
        assert (await send(apart(number))).status == 202
    refused = await send(apart(50))
    assert refused.error["code"] == "sms_limit"
    assert refused.error["params"]["retry_after"] > 86_000
    stack.clock.advance(61)
    assert (await send(apart(0))).status == 202
    stack.clock.advance(61)
    assert (await send(apart(0))).status == 202
    stack.clock.advance(61)
    await wait_is_true(stack, lambda: send(apart(1)), "sms_limit")


async def test_rl_1_a_block_of_numbers_has_so_many_sms(start: Start) -> None:
    """Thirty in ten minutes, from whomever."""
    stack = await start(LIMIT_SMS_ADDRESS_HOUR="1000", LIMIT_SMS_ADDRESS_BURST="1000")
    send = sender(stack)
    for number in range(30):
        assert (await send(f"1540007{number * 7:04d}")).status == 202
    await wait_is_true(stack, lambda: send("15400079999"), "sms_limit")


async def test_rl_6_neighbouring_numbers_shut_their_block(start: Start) -> None:
    """The tenth is refused, and so is everybody of the block for an hour."""
    stack = await start(LIMIT_SMS_ADDRESS_HOUR="1000", LIMIT_SMS_ADDRESS_BURST="1000")
    send = sender(stack)
    answers = [await send(f"1540007{number:04d}") for number in range(10)]
    assert [answer.status for answer in answers] == [202] * 9 + [429]
    other = await send("15400079999")
    assert 3500 < other.error["params"]["retry_after"] <= 3600
    assert (await send("15400089999")).status == 202


@pytest.mark.parametrize("purpose", ["reset", "claim"])
async def test_rl_1_a_number_has_three_sms_an_hour_for_a_new_password_or_a_claim(stack: Stack, purpose: str) -> None:
    """Known or not."""
    send = sender(stack)
    for _ in range(3):
        assert (await send(MOBILE, purpose)).status == 202
        stack.clock.advance(61)
    await wait_is_true(stack, lambda: send(MOBILE, purpose), "sms_limit")


# Codes


async def wrong_codes(stack: Stack, count: int, purpose: str = "login") -> dict[str, str]:
    """So many wrong codes, four for each SMS; the last SMS, whose code is good."""
    tried: dict[str, str] = {}
    for number in range(count):
        if number % 4 == 0:
            stack.clock.advance(901)
            tried = await code_for(stack, purpose=purpose)
        wrong = f"{(int(tried['sms_code']) + 1) % 1_000_000:06d}"
        answer = await stack.rest().post("/user/login/", {"mobile": MOBILE} | tried | {"sms_code": wrong})
        assert answer.error["code"] == "sms_code_invalid"
    return tried


async def test_otp_4_wrong_codes_of_a_number_are_counted_over_all_its_sms(start: Start) -> None:
    """After ten in an hour the right one fails too, and none is sent; another purpose is not touched."""
    stack = await start(LIMIT_SMS_MOBILE_HOUR="100", LIMIT_SMS_MOBILE_DAY="100")
    await sign_up(stack)
    rest = stack.rest()
    tried: dict[str, str] = {}
    for number in range(10):
        if number % 4 == 0:
            stack.clock.advance(61)
            tried = await code_for(stack, purpose="login")
        wrong = f"{(int(tried['sms_code']) + 1) % 1_000_000:06d}"
        await rest.post("/user/login/", {"mobile": MOBILE} | tried | {"sms_code": wrong})
    assert (await rest.post("/user/login/", {"mobile": MOBILE} | tried)).error["code"] == "sms_code_invalid"
    stack.clock.advance(61)
    assert (await code_for(stack, purpose="reset"))["sms_code"]
    stack.clock.advance(61)
    await wait_is_true(stack, lambda: rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "login"}), "sms_limit")


async def test_otp_6_a_stranger_without_the_transaction_burns_nobody_s_tries(stack: Stack) -> None:
    """Only tries that name an SMS of this number count."""
    await sign_up(stack)
    rest = stack.rest()
    own = await code_for(stack, purpose="login")
    for _ in range(30):
        foreign = {"mobile": MOBILE, "sms_code": "000000", "transaction": own["transaction"][:9] + "A" * 22}
        assert (await rest.post("/user/login/", foreign)).error["code"] == "sms_code_invalid"
    assert (await rest.post("/user/login/", {"mobile": MOBILE} | own)).status == 200


async def test_otp_15_a_right_code_forgets_the_wrong_ones_of_its_purpose(start: Start) -> None:
    """Of no other: each purpose has its own count."""
    stack = await start(LIMIT_CODE_WRONG_HOUR="6", LIMIT_SMS_MOBILE_HOUR="100", LIMIT_SMS_MOBILE_DAY="100")
    await sign_up(stack)
    rest = stack.rest()
    for _ in range(3):
        stack.clock.advance(61)
        own = await code_for(stack, purpose="login")
        for _ in range(4):
            wrong = f"{(int(own['sms_code']) + 1) % 1_000_000:06d}"
            await rest.post("/user/login/", {"mobile": MOBILE} | own | {"sms_code": wrong})
        assert (await rest.post("/user/login/", {"mobile": MOBILE} | own)).status == 200


async def test_otp_5_a_way_with_too_many_failures_is_closed_until_another_succeeds(start: Start) -> None:
    """Codes are, until the password signs in; the password is, until a code does."""
    stack = await start(LIMIT_CODE_WRONG_EVER="6", LIMIT_LOGIN_WRONG_EVER="4", LIMIT_LOGIN_WAIT_FROM="100")
    await sign_up(stack)
    rest = stack.rest()
    tried = await wrong_codes(stack, 6)
    assert (await rest.post("/user/login/", {"mobile": MOBILE} | tried)).error["code"] == "sms_code_invalid"
    stack.clock.advance(901)
    send = {"mobile": MOBILE, "purpose": "login"}
    assert (await rest.post("/user/sms/", send)).error["code"] == "method_stopped"
    assert (await sign_in(rest)).status == 200
    own = await code_for(stack, purpose="login")
    assert [(await sign_in(rest, "wrong")).status for _ in range(4)] == [401] * 4
    assert (await sign_in(rest)).error["code"] == "method_stopped"
    assert (await rest.post("/user/login/", {"mobile": MOBILE} | own)).status == 200
    assert (await sign_in(rest)).status == 200


async def test_rl_1_an_address_has_so_many_wrong_codes(start: Start) -> None:
    """At five times the soft limit it has to wait, whichever numbers it tries."""
    stack = await start(LIMIT_CODE_ADDRESS_HOUR="2")
    form = {"mobile": MOBILE, "sms_code": "000000", "transaction": "x"}
    again = lambda: stack.rest().post("/user/login/", form)  # noqa: E731
    for _ in range(10):
        assert (await again()).error["code"] == "sms_code_invalid"
    await wait_is_true(stack, again, "rate_limited")


async def test_otp_5_while_many_codes_are_wrong_everywhere_each_costs_a_captcha(start: Start) -> None:
    """One code tried on many numbers, from many addresses, meets no other limit."""
    stack = await start(CAPTCHA_PROVIDER="altcha", LIMIT_CODE_SERVICE_HOUR="3")
    form = {"mobile": MOBILE, "sms_code": "000000", "transaction": "x"}
    rest = stack.rest()
    codes = [(await rest.post("/user/login/", form)).error["code"] for _ in range(5)]
    assert codes == ["sms_code_invalid"] * 4 + ["captcha_required"]
    challenge = (await rest.get("/user/captcha/?purpose=login")).body["challenge"]
    answer = await rest.post("/user/login/", form | {"captcha": solve(challenge)})
    assert answer.error["code"] == "sms_code_invalid"


# Passwords


async def test_rl_1_wrong_passwords_make_the_next_one_wait_known_or_not(stack: Stack) -> None:
    """From the fifth on, each twice as long; tries inside the wait change nothing, and a right one forgets them."""
    await sign_up(stack)
    rest = stack.rest()
    for account in (MOBILE, "15400000099"):
        for _ in range(5):
            assert (await sign_in(rest, "wrong", account)).error["code"] == "credentials_invalid"
        for expected in (1, 2, 4, 8):
            for _ in range(3):
                refused = await sign_in(rest, "wrong", account)
                assert (refused.error["code"], refused.error["params"]) == ("rate_limited", {"retry_after": expected})
            stack.clock.advance(expected)
            assert (await sign_in(rest, "wrong", account)).error["code"] == "credentials_invalid"
    stack.clock.advance(16)
    assert (await sign_in(rest)).status == 200
    assert (await sign_in(rest, "wrong")).error["code"] == "credentials_invalid"
    assert (await sign_in(rest)).status == 200


async def test_an_account_is_guarded_under_both_its_names_and_wherever_its_password_is_asked(stack: Stack) -> None:
    """Number, username, and the forms behind the login."""
    made = await sign_up(stack)
    rest, token = stack.rest(), bearer(made.body["token"])
    for account in (MOBILE, made.body["username"], MOBILE):
        await sign_in(rest, "wrong", account)
    for _ in range(2):
        await rest.post("/user/password/", {"password": "wrong", "new_password": NEW}, **token)
    refused = await rest.post("/user/password/", {"password": PASSWORD, "new_password": NEW}, **token)
    assert refused.error["code"] == "rate_limited"
    assert (await sign_in(rest)).error["code"] == "rate_limited"


async def test_rl_8_a_login_costs_a_captcha_from_the_third_failure_on(start: Start) -> None:
    """For that account, from wherever."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    rest = stack.rest()
    found = [(await sign_in(rest, "wrong")).error["code"] for _ in range(4)]
    assert found == ["credentials_invalid"] * 3 + ["captcha_required"]


async def test_rl_1_an_address_has_so_many_accounts_with_wrong_passwords(start: Start) -> None:
    """One password tried on many accounts."""
    stack = await start(LIMIT_LOGIN_ADDRESS_ACCOUNTS="1", LIMIT_LOGIN_ADDRESS_5MIN="1000")
    rest = stack.rest()
    for number in range(5):
        assert (await sign_in(rest, "wrong", apart(number))).error["code"] == "credentials_invalid"
    await wait_is_true(stack, lambda: sign_in(rest, "wrong", apart(9)), "rate_limited")


# Is this number taken?


async def test_rl_1_all_that_tells_whether_a_number_is_taken_has_one_budget(start: Start) -> None:
    """The check, a send and a registration; a fifth question too many is refused whichever way it is asked."""
    stack = await start(LIMIT_CHECK_ADDRESS_MINUTE="1")
    rest = stack.rest()
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": "000000", "transaction": "x"}
    ways = (
        lambda: rest.get(f"/user/mobile/{apart(1)}/"),
        lambda: rest.post("/user/sms/", {"mobile": apart(2), "purpose": "register"}),
        lambda: rest.post("/user/", form),
    )
    for way in (*ways, ways[0], ways[0]):
        await way()
    for way in ways:
        assert (await way()).error["code"] == "rate_limited"
    await wait_is_true(stack, ways[0], "rate_limited")


async def test_rl_8_the_eleventh_number_costs_a_captcha(start: Start) -> None:
    """Those that were asked about before do not."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    rest = stack.rest()
    for number in range(10):
        assert (await rest.get(f"/user/mobile/{apart(number)}/")).status == 200
    asked = await rest.get(f"/user/mobile/{apart(50)}/")
    assert (asked.error["code"], asked.error["params"]) == ("captcha_required", {"purpose": "check"})
    assert (await rest.get(f"/user/mobile/{apart(3)}/")).status == 200
    challenge = (await rest.get("/user/captcha/?purpose=check")).body["challenge"]
    assert (await rest.get(f"/user/mobile/{apart(50)}/", X_Captcha=solve(challenge))).status == 200


async def test_rl_1_who_asks_about_neighbours_hears_no_more_of_their_block(stack: Stack) -> None:
    """Only that address, and only about that block."""
    rest = stack.rest()
    found = [(await rest.get(f"/user/mobile/1540007{number:04d}/")).status for number in range(31)]
    assert found == [200] * 29 + [429, 429]
    await wait_is_true(stack, lambda: rest.get("/user/mobile/15400079999/"), "rate_limited")


async def test_where_nobody_is_told_all_numbers_look_free_until_the_sms(start: Start) -> None:
    """UNIQUENESS=off: check, send and registration say the same of both, and only the free one gets an SMS."""
    stack = await start(UNIQUENESS="off")
    form = {"mobile": MOBILE, "password": PASSWORD} | await code_for(stack)
    rest = stack.rest()
    assert (await rest.post("/user/", form)).status == 201
    stack.clock.advance(61)
    sent = len(stack.provider.sent)
    seen = []
    for mobile in (MOBILE, apart(7)):
        checked = await rest.get(f"/user/mobile/{mobile}/")
        queued = await rest.post("/user/sms/", {"mobile": mobile, "purpose": "register"})
        tried = {"sms_code": "000000", "transaction": queued.body["transaction"]}
        registered = await rest.post("/user/", {"mobile": mobile, "password": PASSWORD} | tried)
        seen.append((checked.status, checked.body["available"], queued.status, registered.error["code"]))
    assert seen == [(200, None, 202, "sms_code_invalid")] * 2
    assert (await stack.provider.nth(sent + 1)).mobile == apart(7)
    assert len(stack.provider.sent) == sent + 1


async def test_where_each_question_costs_a_captcha_the_first_does_too(start: Start) -> None:
    """UNIQUENESS=captcha."""
    stack = await start(UNIQUENESS="captcha", CAPTCHA_PROVIDER="altcha")
    rest = stack.rest()
    assert (await rest.get(f"/user/mobile/{MOBILE}/")).error["code"] == "captcha_required"
    challenge = (await rest.get("/user/captcha/?purpose=check")).body["challenge"]
    assert (await rest.get(f"/user/mobile/{MOBILE}/", X_Captcha=solve(challenge))).status == 200


# Websockets


async def test_ws_7_an_address_has_so_many_websockets_open(start: Start) -> None:
    """Over all processes; a place is free again when one closes, or when the lease of a dead process ends."""
    stack = await start(LIMIT_SOCKET_ADDRESS_OPEN="1")
    rooms = stack.services.rooms
    pages: list[object] = [object() for _ in range(5)]
    for page in pages:
        await rooms.enter_address(page, "203.0.113.1")
    with pytest.raises(AppError, match="rate_limited"):
        await rooms.enter_address(object(), "203.0.113.1")
    await rooms.enter_address(object(), "203.0.113.2")
    rooms.leave(pages[0])
    late = object()
    while True:
        try:
            await rooms.enter_address(late, "203.0.113.1")
            break
        except AppError:
            continue
    stack.clock.advance(LEASE_S + 1)
    for _ in range(5):
        await rooms.enter_address(object(), "203.0.113.1")


async def test_ws_7_places_are_kept_while_their_process_lives(start: Start) -> None:
    """They are renewed before their lease ends."""
    stack = await start(LIMIT_SOCKET_ADDRESS_OPEN="1")
    rooms, pages = stack.services.rooms, [object() for _ in range(5)]
    for page in pages:
        await rooms.enter_address(page, "203.0.113.1")
    stack.clock.advance(LEASE_S - 10)
    await rooms._renew()
    stack.clock.advance(LEASE_S - 10)
    with pytest.raises(AppError, match="rate_limited"):
        await rooms.enter_address(object(), "203.0.113.1")


async def test_ws_7_the_handshake_of_one_too_many_is_refused(start: Start) -> None:
    """429 with Retry-After, and no place is left behind by a handshake that failed."""
    stack = await start(LIMIT_SOCKET_ADDRESS_OPEN="1")
    rest = stack.rest()
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13", "Origin": rest.base}
    for _ in range(6):
        assert (await rest.get("/ws", **upgrade)).status == 400  # without a key there is no handshake
    for _ in range(5):
        await stack.page()
    assert await refusal_of(stack, Origin=rest.base) == (429, "rate_limited")


async def test_ws_7_five_websockets_speak_for_one_session(stack: Stack) -> None:
    """The sixth goes on as a stranger."""
    made = await sign_up(stack)
    token = made.body["token"]
    answers = [await (await stack.page()).ask("session.authenticate", token=token) for _ in range(6)]
    assert [answer["type"] for answer in answers] == ["session.bound"] * 5 + ["error"]
    assert answers[5]["data"]["code"] == "rate_limited"


# The numbers


def test_the_numbers_are_settings(tmp_path: Path) -> None:
    """One that will not do, or a name that is none, stops the start with a sentence that names it."""
    keys = {"VAR_DIR": str(tmp_path)}
    assert Settings.from_env(keys | {"LIMIT_SMS_MOBILE_HOUR": " 7 "}).limit_rules.sms_mobile_hour == 7
    for name, value in (("LIMIT_SMS_MOBILE_HOUR", "0"), ("LIMIT_SMS_MOBILE_HOUR", "x"), ("LIMIT_SMS_PER_HOUR", "5")):
        with pytest.raises(SettingsFault, match=name):
            Settings.from_env(keys | {name: value})


async def test_rl_10_each_refusal_is_counted_without_a_number_in_it(stack: Stack) -> None:
    """By what was asked and by the limit that refused."""
    rest = stack.rest()
    for number in range(31):
        await rest.get(f"/user/mobile/1540007{number:04d}/")
    exposition = stack.services.metrics.exposition().decode()
    assert 'haoma_limit_refusals_total{action="number.taken",dimension="address_run"} 2.0' in exposition
    assert "1540007" not in exposition


async def test_an_observed_limit_refuses_nothing_and_counts(start: Start) -> None:
    """But never lets a guess through that the attempts would stop."""
    stack = await start(LIMITS="observe", LIMIT_SMS_ADDRESS_HOUR="1", LIMIT_SMS_ADDRESS_BURST="1")
    send = sender(stack)
    assert {(await send()).status for _ in range(8)} == {202}
    caller = Caller(address="127.0.0.1", request_id="r")
    for _ in range(8):
        with pytest.raises(AppError, match="credentials_invalid"):
            await stack.services.accounts.login(account=MOBILE, password="x", caller=caller, captcha_passed=False)
    assert "account_wait" in stack.services.metrics.exposition().decode()


async def test_rl_6_who_is_refused_for_another_reason_shuts_no_block(start: Start) -> None:
    """The number that would make the run full comes from an address that has had its SMS."""
    stack = await start(TRUSTED_PROXIES="127.0.0.1")
    used_up = sender(stack, X_Forwarded_For="203.0.113.77")
    for number in range(25):
        if (await used_up(apart(number))).status != 202:
            break
    for number in range(9):
        neighbour = sender(stack, X_Forwarded_For=f"198.51.{number}.1")
        assert (await neighbour(f"1540007{number:04d}")).status == 202
    refused = await used_up("15400070009")
    assert refused.error["code"] == "sms_limit"
    assert (await sender(stack, X_Forwarded_For="198.51.100.1")("15400079999")).status == 202

"""Access tokens over both transports; sessions listed, ended, and their pages sent away."""

import asyncio
import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tornado.httputil import parse_cookie

from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, Answer, RestClient
from tests.people import bearer, seen_off
from tests.people import signed_in_page as bound_page

pytestmark = pytest.mark.gen_test(timeout=30)
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"
)
WECHAT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "MicroMessenger/8.0.53 NetType/WIFI Language/zh_CN"
)


async def sign_up(stack: Stack, rest: RestClient, mobile: str = MOBILE, **headers: str) -> Answer:
    """An account and its first session."""
    sent = len(stack.provider.sent)
    transaction = (await rest.post("/user/sms/", {"mobile": mobile, "purpose": "register"})).body["transaction"]
    code = (await stack.provider.nth(sent + 1)).code
    form = {"mobile": mobile, "password": PASSWORD, "sms_code": code, "transaction": transaction}
    made = await rest.post("/user/", form, **headers)
    assert made.status == 201, made.body
    return made


async def sign_in(rest: RestClient, **headers: str) -> Answer:
    opened = await rest.post("/user/login/", {"account": MOBILE, "password": PASSWORD}, **headers)
    assert opened.status == 200, opened.body
    return opened


def cookie_of(answer: Answer) -> str:
    return f"refresh={parse_cookie(answer.headers['Set-Cookie'])['refresh']}"


async def log_out(rest: RestClient, opened: Answer) -> None:
    ended = await rest.post("/user/logout/", {}, Cookie=cookie_of(opened), Sec_Fetch_Site="same-origin")
    assert ended.status == 204


async def listed(rest: RestClient, token: str, **headers: str) -> list[dict[str, Any]]:
    answer = await rest.get("/user/sessions/?lang=zh-CN", **bearer(token), **headers)
    assert answer.status == 200, answer.body
    return list(answer.body["sessions"])


def strange_tokens(stack: Stack, token: str) -> list[str]:
    """Made from a good one; the last five even with our own signature."""
    head, body, signature = token.split(".")
    claims = stack.services.tokens.claims_of(token)
    key = Ed25519PrivateKey.from_private_bytes(stack.settings.ring("TOKEN_KEYS").newest[1][:32])

    def headed(raw: str) -> str:
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=") + f".{body}.{signature}"

    def signed(changed: dict[str, Any] = claims, **header: Any) -> str:
        return jwt.encode(changed, key, algorithm="EdDSA", headers={"kid": "t1", "typ": "at+jwt"} | header)

    return [
        "x",
        "a.b.c",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[::-1]}",
        headed('{"alg":"none","typ":"at+jwt","kid":"t1"}'),
        headed('{"alg":"EdDSA","typ":"at+jwt","kid":""}'),
        headed('{"alg":"EdDSA","typ":"at+jwt","kid":"../../etc/passwd"}'),
        headed('{"alg":"EdDSA","typ":"at+jwt","kid":["t1"]}'),
        headed("[" * 2500),
        jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": "t1", "typ": "at+jwt"}),
        signed(claims | {"exp": claims["iat"] + 901}),
        signed({name: value for name, value in claims.items() if name != "exp"}),
        signed(jku=f"http://127.0.0.1:{stack.port}/.well-known/jwks.json"),
        signed(crit=["b64"], b64=True),
        signed(jwk={"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
    ]


async def test_tok_1_what_needs_a_login_takes_a_bearer_token_and_nothing_less(stack: Stack, rest: RestClient) -> None:
    """Over REST the header, over a websocket `session.authenticate`; without one 401 `token_invalid`."""
    token = (await sign_up(stack, rest)).body["token"]
    for headers in ({}, {"Authorization": token}, {"Authorization": f"Basic {token}"}, {"Authorization": "Bearer"}):
        refused = await rest.get("/user/sessions/", **headers)
        assert (refused.status, refused.error["code"]) == (401, "token_invalid"), headers
        assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert len(await listed(rest, token)) == 1
    page = await stack.page()
    assert (await page.ask("session.list"))["data"]["code"] == "token_invalid"
    assert (await page.ask("session.authenticate", token=token))["data"].keys() == {"username"}
    assert len((await page.ask("session.list"))["data"]["sessions"]) == 1


async def test_tok_1_a_socket_speaks_for_a_session_no_longer_than_the_token_lives(
    stack: Stack, rest: RestClient
) -> None:
    """Then it is refused until it brings the next one; what needs no login goes on."""
    opened = await sign_up(stack, rest)
    page = await bound_page(stack, opened.body["token"])
    stack.clock.advance(931)
    assert (await page.ask("session.list"))["data"]["code"] == "token_invalid"
    assert (await page.ask("ping"))["type"] == "pong"
    renewed = await rest.post("/user/refresh/", {}, Cookie=cookie_of(opened), Sec_Fetch_Site="same-origin")
    await page.ask("session.authenticate", token=renewed.body["token"])
    assert (await page.ask("session.list"))["type"] == "session.listed"


async def test_tok_2_strange_tokens_are_401_on_every_way_in(stack: Stack, rest: RestClient) -> None:
    """REST, `session.authenticate` and the handshake: never 500, and nothing is fetched."""
    token = (await sign_up(stack, rest)).body["token"]
    page = await stack.page()
    before = (await rest.get("/metrics")).body.decode().count("jwks")
    for strange in strange_tokens(stack, token):
        refused = await rest.get("/user/sessions/", **bearer(strange))
        assert (refused.status, refused.error["code"]) == (401, "token_invalid"), strange[:80]
        answer = await page.ask("session.authenticate", token=strange)
        assert answer["data"]["code"] == "token_invalid", strange[:80]
    assert (await rest.get("/metrics")).body.decode().count("jwks") == before
    large = await rest.get("/user/sessions/", **bearer("x" * 64_000))
    assert large.status == 431


async def test_tok_8_a_refresh_token_is_no_access_token(stack: Stack, rest: RestClient) -> None:
    """Nor is an access token good as the cookie."""
    opened = await sign_up(stack, rest)
    refresh = cookie_of(opened).partition("=")[2]
    assert (await rest.get("/user/sessions/", **bearer(refresh))).status == 401
    page = await stack.page()
    assert (await page.ask("session.authenticate", token=refresh))["data"]["code"] == "token_invalid"
    swapped = await rest.post(
        "/user/refresh/", {}, Cookie=f"refresh={opened.body['token']}", Sec_Fetch_Site="same-origin"
    )
    assert swapped.status == 401


async def test_tok_8_a_token_that_is_not_good_is_none_where_none_is_needed(stack: Stack, rest: RestClient) -> None:
    """A client that sends its expired token with everything can still refresh and check numbers."""
    opened = await sign_up(stack, rest)
    stack.clock.advance(1000)
    stale = bearer(opened.body["token"])
    assert (await rest.get("/user/mobile/15400000009/", **stale)).status == 200
    renewed = await rest.post("/user/refresh/", {}, Cookie=cookie_of(opened), Sec_Fetch_Site="same-origin", **stale)
    assert renewed.status == 200


async def test_tok_6_logout_ends_the_access_token_and_sends_its_pages_away(stack: Stack, rest: RestClient) -> None:
    """The token of another session of the same account goes on working, and so does its page."""
    mine = await sign_up(stack, rest)
    other = await sign_in(rest)
    pages = [await bound_page(stack, mine.body["token"]) for _ in range(3)]
    another = await bound_page(stack, other.body["token"])
    assert len(await listed(rest, mine.body["token"])) == 2
    await log_out(rest, mine)
    assert [await seen_off(page) for page in pages] == ["logout"] * 3
    assert (await rest.get("/user/sessions/", **bearer(mine.body["token"]))).status == 401
    assert (await rest.ask("DELETE", "/user/sessions/", **bearer(mine.body["token"]))).status == 401
    page = await stack.page()
    refused = await page.ask("session.authenticate", token=mine.body["token"])
    assert refused["data"]["code"] == "token_invalid"
    assert (await another.ask("session.list"))["data"]["sessions"][0]["current"] is True


async def test_tok_6_what_binds_a_socket_ends_with_its_session(stack: Stack, rest: RestClient) -> None:
    """A registration, a login and a bearer token at the handshake, with and without an Origin."""
    made = await sign_up(stack, rest, "15400000002")
    sent = len(stack.provider.sent)
    registering = await stack.page()
    transaction = (await registering.ask("sms.send", mobile=MOBILE, purpose="register"))["data"]["transaction"]
    code = (await stack.provider.nth(sent + 1)).code
    form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": code, "transaction": transaction}
    user = (await registering.ask("user.register", **form))["data"]["id"]
    logging_in = await stack.page()
    await logging_in.ask("session.login", account=MOBILE, password=PASSWORD)
    token = (await sign_in(rest)).body["token"]
    greeting = await stack.page(**bearer(token))
    assert (await greeting.ask("session.list"))["type"] == "session.listed"
    stranger = await bound_page(stack, made.body["token"])
    await stack.services.sessions.end_all(user, "password")
    for page in (registering, logging_in, greeting):
        assert await seen_off(page) == "password"
    assert (await stranger.ask("session.list"))["type"] == "session.listed"


async def test_ws_13_what_was_sent_before_the_end_is_not_done_after_it(
    stack: Stack, rest: RestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message waits behind a slow one; the session ends; the slow one is answered, the other is not done."""
    made = await sign_up(stack, rest)
    page = await bound_page(stack, made.body["token"])
    begun, go_on = asyncio.Event(), asyncio.Event()
    login = stack.services.accounts.login

    async def slow(**given: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await login(**given)

    monkeypatch.setattr(stack.services.accounts, "login", slow)
    wrong = {"account": MOBILE, "password": "wrong password"}
    await page.send({"type": "session.login", "id": "slow", "data": wrong})
    await page.send({"type": "sms.send", "id": "late", "data": {"mobile": "15400000003", "purpose": "register"}})
    await begun.wait()
    await stack.services.sessions.end_all(made.body["id"], "password")
    await page.next_event("session.ended")
    go_on.set()
    assert (await page.next_event("error"))["id"] == "slow"
    assert (await page.closed)[0] == 4401
    assert (await rest.post("/user/sms/", {"mobile": "15400000003", "purpose": "register"})).status == 202


async def test_ws_13_a_change_is_refused_before_its_process_has_heard_of_the_end(
    stack: Stack, rest: RestClient
) -> None:
    """Two messages in one breath: the first ends the session, the second may no longer end the others."""
    mine, other = await sign_up(stack, rest), await sign_in(rest)
    page = await bound_page(stack, mine.body["token"])
    sid = stack.services.tokens.identify(mine.body["token"]).sid
    await page.send({"type": "session.end", "id": "first", "data": {"id": sid}})
    await page.send({"type": "session.end_others", "id": "late", "data": {}})
    assert (await page.closed)[0] == 4401
    assert len(await listed(rest, other.body["token"])) == 1


async def test_tok_6_a_change_is_refused_at_once_though_nobody_told_of_the_end(
    stack: Stack, rest: RestClient
) -> None:
    """Its record is gone and no message came; the process has just seen the session alive."""
    mine, other = await sign_up(stack, rest), await sign_in(rest)
    who = stack.services.tokens.identify(mine.body["token"])
    assert len(await listed(rest, mine.body["token"])) == 2
    await stack.redis.call("DEL", f"session:{{{who.user}}}:{who.sid}")
    refused = await rest.ask("DELETE", "/user/sessions/", **bearer(mine.body["token"]))
    assert (refused.status, refused.error["code"]) == (401, "token_invalid")
    assert len(await listed(rest, other.body["token"])) == 1


async def test_tok_10_sessions_are_listed_in_words(stack: Stack, rest: RestClient) -> None:
    """Newest first: device and network in words, times, and which one is asking."""
    mine = await sign_up(stack, rest, User_Agent=WINDOWS)
    stack.clock.advance(60)
    await sign_in(rest, User_Agent=WECHAT)
    stack.clock.advance(60)
    newer, older = await listed(rest, mine.body["token"])
    assert set(newer) == {"id", "device", "address", "created_at", "seen_at", "current"}
    assert (newer["device"], older["device"]) == ("微信 · iPhone", "Chrome · Windows")
    assert (newer["current"], older["current"]) == (False, True)
    assert newer["address"] == "127.0.0.*"
    assert 59 < newer["created_at"] - older["created_at"] < 62
    assert older["seen_at"] - older["created_at"] > 119
    english = (await rest.get("/user/sessions/?lang=en", **bearer(mine.body["token"]))).body["sessions"]
    assert english[0]["device"] == "WeChat · iPhone"


async def test_tok_10_one_session_ends_another_and_all_others(stack: Stack, rest: RestClient) -> None:
    """Their tokens, cookies and pages are done for; the one that asked goes on. Ending twice is no fault."""
    mine = await sign_up(stack, rest)
    others = [await sign_in(rest) for _ in range(3)]
    pages = [await bound_page(stack, other.body["token"]) for other in others]
    newest = (await listed(rest, mine.body["token"]))[0]["id"]
    for _ in range(2):
        ended = await rest.ask("DELETE", f"/user/sessions/{newest}/", **bearer(mine.body["token"]))
        assert (ended.status, ended.body) == (204, b"")
    assert await seen_off(pages[2]) == "ended"
    assert len(await listed(rest, mine.body["token"])) == 3
    page = await bound_page(stack, mine.body["token"])
    assert (await page.ask("session.end_others"))["type"] == "session.ended"
    assert [await seen_off(page) for page in pages[:2]] == ["ended"] * 2
    for other in others:
        assert (await rest.get("/user/sessions/", **bearer(other.body["token"]))).status == 401
        renewed = await rest.post("/user/refresh/", {}, Cookie=cookie_of(other), Sec_Fetch_Site="same-origin")
        assert renewed.status == 401
    assert len((await page.ask("session.list"))["data"]["sessions"]) == 1


async def test_tok_10_nobody_ends_the_session_of_another_account(stack: Stack, rest: RestClient) -> None:
    """Knowing its id is not enough."""
    mine, theirs = await sign_up(stack, rest), await sign_up(stack, rest, "15400000002")
    sid = (await listed(rest, theirs.body["token"]))[0]["id"]
    assert (await rest.ask("DELETE", f"/user/sessions/{sid}/", **bearer(mine.body["token"]))).status == 204
    assert len(await listed(rest, theirs.body["token"])) == 1


async def test_tok_10_the_eleventh_session_ends_the_oldest(stack: Stack, rest: RestClient) -> None:
    """Its page is told why."""
    first = await sign_up(stack, rest)
    page = await bound_page(stack, first.body["token"])
    for _ in range(9):
        last = await sign_in(rest)
        stack.clock.advance(1)
    assert len(await listed(rest, first.body["token"])) == 10
    last = await sign_in(rest)
    assert await seen_off(page) == "too_many"
    assert (await rest.get("/user/sessions/", **bearer(first.body["token"]))).status == 401
    assert len(await listed(rest, last.body["token"])) == 10


async def test_tok_10_a_session_without_a_cookie_is_over_with_its_token(stack: Stack, rest: RestClient) -> None:
    """One that was opened over a websocket is listed for fifteen minutes, not for a week."""
    mine = await sign_up(stack, rest)
    page = await stack.page()
    await page.ask("session.login", account=MOBILE, password=PASSWORD)
    assert len(await listed(rest, mine.body["token"])) == 2
    stack.clock.advance(931)
    renewed = await rest.post("/user/refresh/", {}, Cookie=cookie_of(mine), Sec_Fetch_Site="same-origin")
    assert len(await listed(rest, renewed.body["token"])) == 1


async def test_tok_4_reuse_of_an_old_cookie_ends_the_access_token_and_its_page(
    stack: Stack, rest: RestClient
) -> None:
    """The cookie of five refreshes ago: whoever has the newest is out, too."""
    made = await sign_up(stack, rest)
    newest = made
    for _ in range(5):
        cookie = cookie_of(newest)
        newest = await rest.post("/user/refresh/", {}, Cookie=cookie, Sec_Fetch_Site="same-origin")
    page = await bound_page(stack, newest.body["token"])
    reused = await rest.post("/user/refresh/", {}, Cookie=cookie_of(made), Sec_Fetch_Site="same-origin")
    assert reused.status == 401
    assert await seen_off(page) == "reused"
    assert (await rest.get("/user/sessions/", **bearer(newest.body["token"]))).status == 401
    again = await rest.post("/user/refresh/", {}, Cookie=cookie_of(newest), Sec_Fetch_Site="same-origin")
    assert again.status == 401


async def test_tok_10_the_store_keeps_no_whole_address(stack: Stack, rest: RestClient) -> None:
    """What is shown is all there is."""
    await sign_up(stack, rest)
    client = stack.redis.client
    dump = json.dumps([await client.hgetall(key) async for key in client.scan_iter("session:*")])
    assert "127.0.0.*" in dump
    assert "127.0.0.1" not in dump

"""Access tokens that anybody can verify, refresh tokens that work once."""

import asyncio
import base64
import dataclasses
import json
from itertools import pairwise
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tornado.ioloop import IOLoop

from server.caller import Caller
from server.errors import AppError
from server.events import topics
from server.feed import Feed
from server.keys import KeyRing
from server.services.access_tokens import AccessTokens
from server.services.audit import AuditService
from server.services.refresh_tokens import RefreshTokens
from server.services.sessions import SessionService
from server.stores.audit import AuditStore
from server.stores.sessions import SessionStore
from tests.conftest import Stack
from tests.helpers import MOBILE

pytestmark = pytest.mark.gen_test(timeout=30)
CALLER = Caller(address="203.0.113.7", request_id="r")
_USER = {"_id": "u1", "username": "hm_abcdefghij", "version": 1}
_REQUIRED = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "typ", "sid", "ver")


@pytest.fixture(autouse=True)
def _account(io_loop: IOLoop, stack: Stack) -> None:
    """Whose sessions they are."""
    io_loop.run_sync(lambda: stack.mongo.db.users.insert_one(_USER | {"mobile": MOBILE}))


def with_cookie(refresh: str) -> Caller:
    return dataclasses.replace(CALLER, refresh=refresh)


def _key(stack: Stack) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(stack.settings.ring("TOKEN_KEYS").newest[1][:32])


def _forge(stack: Stack, claims: dict[str, Any], **header: Any) -> str:
    return jwt.encode(claims, _key(stack), algorithm="EdDSA", headers={"kid": "t1", "typ": "at+jwt"} | header)


def _refused(tokens: AccessTokens, token: str) -> bool:
    try:
        tokens.identify(token)
    except AppError as fault:
        return fault.code == "token_invalid"
    return False


async def test_tok_1_an_access_token_has_all_claims_and_lives_15_minutes(stack: Stack) -> None:
    """EdDSA, `typ: at+jwt`, verified with the published keys alone."""
    opened = await stack.services.sessions.open(_USER, CALLER)
    header = jwt.get_unverified_header(opened.token)
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    claims = stack.services.tokens.claims_of(opened.token)
    assert set(_REQUIRED) <= claims.keys()
    assert claims["exp"] - claims["iat"] == 900 == opened.expires_in
    published = (await stack.rest().get("/.well-known/jwks.json")).body
    key = jwt.PyJWKSet.from_dict(published)[header["kid"]]
    assert jwt.decode(opened.token, key.key, algorithms=["EdDSA"], audience=claims["aud"])["sub"] == "u1"


async def test_tok_1_a_token_dies_with_its_time(stack: Stack) -> None:
    """Within a leeway of 30 s for clocks that differ."""
    token = (await stack.services.sessions.open(_USER, CALLER)).token
    stack.clock.advance(929)
    assert not _refused(stack.services.tokens, token)
    stack.clock.advance(2)
    assert _refused(stack.services.tokens, token)


@pytest.mark.parametrize("missing", _REQUIRED)
async def test_tok_1_a_token_without_a_required_claim_is_refused(stack: Stack, missing: str) -> None:
    """Even with our signature."""
    claims = stack.services.tokens.claims_of((await stack.services.sessions.open(_USER, CALLER)).token)
    del claims[missing]
    assert _refused(stack.services.tokens, _forge(stack, claims))


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 1e308},
        {"exp": 2**60},
        {"exp": True},
        {"exp": "tomorrow"},
        {"nbf": 2**40},
        {"typ": "refresh"},
        {"aud": "another"},
        {"iss": "another"},
    ],
    ids=str,
)
async def test_tok_1_a_signed_token_with_a_wrong_claim_is_refused(stack: Stack, change: dict[str, Any]) -> None:
    """A good signature is not enough."""
    claims = stack.services.tokens.claims_of((await stack.services.sessions.open(_USER, CALLER)).token)
    assert _refused(stack.services.tokens, _forge(stack, claims | change))


async def test_tok_2_tokens_with_a_strange_header_are_refused(stack: Stack) -> None:
    """No algorithm but ours, no key but ours, nothing is fetched, nothing breaks."""
    sessions = stack.services.sessions
    token = (await sessions.open(_USER, CALLER)).token
    claims = stack.services.tokens.claims_of(token)
    head, body, signature = token.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt","kid":"t1"}').decode().rstrip("=")
    hs = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": "t1", "typ": "at+jwt"})
    deep = base64.urlsafe_b64encode(("[" * 50_000).encode()).decode().rstrip("=")
    strange = [
        f"{unsigned}.{body}.",
        f"{unsigned}.{body}.{signature}",
        f"{deep}.{body}.{signature}",
        hs,
        *(_forge(stack, claims, kid=kid) for kid in ("", "nope", "../t1", "t1' or 1=1", "t1\0")),
        _forge(stack, claims, typ="JWT"),
        _forge(stack, claims, crit=["x"], x=1),
        _forge(stack, claims, jku="https://evil.example/keys.json"),
        _forge(stack, claims, x5u="https://evil.example/cert.pem"),
        _forge(stack, claims, jwk={"kty": "OKP"}),
        _forge(stack, claims, note="x" * 64_000),
        f"{head}.{body}.{signature[:-4]}AAAA",
        "",
        "a.b.c",
        "é.é.é",
    ]
    assert [token for token in strange if not _refused(stack.services.tokens, token)] == []


async def test_tok_4_a_refresh_token_works_once(stack: Stack) -> None:
    """A second use later means theft: the whole session ends."""
    sessions = stack.services.sessions
    first = (await sessions.open(_USER, CALLER)).refresh
    second = (await sessions.refresh(with_cookie(first))).refresh
    assert second != first
    stack.clock.advance(11)
    with pytest.raises(AppError):
        await sessions.refresh(with_cookie(first))
    with pytest.raises(AppError):
        await sessions.refresh(with_cookie(second))


async def test_tok_5_two_tabs_that_refresh_together_get_the_same_successor(stack: Stack) -> None:
    """Within the grace nobody is signed out and nothing forks."""
    sessions = stack.services.sessions
    first = (await sessions.open(_USER, CALLER)).refresh
    renewed = await asyncio.gather(*(sessions.refresh(with_cookie(first)) for _ in range(10)))
    assert len({one.refresh for one in renewed}) == 1
    assert (await sessions.refresh(with_cookie(renewed[0].refresh))).token


async def test_tok_4_a_session_ends_when_idle_and_in_any_case_after_thirty_days(stack: Stack) -> None:
    """Seven days unused, or thirty days in all."""
    sessions = stack.services.sessions
    idle = (await sessions.open(_USER, CALLER)).refresh
    stack.clock.advance(7 * 86400 + 1)
    with pytest.raises(AppError):
        await sessions.refresh(with_cookie(idle))
    busy = (await sessions.open(_USER, CALLER)).refresh
    for _ in range(5):
        stack.clock.advance(6 * 86400 - 1)
        busy = (await sessions.refresh(with_cookie(busy))).refresh
    stack.clock.advance(10)
    with pytest.raises(AppError):
        await sessions.refresh(with_cookie(busy))


async def test_tok_4_of_a_refresh_token_only_its_hash_is_kept(stack: Stack) -> None:
    """A dump of Redis signs nobody in."""
    secret = (await stack.services.sessions.open(_USER, CALLER)).refresh.rpartition(".")[2]
    client = stack.redis.client
    dump = json.dumps([await client.hgetall(key) async for key in client.scan_iter("session:*")])
    assert "hm_abcdefghij" in dump
    assert secret not in dump


async def test_tok_4_an_old_token_of_ours_ends_the_session_however_old_it_is(stack: Stack) -> None:
    """Not only the one before the last, and also when it comes within the grace of that one."""
    sessions = stack.services.sessions
    for age in (2, 3, 20):
        line = [(await sessions.open(_USER, CALLER)).refresh]
        for _ in range(age):
            line.append((await sessions.refresh(with_cookie(line[-1]))).refresh)
        with pytest.raises(AppError):
            await sessions.refresh(with_cookie(line[0]))
        with pytest.raises(AppError):
            await sessions.refresh(with_cookie(line[-1]))


async def test_tok_4_an_invented_token_ends_nothing(stack: Stack) -> None:
    """Whoever knows a session's id from an access token cannot sign its owner out with it."""
    sessions = stack.services.sessions
    opened = await sessions.open(_USER, CALLER)
    user, sid, secret = opened.refresh.split(".")
    other = (await sessions.open(_USER, CALLER)).refresh.split(".")[2]
    for invented in ("A" * 64, secret[:-4] + "AAAA", secret[::-1], other):
        cookie = f"{user}.{sid}.{invented}"
        with pytest.raises(AppError):
            await sessions.refresh(with_cookie(cookie))
        await sessions.log_out(with_cookie(cookie))
    assert (await sessions.refresh(with_cookie(opened.refresh))).token


@pytest.mark.parametrize(
    "cookie", ["", ".", "..", "u1.x.y", "u1}.{x.y", "a" * 5000, f"u1.{'a' * 22}.{'b' * 64}", "é.é.é"], ids=ascii
)
async def test_tok_4_a_cookie_of_another_shape_is_no_token(stack: Stack, cookie: str) -> None:
    """Refused, and a logout with it does nothing."""
    with pytest.raises(AppError) as caught:
        await stack.services.sessions.refresh(with_cookie(cookie))
    assert caught.value.code == "token_invalid"
    await stack.services.sessions.log_out(with_cookie(cookie))


async def test_tok_5_of_fifty_parallel_refreshes_one_new_token_is_made(stack: Stack) -> None:
    """All get the same one, and its use is not taken for theft."""
    sessions = stack.services.sessions
    token = (await sessions.open(_USER, CALLER)).refresh
    for _ in range(5):
        renewed = await asyncio.gather(*(sessions.refresh(with_cookie(token)) for _ in range(50)))
        assert len({one.refresh for one in renewed} | {token}) == 2
        token = renewed[0].refresh


def _ring(*names: str) -> KeyRing:
    keys = {name: bytes(range(start, start + 32)) for start, name in enumerate(("k1", "k2"))}
    return KeyRing(tuple((name, keys[name]) for name in names))


async def test_tok_7_while_two_keys_live_the_tokens_of_both_are_good(stack: Stack) -> None:
    """Rotation in the three steps of docs/settings.md; a key that was taken out vouches for nothing."""

    def service(*names: str) -> tuple[AccessTokens, SessionService]:
        access = AccessTokens(ring=_ring(*names), issuer="urn:test", clock=stack.clock)
        store = SessionStore(stack.redis, topic=topics.SESSIONS)
        users = stack.users
        audit = AuditService(
            store=AuditStore(stack.mongo), metrics=stack.services.metrics, feed=Feed(), clock=stack.clock
        )
        return access, SessionService(
            store=store, users=users, audit=audit, access=access, refresh=RefreshTokens(_ring(*names))
        )

    steps = [service("k1"), service("k1", "k2"), service("k2", "k1"), service("k2")]
    opened = await steps[0][1].open(_USER, CALLER)
    for (_, sessions), (access, _) in pairwise(steps[:3]):
        assert access.identify(opened.token).user == "u1"
        opened = await sessions.refresh(with_cookie(opened.refresh))
        assert access.identify(opened.token).user == "u1"
    renewed = await steps[2][1].refresh(with_cookie(opened.refresh))
    assert steps[1][0].identify(renewed.token).user == "u1"
    assert jwt.get_unverified_header(renewed.token)["kid"] == "k2"
    assert _refused(steps[3][0], opened.token)
    assert steps[3][0].identify((await steps[3][1].refresh(with_cookie(renewed.refresh))).token).user == "u1"
    assert [key["kid"] for key in steps[1][0].public_keys()["keys"]] == ["k1", "k2"]

"""Access tokens that anybody can verify, refresh tokens that work once."""

import asyncio
import base64
import dataclasses
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.caller import Caller
from server.errors import AppError
from server.services.access_tokens import AccessTokens
from tests.conftest import Stack

pytestmark = pytest.mark.gen_test(timeout=30)
CALLER = Caller(address="203.0.113.7", request_id="r")
_USER = {"_id": "u1", "username": "hm_abcdefghij", "version": 1}
_REQUIRED = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "typ", "sid", "ver")


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
        f"{head}.{body}.{signature[:-4]}AAAA",
        "",
        "a.b.c",
        "é.é.é",
    ]
    assert [token for token in strange if not _refused(stack.services.tokens, token)] == []


async def test_a_refresh_token_works_once(stack: Stack) -> None:
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


async def test_two_tabs_that_refresh_together_get_the_same_successor(stack: Stack) -> None:
    """Within the grace nobody is signed out and nothing forks."""
    sessions = stack.services.sessions
    first = (await sessions.open(_USER, CALLER)).refresh
    renewed = await asyncio.gather(*(sessions.refresh(with_cookie(first)) for _ in range(10)))
    assert len({one.refresh for one in renewed}) == 1
    assert (await sessions.refresh(with_cookie(renewed[0].refresh))).token


async def test_a_session_ends_when_idle_and_in_any_case_after_thirty_days(stack: Stack) -> None:
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


async def test_of_a_refresh_token_only_its_hash_is_kept(stack: Stack) -> None:
    """A dump of Redis signs nobody in."""
    secret = (await stack.services.sessions.open(_USER, CALLER)).refresh.rpartition(".")[2]
    client = stack.redis.client
    dump = json.dumps([await client.hgetall(key) async for key in client.scan_iter("session:*")])
    assert "hm_abcdefghij" in dump
    assert secret not in dump

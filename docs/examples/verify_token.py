"""Checks an access token of Haoma in a backend of yours; needs PyJWT with its `crypto` extra.

    python docs/examples/verify_token.py <site url> <token> [issuer]

prints the claims, or why the token is refused (status 1). The issuer is SITE_URL as it is set there, by default the
site url; a development server without SITE_URL has urn:haoma:development.

In a backend make one KeySet when it starts, and call `verify` with the token of each request.
"""
# ruff: noqa: S310, T201

import json
import sys
import threading
import time
import urllib.request
from typing import Any

import jwt

LEEWAY_S = 30
FETCH_TIMEOUT_S = 3
FRESH_S, STALE_S = 300, 3600  # Keys are fetched anew after the first, and not used after the second.
UNKNOWN_S, FAILED_S = 60, 5  # How long an unknown key id, or a failed fetch, asks for no other fetch.
REQUIRED = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "typ", "sid", "ver"]


class TokenRefused(Exception):
    """The token is not good: answer 401."""


class KeysUnavailable(Exception):
    """Nobody can tell now whether the token is good, as the keys cannot be fetched: answer 503."""


class KeySet:
    """The public keys of one site, fetched when they are needed and kept for a while."""

    def __init__(self, site: str) -> None:
        self._url = site.rstrip("/") + "/.well-known/jwks.json"
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._next_fetch_at = float("-inf")
        self._lock = threading.Lock()

    def key(self, key_id: str) -> jwt.PyJWK:
        """The key of that id; TokenRefused if the site has none, KeysUnavailable if that cannot be told."""
        with self._lock:
            now = time.monotonic()
            old = now - self._fetched_at > FRESH_S
            if (old or key_id not in self._keys) and now >= self._next_fetch_at:
                self._fetch(now)
            if now - self._fetched_at > STALE_S:
                raise KeysUnavailable(f"{self._url} cannot be read")
            if key_id not in self._keys:
                raise TokenRefused("it is signed with an unknown key")
            return self._keys[key_id]

    def _fetch(self, now: float) -> None:
        """Strangers choose the key id, so they must not be able to make us ask more often than we want to."""
        self._next_fetch_at = now + FAILED_S
        try:
            with urllib.request.urlopen(self._url, timeout=FETCH_TIMEOUT_S) as answer:
                found = jwt.PyJWKSet.from_dict(json.load(answer))
        except (OSError, ValueError, AttributeError, jwt.PyJWTError):
            return
        self._keys = {str(key.key_id): key for key in found.keys if key.key_type == "OKP"}
        self._fetched_at, self._next_fetch_at = now, now + UNKNOWN_S


def verify(token: str, *, keys: KeySet, issuer: str) -> dict[str, Any]:
    """The claims of a good token; TokenRefused, or KeysUnavailable."""
    try:
        header = jwt.get_unverified_header(token)
        # Nobody has vouched for the header yet: it must be just what Haoma writes, and chooses nothing but the key.
        if header.keys() != {"alg", "kid", "typ"} or (header["alg"], header["typ"]) != ("EdDSA", "at+jwt"):
            raise TokenRefused("its header is not that of an access token")
        claims: dict[str, Any] = jwt.decode(
            token,
            keys.key(header["kid"]),
            algorithms=["EdDSA"],
            issuer=issuer,
            audience=issuer,
            leeway=LEEWAY_S,
            options={"require": REQUIRED},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError) as fault:
        raise TokenRefused(str(fault) or type(fault).__name__) from None
    if claims["typ"] != "access":
        raise TokenRefused("it is no access token")
    return claims


def main(site: str, token: str, issuer: str = "") -> int:
    """Check one token and say what came of it."""
    try:
        claims = verify(token, keys=KeySet(site), issuer=issuer or site)
    except TokenRefused as why:
        print("refused:", why)
        return 1
    except KeysUnavailable as why:
        print("cannot be checked:", why)
        return 1
    print(json.dumps(claims, indent=2))
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: verify_token.py <site url> <token> [issuer]")
    sys.exit(main(*sys.argv[1:]))

"""Sessions: a short access token that anybody can verify, and a refresh token that works once."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.clock import Clock
from server.errors import AppError
from server.keys import KeyRing
from server.stores.sessions import SessionStore

ACCESS_LIFE_S = 900
IDLE_S = 7 * 86400
ABSOLUTE_S = 30 * 86400
GRACE_S = 10
LEEWAY_S = 30
_REQUIRED = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "typ", "sid", "ver"]


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """`token` is the access token; `refresh` the value for the cookie."""

    token: str
    expires_in: int
    refresh: str


class SessionService:
    """Opens, refreshes, ends and recognises sessions."""

    def __init__(self, *, store: SessionStore, ring: KeyRing, issuer: str, clock: Clock) -> None:
        self._store = store
        self._issuer = issuer
        self._clock = clock
        self._refresh_key = ring.newest[1]
        self._private = {key_id: Ed25519PrivateKey.from_private_bytes(key[:32]) for key_id, key in ring.keys}
        self._newest = ring.newest[0]

    async def open(self, user: dict[str, Any]) -> OpenedSession:
        """Begin a session for a user document."""
        session_id = secrets.token_urlsafe(16)
        secret = secrets.token_urlsafe(32)
        kept = {"id": user["_id"], "username": user["username"], "version": str(user["version"])}
        await self._store.open(session_id, kept, secret, idle_s=IDLE_S, absolute_s=ABSOLUTE_S)
        return self._answer(session_id, kept, secret)

    async def refresh(self, cookie: str) -> OpenedSession:
        """Exchange the cookie's token for a new pair; AppError `token_invalid`."""
        session_id, _, secret = cookie.partition(".")
        successor = self._successor(session_id, secret)
        kept = await self._store.rotate(session_id, secret, successor, idle_s=IDLE_S, grace_s=GRACE_S)
        if kept is None:
            raise AppError("token_invalid")
        return self._answer(session_id, kept, successor)

    async def end(self, cookie: str) -> None:
        """End the session of a cookie; one that is over already is no fault."""
        session_id, _, secret = cookie.partition(".")
        await self._store.end(session_id, secret)

    def authenticate(self, token: str) -> dict[str, Any]:
        """The claims of a good access token (RFC 9068 shape, RFC 8725 checks); AppError `token_invalid`."""
        try:
            header = jwt.get_unverified_header(token)
            private = self._private.get(str(header.get("kid", "")))
            if private is None or header.get("typ") != "at+jwt" or "crit" in header:
                raise AppError("token_invalid")
            claims: dict[str, Any] = jwt.decode(
                token,
                private.public_key(),
                algorithms=["EdDSA"],
                audience=self._issuer,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            self._judge_times(claims)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError):
            raise AppError("token_invalid") from None
        return claims

    def public_keys(self) -> dict[str, Any]:
        """The JWK set (RFC 7517, RFC 8037) with which others verify our tokens."""
        return {"keys": [_jwk(key_id, private) for key_id, private in self._private.items()]}

    def _judge_times(self, claims: dict[str, Any]) -> None:
        """By our own clock, and with a longest life: PyJWT takes any `exp`, however far."""
        issued, not_before, expires = (claims[name] for name in ("iat", "nbf", "exp"))
        if any(isinstance(value, bool) or not isinstance(value, int) for value in (issued, not_before, expires)):
            raise AppError("token_invalid")
        now = self._clock.now()
        early = now + LEEWAY_S < max(issued, not_before)
        late = now - LEEWAY_S >= expires
        if early or late or expires - issued > ACCESS_LIFE_S or claims["typ"] != "access":
            raise AppError("token_invalid")

    def _answer(self, session_id: str, kept: dict[str, str], secret: str) -> OpenedSession:
        return OpenedSession(self._sign(session_id, kept), ACCESS_LIFE_S, f"{session_id}.{secret}")

    def _sign(self, session_id: str, kept: dict[str, str]) -> str:
        now = int(self._clock.now())
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": kept["id"],
            "iat": now,
            "nbf": now,
            "exp": now + ACCESS_LIFE_S,
            "jti": secrets.token_urlsafe(12),
            "typ": "access",
            "sid": session_id,
            "ver": int(kept["version"]),
            "preferred_username": kept["username"],
        }
        private = self._private[self._newest]
        return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": self._newest, "typ": "at+jwt"})

    def _successor(self, session_id: str, secret: str) -> str:
        """The next token follows from the last under our key, so that two tabs cannot fork a session."""
        message = f"refresh|{session_id}|{secret}".encode()
        return base64.urlsafe_b64encode(hmac.new(self._refresh_key, message, hashlib.sha256).digest()).decode()


def _jwk(key_id: str, private: Ed25519PrivateKey) -> dict[str, str]:
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    point = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key_id, "x": point}

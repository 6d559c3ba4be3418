"""Access tokens: short-lived, signed, readable by anybody who has our public keys."""

import base64
import secrets
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.caller import Identity
from server.clock import Clock
from server.errors import AppError
from server.keys import KeyRing

ACCESS_LIFE_S = 900
LEEWAY_S = 30
TOKEN_MAX = 4096
_HEADER = {"alg", "kid", "typ"}
_REQUIRED = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "typ", "sid", "ver"]


class AccessTokens:
    """Signs with the newest key of the ring, reads what any of them has signed."""

    def __init__(self, *, ring: KeyRing, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._private = {key_id: Ed25519PrivateKey.from_private_bytes(key[:32]) for key_id, key in ring.keys}
        self._newest = ring.newest[0]

    def sign(self, *, user: str, username: str, version: int, sid: str) -> str:
        """A token for this session of this user."""
        now = int(self._clock.now())
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": user,
            "iat": now,
            "nbf": now,
            "exp": now + ACCESS_LIFE_S,
            "jti": secrets.token_urlsafe(12),
            "typ": "access",
            "sid": sid,
            "ver": version,
            "preferred_username": username,
        }
        private = self._private[self._newest]
        return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": self._newest, "typ": "at+jwt"})

    def identify(self, token: str) -> Identity:
        """Whose token this is; AppError `token_invalid`. Whether the session still lives is another question."""
        claims = self.claims_of(token)
        return Identity(
            user=claims["sub"],
            username=str(claims.get("preferred_username", "")),
            sid=str(claims["sid"]),
            version=str(claims["ver"]),
            until=claims["exp"] + LEEWAY_S,
        )

    def claims_of(self, token: str) -> dict[str, Any]:
        """The claims of a good token (RFC 9068 shape, RFC 8725 checks); AppError `token_invalid`."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public_key_of(token),
                algorithms=["EdDSA"],
                audience=self._issuer,
                issuer=self._issuer,
                options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            self._judge_times(claims)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError):
            raise AppError("token_invalid") from None
        return claims

    def public_keys(self) -> dict[str, Any]:
        """The JWK set (RFC 7517, RFC 8037) with which others verify our tokens."""
        return {"keys": [_jwk(key_id, private) for key_id, private in self._private.items()]}

    def _public_key_of(self, token: str) -> Any:
        """By the header, which nobody has vouched for yet: so nothing in it but what we write there ourselves."""
        if len(token) > TOKEN_MAX:
            raise AppError("token_invalid")
        header = jwt.get_unverified_header(token)
        private = self._private.get(str(header.get("kid", "")))
        if private is None or header.get("typ") != "at+jwt" or header.keys() != _HEADER:
            raise AppError("token_invalid")
        return private.public_key()

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


def _jwk(key_id: str, private: Ed25519PrivateKey) -> dict[str, str]:
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    point = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key_id, "x": point}

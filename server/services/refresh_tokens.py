"""Refresh tokens: what they look like, which one follows, and whether one was ever ours."""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from server.keys import KeyRing

_SALT_BYTES, _MARK_BYTES = 32, 16
_SHAPE = re.compile(r"([A-Za-z0-9]{1,32})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """`secret` is 256 random bits and a mark by which we know our own again."""

    user: str
    sid: str
    secret: str

    def __str__(self) -> str:
        return f"{self.user}.{self.sid}.{self.secret}"


def read_refresh_token(cookie: str) -> RefreshToken | None:
    """The parts of a cookie, or None for what has another shape."""
    match = _SHAPE.fullmatch(cookie)
    return RefreshToken(*match.groups()) if match else None


class RefreshTokens:
    """Makes them under the newest key of the ring, knows those of every key in it."""

    def __init__(self, ring: KeyRing) -> None:
        self._keys = [key for _, key in ring.keys]

    def first(self, user: str) -> RefreshToken:
        """The first token of a new session."""
        sid = secrets.token_urlsafe(16)
        return RefreshToken(user, sid, self._marked(sid, secrets.token_bytes(_SALT_BYTES)))

    def successor(self, token: RefreshToken) -> RefreshToken:
        """The next token follows from the last under our key, so that two tabs cannot fork a session."""
        salt = _keyed(self._keys[0], f"refresh|{token.sid}|{token.secret}".encode())
        return RefreshToken(token.user, token.sid, self._marked(token.sid, salt))

    def was_ours(self, token: RefreshToken) -> bool:
        """Whether we made it, however long ago: so that an old one ends its session, and an invented one does not."""
        raw = base64.urlsafe_b64decode(token.secret)
        salt, mark = raw[:_SALT_BYTES], raw[_SALT_BYTES:]
        return any(hmac.compare_digest(_mark(key, token.sid, salt), mark) for key in self._keys)

    def _marked(self, sid: str, salt: bytes) -> str:
        return base64.urlsafe_b64encode(salt + _mark(self._keys[0], sid, salt)).decode()


def _mark(key: bytes, sid: str, salt: bytes) -> bytes:
    return _keyed(key, b"mark|" + sid.encode() + b"|" + salt)[:_MARK_BYTES]


def _keyed(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()

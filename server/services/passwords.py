"""Passwords: HMAC-SHA384 with a pepper, then bcrypt, in a small bounded pool of threads."""

import base64
import hashlib
import hmac

import bcrypt

from server.keys import KeyRing
from server.metrics import Metrics
from server.pool import BoundedPool

_WAITING_MAX = 64
_DIGEST_LENGTH = 31  # characters of bcrypt's base64 after the salt


class PasswordService:
    """Hashes look like `<pepper id>$2b$12$…`. Plain passwords stay in memory, for as long as a call lasts."""

    def __init__(self, *, peppers: KeyRing, cost: int, metrics: Metrics) -> None:
        self._peppers = peppers
        self._cost = cost
        self._pool = BoundedPool("bcrypt", waiting_max=_WAITING_MAX, told=metrics.hashing.set)
        # What an unknown account is compared with: nobody's hash, which costs as much to compare as a known one.
        self._nobody = f"{peppers.newest[0]}{bcrypt.gensalt(cost).decode()}{'.' * _DIGEST_LENGTH}"

    async def hash(self, password: str) -> str:
        """The hash to store; AppError `busy` if too many are waiting."""
        return await self._pool.run(lambda: self._make(password))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether `password` belongs to the stored hash; None costs the same and never matches."""
        right = await self._pool.run(lambda: self._compare(password, stored or self._nobody))
        return right and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with a lower cost or another pepper than one made now."""
        pepper_id, _, digest = stored.partition("$")
        return pepper_id != self._peppers.newest[0] or int(digest.split("$")[1]) < self._cost

    def aclose(self) -> None:
        """Let the threads end."""
        self._pool.aclose()

    def _make(self, password: str) -> str:
        pepper_id, pepper = self._peppers.newest
        digest = bcrypt.hashpw(_prehash(pepper, password), bcrypt.gensalt(self._cost))
        return f"{pepper_id}{digest.decode()}"

    def _compare(self, password: str, stored: str) -> bool:
        pepper_id, _, digest = stored.partition("$")
        pepper = self._peppers.get(pepper_id)
        return pepper is not None and bcrypt.checkpw(_prehash(pepper, password), f"${digest}".encode())


def _prehash(pepper: bytes, password: str) -> bytes:
    """64 bytes from any password: bcrypt would stop reading at 72."""
    return base64.b64encode(hmac.new(pepper, password.encode(), hashlib.sha384).digest())

"""Passwords: HMAC-SHA384 with a pepper, then bcrypt, in a small bounded pool of threads."""

import asyncio
import base64
import hashlib
import hmac
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

from server.errors import AppError
from server.keys import KeyRing
from server.metrics import Metrics

T = TypeVar("T")
_WAITING_MAX = 64
_DIGEST_LENGTH = 31  # characters of bcrypt's base64 after the salt
_RETRY_AFTER_S = 2


class PasswordService:
    """Hashes look like `<pepper id>$2b$12$…`. Plain passwords stay in memory, for as long as a call lasts."""

    def __init__(self, *, peppers: KeyRing, cost: int, metrics: Metrics) -> None:
        self._peppers = peppers
        self._cost = cost
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 2, thread_name_prefix="bcrypt")
        self._waiting = 0
        # What an unknown account is compared with: nobody's hash, which costs as much to compare as a known one.
        self._nobody = f"{peppers.newest[0]}{bcrypt.gensalt(cost).decode()}{'.' * _DIGEST_LENGTH}"

    async def hash(self, password: str) -> str:
        """The hash to store; AppError `busy` if too many are waiting."""
        return await self._in_thread(lambda: self._make(password))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether `password` belongs to the stored hash; None costs the same and never matches."""
        right = await self._in_thread(lambda: self._compare(password, stored or self._nobody))
        return right and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with a lower cost or another pepper than one made now."""
        pepper_id, _, digest = stored.partition("$")
        return pepper_id != self._peppers.newest[0] or int(digest.split("$")[1]) < self._cost

    def aclose(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _make(self, password: str) -> str:
        pepper_id, pepper = self._peppers.newest
        digest = bcrypt.hashpw(_prehash(pepper, password), bcrypt.gensalt(self._cost))
        return f"{pepper_id}{digest.decode()}"

    def _compare(self, password: str, stored: str) -> bool:
        pepper_id, _, digest = stored.partition("$")
        pepper = self._peppers.get(pepper_id)
        return pepper is not None and bcrypt.checkpw(_prehash(pepper, password), f"${digest}".encode())

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING_MAX:
            raise AppError("busy", retry_after=_RETRY_AFTER_S)
        self._waiting += 1
        self._metrics.hashing.set(self._waiting)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
            self._metrics.hashing.set(self._waiting)


def _prehash(pepper: bytes, password: str) -> bytes:
    """64 bytes from any password: bcrypt would stop reading at 72."""
    return base64.b64encode(hmac.new(pepper, password.encode(), hashlib.sha384).digest())

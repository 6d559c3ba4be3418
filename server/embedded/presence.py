"""Which processes use the stores of one directory.

The kernel keeps the account: a flock ends with its process, however the process ends.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server.embedded.files import EmbeddedStoreError, open_private

PATIENCE_S = 150
POLL_S = 0.02


class Presence:
    """One user among those of a directory; `alone()` puts their comings and goings in a row."""

    def __init__(self, var_dir: Path) -> None:
        self._start_lock = var_dir / "start.lock"
        self._users_lock = var_dir / "users.lock"
        self._users_fd: int | None = None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While inside, nobody else starts or stops the stores."""
        fd = open_private(self._start_lock, os.O_RDWR)
        try:
            await self._wait_turn(fd)
            yield
        finally:
            os.close(fd)

    def enter(self) -> None:
        """Be counted as a user until `leave()`, or until this process ends. Only inside `alone()`."""
        self._users_fd = open_private(self._users_lock, os.O_RDWR)
        fcntl.flock(self._users_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def leave(self) -> bool:
        """Be counted no more; True when nobody else is left. Only inside `alone()`."""
        if self._users_fd is None:
            return False
        fd, self._users_fd = self._users_fd, None
        try:
            return try_lock(fd, fcntl.LOCK_EX)
        finally:
            os.close(fd)

    @property
    def entered(self) -> bool:
        """True between `enter()` and `leave()`."""
        return self._users_fd is not None

    async def _wait_turn(self, fd: int) -> None:
        # Polled, not awaited in a thread: a blocked flock could not be cancelled.
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not try_lock(fd, fcntl.LOCK_EX):
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            text = f"Another process has held {self._start_lock} for {PATIENCE_S} s: stop it and start again."
            raise EmbeddedStoreError(text) from None


def try_lock(fd: int, kind: int) -> bool:
    """Take a flock if it can be had at once."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""Redis and MongoDB for a machine that has neither: started on demand, shared by all who use one directory.

Each is a process of its own. The first user starts them, later ones join, the last to leave stops them.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from server.embedded.files import EmbeddedStoreError, claim, explain
from server.embedded.mongo_child import MongoChild
from server.embedded.presence import Presence
from server.embedded.process import StoreProcess
from server.embedded.redis_child import RedisChild

__all__ = ["EmbeddedStoreError", "EmbeddedStores", "Urls"]

WATCH_S = 0.25


@dataclass(frozen=True)
class Urls:
    """Where the stores that were asked for are; they hold a password, so do not log them."""

    redis_url: str | None
    mongo_url: str | None


class EmbeddedStores:
    """The stores of one directory, as one of its users sees them."""

    def __init__(self, var_dir: Path, *, redis: bool, mongo: bool) -> None:
        self._var_dir = var_dir.absolute()
        self._presence = Presence(self._var_dir)
        self._redis = RedisChild(self._var_dir)
        self._mongo = MongoChild(self._var_dir)
        wanted: dict[StoreProcess, bool] = {self._redis: redis, self._mongo: mongo}
        self._used = [store for store in wanted if wanted[store]]

    async def start(self) -> Urls:
        """Start the stores or join those that run; raises EmbeddedStoreError with what to do next."""
        try:
            claim(self._var_dir)
            async with self._presence.alone():
                self._presence.enter()
                try:
                    return await self._ensure_all()
                except BaseException:
                    await self._leave()
                    raise
        except OSError as error:
            raise explain(error, self._var_dir) from error

    async def wait_died(self) -> str:
        """Wait until a store in use ends by itself; the answer is a sentence about it."""
        while True:
            for store in self._used:
                if store.died():
                    return f"The embedded {store.label} has stopped unexpectedly: see the end of {store.log}."
            await asyncio.sleep(WATCH_S)

    async def aclose(self) -> None:
        """Leave; the last to leave stops the stores and waits until they have ended."""
        if not self._presence.entered:
            return
        # The lock file may be gone with its directory; the stores are still to be stopped.
        self._var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self._presence.alone():
            await self._leave()

    async def _ensure_all(self) -> Urls:
        # None is left half started when another fails: gather() waits for both.
        done = await asyncio.gather(*(store.ensure() for store in self._used), return_exceptions=True)
        urls: dict[StoreProcess, str] = {}
        for store, url in zip(self._used, done, strict=True):
            if isinstance(url, BaseException):
                raise url
            urls[store] = url
        return Urls(redis_url=urls.get(self._redis), mongo_url=urls.get(self._mongo))

    async def _leave(self) -> None:
        stores: tuple[StoreProcess, ...] = (self._redis, self._mongo)
        try:
            if self._presence.leave():
                await asyncio.gather(*(store.stop() for store in stores))
        finally:
            for store in stores:
                store.close()

"""Opens Mongo, with Motor or PyMongo's async client; the calls we use read the same on both."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from server.errors import StoreTooOld, StoreUnavailable

CALL_TIMEOUT_S = 2
# The driver keeps the time itself: PyMongo's async client may lose a cancellation that comes while it is handling a
# time limit of its own, and then goes on for many seconds. Ours is for what it overlooks.
_MARGIN_S = 0.5
OLDEST_VERSION = 6
_OPTIONS: dict[str, Any] = {
    "serverSelectionTimeoutMS": 1000,
    "connectTimeoutMS": 1000,
    "socketTimeoutMS": 5000,
    "waitQueueTimeoutMS": 1000,
    "maxPoolSize": 50,
    "w": "majority",
    "journal": True,
    "wTimeoutMS": 4000,
    "tz_aware": True,
}


@asynccontextmanager
async def mongo_faults(timeout_s: float = CALL_TIMEOUT_S) -> AsyncIterator[None]:
    """Every call to Mongo stands in here: it is timed, and a fault is one exception."""
    try:
        async with asyncio.timeout(timeout_s + _MARGIN_S):
            with pymongo.timeout(timeout_s):
                yield
    except (PyMongoError, TimeoutError) as fault:
        raise StoreUnavailable("mongo", type(fault).__name__) from fault


class Mongo:
    """One client; `db` is the database that the address names."""

    def __init__(self, url: str, driver: str = "motor") -> None:
        client: Any = AsyncIOMotorClient if driver == "motor" else AsyncMongoClient
        self._client = client(url, **_OPTIONS)
        self.db: Any = self._client.get_default_database("haoma")

    async def require_usable(self) -> None:
        """StoreTooOld if the server lacks what we need, StoreUnavailable if it does not answer."""
        async with mongo_faults():
            found = (await self.db.command("buildInfo"))["version"]
        if int(found.split(".")[0]) < OLDEST_VERSION:
            raise StoreTooOld(f"MongoDB {found} is too old; {OLDEST_VERSION} or newer is needed.")

    async def aclose(self) -> None:
        """Close all connections."""
        closing = self._client.close()
        if closing is not None:
            await closing

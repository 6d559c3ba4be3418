"""Which numbers are taken, for courtesy answers. The unique index of `users` remains the truth."""

from collections.abc import Callable, Collection
from typing import Any

from pymongo import ReadPreference

from server.clock import Clock
from server.errors import StoreUnavailable
from server.stores.free_numbers import FreeNumbers
from server.stores.mongo import Mongo, mongo_faults

# What Redis says is believed while MongoDB has answered something that was asked so short a time ago.
HEARD_S = 1
_READ_TIMEOUT_S = 5
_AT_ONCE = 500  # documents; the loop is held no longer than it takes to unpack so many


class RegistryStore:
    """What is surely free is answered from Redis, anything else by an indexed find."""

    def __init__(self, mongo: Mongo, free: FreeNumbers, *, clock: Clock) -> None:
        self._users = mongo.db.users.with_options(read_preference=ReadPreference.PRIMARY)
        self._free = free
        self._clock = clock
        self._heard_at = float("-inf")
        self._in_use = False
        self._tell_miss: Callable[[str], None] = lambda block: None
        self.answers = {"redis": 0, "mongo": 0}

    def on_miss(self, listener: Callable[[str], None]) -> None:
        """Call `listener(block)` for each free number of which Redis did not know that."""
        self._tell_miss = listener

    async def surely_free(self, mobiles: Collection[str]) -> set[str]:
        """Those of `mobiles` that Redis knows to be free. Costs MongoDB nothing."""
        self._in_use = True
        free = await self._free.among(mobiles)
        if not self._hears_mongo():
            return set()
        self.answers["redis"] += len(free)
        return free

    async def taken(self, mobiles: Collection[str]) -> set[str]:
        """Those of `mobiles` that an account holds; StoreUnavailable if it cannot be known."""
        self._in_use = True
        free = await self._free.among(mobiles)
        unsure = [mobile for mobile in mobiles if mobile not in free] if self._hears_mongo() else mobiles
        self.answers["redis"] += len(mobiles) - len(unsure)
        self.answers["mongo"] += len(unsure)
        taken = await self._find(unsure) if unsure else set()
        for mobile in unsure:
            if mobile not in free and mobile not in taken:
                self._tell_miss(mobile[:7])
        return taken

    async def hear(self) -> None:
        """See whether Mongo is there, if anybody has asked since; StoreUnavailable if not."""
        if self._in_use:
            self._in_use = False
            await self._find([""])

    async def load(self, block: str) -> str:
        """Let Redis know which numbers of a block are free: as FreeNumbers.fill says, or `busy`: not now."""
        pen = await self._free.begin(block)
        return await self._free.fill(block, pen, await self._read(block)) if pen else "busy"

    async def _read(self, block: str) -> list[int]:
        """The last four digits of what is taken in a block."""
        within, found = {"mobile": {"$gte": f"{block}0000", "$lte": f"{block}9999"}}, []
        async with mongo_faults(_READ_TIMEOUT_S):
            cursor = self._users.find(within, {"mobile": 1, "_id": 0}, batch_size=_AT_ONCE)
            while users := await cursor.to_list(_AT_ONCE):
                found += [int(user["mobile"][7:]) for user in users if _is_plain(user)]
        return found

    async def _find(self, mobiles: Collection[str]) -> set[str]:
        asked_at = self._clock.monotonic()
        try:
            async with mongo_faults():
                cursor = self._users.find({"mobile": {"$in": list(mobiles)}}, {"mobile": 1, "_id": 0})
                found = {user["mobile"] for user in await cursor.to_list(None)}
        except StoreUnavailable:
            self._heard_at = float("-inf")
            raise
        self._heard_at = max(self._heard_at, asked_at)
        return found

    def _hears_mongo(self) -> bool:
        return self._clock.monotonic() - self._heard_at < HEARD_S


def _is_plain(user: dict[str, Any]) -> bool:
    """Old data may have numbers that nobody can ask for."""
    return len(user["mobile"]) == 11 and user["mobile"].isdecimal()

"""The collection `counters`: how many SMS the whole service has accepted on a day."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.stores.mongo import Mongo, mongo_faults
from server.stores.outbox import STEP_TIMEOUT_S
from server.stores.together import Together

_Addition = tuple[str, int | None, datetime]


class BudgetStore:
    """Documents `_id n expires`; `_id` is `sms:<day>`."""

    def __init__(self, mongo: Mongo) -> None:
        self._counters = mongo.db.counters
        self._additions = Together(self._add_all, give_back=self._subtract_all)

    async def prepare(self) -> None:
        """Make the index that clears old days away."""
        async with mongo_faults(10):
            await self._counters.create_index("expires", expireAfterSeconds=0)

    async def add(self, day: str, *, limit: int | None, expires: datetime) -> int | None:
        """Count one SMS and say how many that makes; None, and nothing counted, if it would be more than `limit`."""
        async with mongo_faults(STEP_TIMEOUT_S):
            return await self._additions.ask((day, limit, expires))

    async def _add_all(self, asked: Sequence[_Addition]) -> list[int | None]:
        async with mongo_faults(STEP_TIMEOUT_S):
            used = {what: iter(await self._add(*what, count)) for what, count in Counter(asked).items()}
        return [next(used[what]) for what in asked]

    async def _add(self, day: str, limit: int | None, expires: datetime, count: int) -> list[int | None]:
        """One more each time; of what is left of a day as many as there is room for."""
        used = await self._increment(day, limit, count)
        if used is None:
            await self._begin(day, expires)
            used = await self._increment(day, limit, count)
        if used is not None:
            return [*range(used - count + 1, used + 1)]
        last: list[int | None] = []
        while len(last) < count - 1 and (used := await self._increment(day, limit, 1)) is not None:
            last.append(used)
        return last + [None] * (count - len(last))

    async def _increment(self, day: str, limit: int | None, count: int) -> int | None:
        wanted: dict[str, Any] = {"_id": {"$eq": f"sms:{day}"}}
        if limit is not None:
            wanted["n"] = {"$lte": limit - count}
        found = await self._counters.find_one_and_update(
            wanted, {"$inc": {"n": count}}, return_document=ReturnDocument.AFTER
        )
        return int(found["n"]) if found else None

    async def _begin(self, day: str, expires: datetime) -> None:
        """Apart from the increment: an upsert with `$lt` in its condition is not tried again by the server when two
        of them race to begin a day, so a duplicate key would not mean that the budget is used up."""
        try:
            await self._counters.insert_one({"_id": f"sms:{day}", "n": 0, "expires": expires})
        except DuplicateKeyError:
            pass

    async def _subtract_all(self, unheard: Sequence[tuple[_Addition, int | None]]) -> None:
        for day, count in Counter(day for (day, *_), used in unheard if used is not None).items():
            await self.subtract(day, count)

    async def subtract(self, day: str, count: int = 1) -> None:
        """Take SMS off the count."""
        wanted = {"_id": {"$eq": f"sms:{day}"}, "n": {"$gte": count}}
        async with mongo_faults(STEP_TIMEOUT_S):
            await self._counters.update_one(wanted, {"$inc": {"n": -count}})

    async def get(self, day: str) -> int:
        """How many SMS the day has had."""
        async with mongo_faults(STEP_TIMEOUT_S):
            found = await self._counters.find_one({"_id": {"$eq": f"sms:{day}"}})
        return int(found["n"]) if found else 0

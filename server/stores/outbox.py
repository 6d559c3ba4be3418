"""The collection `outbox`: one document per accepted send, so that a Redis that lost its data cannot send twice."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import BulkWriteError

from server.stores.mongo import Mongo, mongo_faults
from server.stores.together import Together

# Two such steps and taking them back must fit into the five seconds of one request.
STEP_TIMEOUT_S = 1
# Longer than the longest interval and the longest code; nobody reads it after that.
KEPT = timedelta(days=1)
_DUPLICATE = 11000


class OutboxStore:
    """Documents `_id owner at day expires`; `_id` is `<name of the number's tag>:<bucket>`, so it is unique."""

    def __init__(self, mongo: Mongo) -> None:
        self._outbox = mongo.db.outbox
        self._records = Together(self._record_all, give_back=self._forget_all)

    async def prepare(self) -> None:
        """Make the index that clears old documents away."""
        async with mongo_faults(10):
            await self._outbox.create_index("expires", expireAfterSeconds=0)

    async def record(self, name: str, bucket: int, *, owner: str, at: float, day: str) -> bool:
        """False if another send of this number has the bucket."""
        sent = {"_id": f"{name}:{bucket}", "owner": owner, "at": at, "day": day}
        async with mongo_faults(STEP_TIMEOUT_S):
            return await self._records.ask(sent | {"expires": datetime.fromtimestamp(at, UTC) + KEPT})

    async def _record_all(self, sent: Sequence[dict[str, Any]]) -> list[bool]:
        async with mongo_faults(STEP_TIMEOUT_S):
            try:
                await self._outbox.insert_many(sent, ordered=False)
            except BulkWriteError as fault:
                return await self._whose(sent, fault)
        return [True] * len(sent)

    async def _forget_all(self, unheard: Sequence[tuple[dict[str, Any], bool]]) -> None:
        """None is another's: whoever owns the bucket is named."""
        owned = [{"_id": {"$eq": sent["_id"]}, "owner": {"$eq": sent["owner"]}} for sent, _ in unheard]
        async with mongo_faults(STEP_TIMEOUT_S):
            await self._outbox.delete_many({"$or": owned})

    async def _whose(self, sent: Sequence[dict[str, Any]], fault: BulkWriteError) -> list[bool]:
        """The driver writes again what it got no answer to, and then meets its own documents."""
        details: Any = fault.details
        if details["writeConcernErrors"] or any(each["code"] != _DUPLICATE for each in details["writeErrors"]):
            raise fault
        met = {sent[each["index"]]["_id"] for each in details["writeErrors"]}
        found = await self._outbox.find({"_id": {"$in": [*met]}}).to_list(len(met))
        owners = {one["_id"]: one["owner"] for one in found}
        return [one["_id"] not in met or owners.get(one["_id"]) == one["owner"] for one in sent]

    async def remove(self, name: str, owner: str) -> str | None:
        """Forget a send; the day it was recorded for, or None if there is nothing (left) to forget."""
        async with mongo_faults(STEP_TIMEOUT_S):
            # All ids of one number stand side by side: ";" is the character after ":".
            found = await self._outbox.find_one_and_delete(
                {"_id": {"$gte": f"{name}:", "$lt": f"{name};"}, "owner": {"$eq": owner}}
            )
        return str(found["day"]) if found else None

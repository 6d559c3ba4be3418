"""The collection `outbox`: one document per accepted send, so that a Redis that lost its data cannot send twice."""

from datetime import UTC, datetime, timedelta

from pymongo.errors import DuplicateKeyError

from server.stores.mongo import Mongo, mongo_faults

# Two such steps and taking them back must fit into the five seconds of one request.
STEP_TIMEOUT_S = 1
# Longer than the longest interval and the longest code; nobody reads it after that.
KEPT = timedelta(days=1)


class OutboxStore:
    """Documents `_id owner at day expires`; `_id` is `<name of the number's tag>:<bucket>`, so it is unique."""

    def __init__(self, mongo: Mongo) -> None:
        self._outbox = mongo.db.outbox

    async def prepare(self) -> None:
        """Make the index that clears old documents away."""
        async with mongo_faults(10):
            await self._outbox.create_index("expires", expireAfterSeconds=0)

    async def record(self, name: str, bucket: int, *, owner: str, at: float, day: str) -> bool:
        """False if another send of this number has the bucket."""
        sent = {"_id": f"{name}:{bucket}", "owner": owner, "at": at, "day": day}
        expires = datetime.fromtimestamp(at, UTC) + KEPT
        async with mongo_faults(STEP_TIMEOUT_S):
            try:
                await self._outbox.insert_one(sent | {"expires": expires})
            except DuplicateKeyError:
                # The driver writes again what it got no answer to, and then meets its own document.
                found = await self._outbox.find_one({"_id": {"$eq": sent["_id"]}})
                return found is not None and bool(found["owner"] == owner)
        return True

    async def remove(self, name: str, owner: str) -> str | None:
        """Forget a send; the day it was recorded for, or None if there is nothing (left) to forget."""
        async with mongo_faults(STEP_TIMEOUT_S):
            # All ids of one number stand side by side: ";" is the character after ":".
            found = await self._outbox.find_one_and_delete(
                {"_id": {"$gte": f"{name}:", "$lt": f"{name};"}, "owner": {"$eq": owner}}
            )
        return str(found["day"]) if found else None

"""The collection `meta`: what all processes of one service share for good."""

import secrets

from pymongo.errors import DuplicateKeyError

from server.stores.mongo import Mongo, mongo_faults


class MetaStore:
    """Small documents by name."""

    def __init__(self, mongo: Mongo) -> None:
        self._meta = mongo.db.meta

    async def shared_key(self, name: str) -> bytes:
        """32 random bytes, made by whoever asks first."""
        async with mongo_faults(10):
            try:
                await self._meta.insert_one({"_id": name, "key": secrets.token_bytes(32)})
            except DuplicateKeyError:
                pass
            found = await self._meta.find_one({"_id": {"$eq": name}})
        return bytes(found["key"])

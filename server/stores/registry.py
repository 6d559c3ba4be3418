"""Which numbers are taken, for courtesy answers. The unique index of `users` remains the truth."""

from collections.abc import Collection

from server.stores.mongo import Mongo, mongo_faults


class RegistryStore:
    """Answers by an indexed find."""

    def __init__(self, mongo: Mongo) -> None:
        self._users = mongo.db.users

    async def taken(self, mobiles: Collection[str]) -> set[str]:
        """Those of `mobiles` that an account holds; StoreUnavailable if it cannot be known."""
        async with mongo_faults():
            cursor = self._users.find({"mobile": {"$in": list(mobiles)}}, {"mobile": 1, "_id": 0})
            return {user["mobile"] for user in await cursor.to_list(None)}

"""The collection `users`. Its unique indexes are the truth about who holds a number."""

import asyncio
from collections.abc import Collection
from typing import Any

from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError, WriteConcernError
from pymongo.read_concern import ReadConcern

from server.errors import StoreUnavailable
from server.logs import mask
from server.stores.free_numbers import FreeNumbers
from server.stores.mongo import Mongo, mongo_faults

WRITE_TIMEOUT_S = 5
_MAJORITY = ReadConcern("majority")
# What stands in place of a number that an account has lost: no number, and unique as the index wants it.
_NO_MOBILE = "none:"
User = dict[str, Any]
Claim = dict[str, Any]


class DuplicateMobiles(Exception):
    """Old data has a number twice; the message lists them, masked."""


class ResultUnknown(Exception):
    """A write was sent and nobody could say what became of it."""


class NumberTaken(Exception):
    """Another account holds the number."""


def is_active(user: dict[str, Any]) -> bool:
    """Whether an account lets anybody in."""
    return "disabled_at" not in user


def pending_claim(user: dict[str, Any]) -> Claim | None:
    """The claim that waits for its day; one that was carried out or dropped and is still to be told is none."""
    claim: Claim | None = user.get("claim")
    return claim if claim and "outcome" not in claim else None


class UserStore:
    """Users as documents: `_id username mobile password transaction version created_at`, `consent` where it was asked
    for, `role` where they are operators, in `profile` what they tell of themselves, in `claim` what is asked about
    their number, `refused_at` when it was last refused to give it away. `version` counts the changes after which
    older sessions are no longer good. An account that lost its number has the mobile "" for whoever reads it here."""

    def __init__(self, mongo: Mongo, free: FreeNumbers) -> None:
        """`free` hears of each number before an account takes it. One that is freed shows when it is asked for."""
        self._users = mongo.db.users
        self._free = free

    async def prepare(self) -> None:
        """Make the unique indexes; DuplicateMobiles if old data stands against them."""
        try:
            async with mongo_faults(60):
                await self._users.create_index("username", unique=True)
                await self._users.create_index("transaction", unique=True, sparse=True)
                await self._users.create_index("claim.due_at", sparse=True)
                await self._create_mobile_index()
        except StoreUnavailable as fault:
            if isinstance(fault.__cause__, OperationFailure) and fault.__cause__.code in (85, 86):
                raise DuplicateMobiles("An index on users has our name but other options; drop it first.") from None
            raise

    async def index_present(self) -> bool:
        """Whether the unique index on the number is there: plain, over all documents, without a collation."""
        async with mongo_faults():
            found = await self._users.index_information()
        return any(
            list(index["key"]) == [("mobile", 1)]
            and index.get("unique")
            and not index.keys() & {"partialFilterExpression", "collation", "sparse"}
            for index in found.values()
        )

    async def _create_mobile_index(self) -> None:
        try:
            await self._users.create_index("mobile", unique=True)
        except DuplicateKeyError:
            raise DuplicateMobiles(await self._list_duplicates()) from None
        except OperationFailure as fault:
            if fault.code == 11000:
                raise DuplicateMobiles(await self._list_duplicates()) from None
            raise

    async def _list_duplicates(self) -> str:
        seen: set[str] = set()
        twice: set[str] = set()
        async for user in self._users.find({}, {"mobile": 1}):
            mobile = user.get("mobile", "")
            (twice if mobile in seen else seen).add(mobile)
        listed = ", ".join(sorted(mask(str(mobile)) for mobile in twice)[:20])
        return f"Numbers that more than one user holds ({len(twice)}): {listed}. Merge these accounts first."

    async def get(self, **field: str) -> dict[str, Any] | None:
        """The user whose `field` (`_id`, `mobile`, `username`) has that value."""
        ((name, value),) = field.items()
        async with mongo_faults():
            return _read(await self._users.find_one({name: {"$eq": value}}))

    async def insert(self, user: dict[str, Any]) -> bool:
        """False for a number, name or transaction that is in use. ResultUnknown if it may or may not be written."""
        await self._free.withdraw(user["mobile"])
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._users.insert_one(user)
        except DuplicateKeyError:
            return False
        except (PyMongoError, TimeoutError) as fault:
            return await self._read_back(user, fault)
        return True

    async def _read_back(self, user: dict[str, Any], fault: Exception) -> bool:
        """The answer to a write got lost: only a majority-committed document counts as written."""
        found = await self._look_back(user["_id"], fault)
        if found and found["password"] == user["password"]:
            return True
        raise ResultUnknown from fault

    async def _find_committed(self, user_id: str) -> dict[str, Any] | None:
        from_majority = self._users.with_options(read_concern=_MAJORITY)
        async with mongo_faults():
            return _read(await from_majority.find_one({"_id": {"$eq": user_id}}))

    async def change(self, user: dict[str, Any], *, unset: Collection[str] = (), **fields: Any) -> User | None:
        """Set `fields` and count the version on; the changed user, or None if it is no longer the one we read.

        NumberTaken; ResultUnknown if it may or may not be written.
        """
        return await self._write(user, unset, fields | {"version": user["version"] + 1})

    async def set_claim(self, user: dict[str, Any], claim: Claim) -> User | None:
        """Note a claim; sessions stay as good as they are. Answers and raises as `change` does."""
        return await self._write(user, (), {"claim": claim})

    async def end_claim(self, user: dict[str, Any], **fields: Any) -> User | None:
        """Take the claim away that was read, whatever else has changed since, and set `fields`."""
        return await self._write(user, ("claim",), fields, whole=False)

    async def due_claims(self, now: float, most: int) -> list[User]:
        """Accounts whose claim's day has come, those that have waited longest first."""
        async with mongo_faults():
            cursor = self._users.find({"claim.due_at": {"$lte": now}}).sort("claim.due_at", 1).limit(most)
            return [user async for found in cursor if (user := _read(found))]

    async def _write(
        self, user: User, unset: Collection[str], fields: dict[str, Any], *, whole: bool = True
    ) -> User | None:
        """One conditional step. The claim is part of the condition: to refuse one and to carry it out cannot both
        succeed. `whole`: and so is the version."""
        changed = {name: value for name, value in (user | fields).items() if name not in unset}
        step: dict[str, Any] = {"$set": _stored(user, fields)} if fields else {}
        if unset:
            step["$unset"] = dict.fromkeys(unset, "")
        known = _as_read(user)
        if not whole:
            del known["version"]
        if fields.get("mobile"):
            await self._free.withdraw(fields["mobile"])
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                done = await self._users.update_one(known, step)
        except DuplicateKeyError:
            raise NumberTaken from None
        except (PyMongoError, TimeoutError) as fault:
            return changed if await self._was_written(changed, fault) else None
        return changed if done.modified_count else None

    async def _was_written(self, changed: dict[str, Any], fault: Exception) -> bool:
        """The answer to a change got lost: only what is majority-committed counts as written."""
        found = await self._look_back(changed["_id"], fault)
        if found == changed:
            return True
        raise ResultUnknown from fault

    async def _look_back(self, user_id: str, fault: Exception) -> dict[str, Any] | None:
        """What is majority-committed after a write whose answer got lost; StoreUnavailable if it was refused."""
        if isinstance(fault, OperationFailure) and not isinstance(fault, WriteConcernError):
            raise StoreUnavailable("mongo", type(fault).__name__) from fault
        try:
            return await self._find_committed(user_id)
        except StoreUnavailable:
            raise ResultUnknown from fault

    async def delete(self, user: dict[str, Any]) -> bool:
        """Remove an account for good; False if it is no longer the one we read."""
        async with mongo_faults(WRITE_TIMEOUT_S):
            done = await self._users.delete_one(_as_read(user))
        return bool(done.deleted_count)

    async def set_profile(self, user: dict[str, Any], profile: dict[str, Any]) -> bool:
        """Replace the profile, if it is still the one we read."""
        known = {"$eq": user["profile"]} if "profile" in user else {"$exists": False}
        async with mongo_faults(WRITE_TIMEOUT_S):
            done = await self._users.update_one(
                {"_id": {"$eq": user["_id"]}, "profile": known}, {"$set": {"profile": profile}}
            )
        return bool(done.matched_count)

    async def set_role(self, user_id: str, role: str | None) -> bool:
        """Make somebody an operator, or no more; False if there is no such account."""
        step = {"$set": {"role": role}} if role else {"$unset": {"role": ""}}
        async with mongo_faults(WRITE_TIMEOUT_S):
            done = await self._users.update_one({"_id": {"$eq": user_id}}, step)
        return bool(done.matched_count)

    async def page(self, after: str, count: int) -> list[dict[str, Any]]:
        """At most `count` users in the order of their ids, from the one after `after`."""
        async with mongo_faults():
            cursor = self._users.find({"_id": {"$gt": after}}).sort("_id", 1).limit(count)
            return [user async for found in cursor if (user := _read(found))]

    async def set_password(self, user_id: str, old: str, new: str) -> bool:
        """Replace a stored hash, if it is still `old`."""
        async with mongo_faults(WRITE_TIMEOUT_S):
            done = await self._users.update_one(
                {"_id": {"$eq": user_id}, "password": {"$eq": old}}, {"$set": {"password": new}}
            )
        return bool(done.modified_count)


def _as_read(user: User) -> dict[str, Any]:
    claim = {"$eq": user["claim"]} if "claim" in user else {"$exists": False}
    return {"_id": {"$eq": user["_id"]}, "version": {"$eq": user["version"]}, "claim": claim}


def _read(found: User | None) -> User | None:
    if found and str(found.get("mobile")).startswith(_NO_MOBILE):
        return found | {"mobile": ""}
    return found


def _stored(user: User, fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"mobile": _NO_MOBILE + user["_id"]} if fields.get("mobile") == "" else fields

"""The collection `audit`: a document for each account event, chained by hashes. Its unique `_id` says who is next."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from pymongo.errors import BulkWriteError, DuplicateKeyError

from server.stores.mongo import Mongo, mongo_faults

WRITE_TIMEOUT_S = 4
FIRST_PREV = "0" * 64
_BATCH = 1000
Entry = dict[str, Any]


def hash_of(entry: Entry) -> str:
    """SHA-256 over all of an entry but its hash; `prev` is in it, so it stands for all before as well."""
    body = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


class AuditStore:
    """Entries `_id prev hash at event …`, numbered from 1 without a gap."""

    def __init__(self, mongo: Mongo) -> None:
        self._audit = mongo.db.audit
        self._head: tuple[int, str] | None = None
        self._doubt: int | None = None

    async def append(self, entries: list[Entry]) -> tuple[int, str]:
        """Put entries at the end, in their order and together; number and hash of the last one.

        Another process may be faster: then its entries are read first. After StoreUnavailable the same entries may be
        given again: what was written after all is found by the `key` that each has.
        """
        entries = await self._without_written(entries)
        while True:
            before, prev = await self._find_head()
            chained = []
            for number, entry in enumerate(entries, before + 1):
                linked = entry | {"_id": number, "prev": prev}
                prev = hash_of(linked)
                chained.append(linked | {"hash": prev})
            if not chained or await self._insert(chained, before):
                self._head = (before + len(chained), prev)
                return self._head

    async def _insert(self, chained: list[Entry], before: int) -> bool:
        """False if somebody else has the first number: then nothing was written, as numbers go one by one."""
        self._head, self._doubt = None, before  # until we know
        async with mongo_faults(WRITE_TIMEOUT_S):
            try:
                await self._audit.insert_many(chained, ordered=True)
            except (BulkWriteError, DuplicateKeyError):
                # The driver writes again what it got no answer to, and then meets its own entries.
                found = await self._audit.find_one({"_id": {"$eq": chained[-1]["_id"]}})
                self._doubt = None
                return found is not None and bool(found["hash"] == chained[-1]["hash"])
        self._doubt = None
        return True

    async def _without_written(self, entries: list[Entry]) -> list[Entry]:
        """Those that an earlier call, whose answer got lost, has not written after all."""
        if self._doubt is None:
            return entries
        async with mongo_faults(WRITE_TIMEOUT_S):
            found = await self._audit.find({"_id": {"$gt": self._doubt}}, {"key": 1}).to_list(None)
        self._doubt = None
        written = {one["key"] for one in found}
        return [entry for entry in entries if entry["key"] not in written]

    async def _find_head(self) -> tuple[int, str]:
        if self._head is None:
            async with mongo_faults(WRITE_TIMEOUT_S):
                newest = await self._audit.find({"_id": {"$gt": 0}}).sort("_id", -1).limit(1).to_list(1)
            self._head = (newest[0]["_id"], newest[0]["hash"]) if newest else (0, FIRST_PREV)
        return self._head

    async def all(self) -> AsyncIterator[Entry]:
        """Every entry, in order."""
        number = 0
        while True:
            async with mongo_faults(30):
                some = await self._audit.find({"_id": {"$gt": number}}).sort("_id", 1).limit(_BATCH).to_list(_BATCH)
            if not some:
                return
            for entry in some:
                yield entry
            number = some[-1]["_id"]

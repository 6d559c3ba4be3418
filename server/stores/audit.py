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
_STRIDES = (10**8, 10**6, 10**4, 100, 1)
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
        while True:
            before, prev = await self._find_head()
            entries = await self._without_written(entries, before)
            chained = []
            for number, entry in enumerate(entries, before + 1):
                linked = entry | {"_id": number, "prev": prev}
                prev = hash_of(linked)
                chained.append(linked | {"hash": prev})
            if not chained or await self._insert(chained, before):
                self._head = (before + len(chained), prev)
                return self._head

    async def _insert(self, chained: list[Entry], before: int) -> bool:
        """False if another process was faster, be it in the middle: then a part may have been written."""
        self._head, self._doubt = None, before
        async with mongo_faults(WRITE_TIMEOUT_S):
            try:
                await self._audit.insert_many(chained, ordered=True)
            except (BulkWriteError, DuplicateKeyError):
                return False
        self._doubt = None
        return True

    async def _without_written(self, entries: list[Entry], head: int) -> list[Entry]:
        """Those that an earlier try, of which nobody knew how far it came, has not written."""
        if self._doubt is None:
            return entries
        found = await self._some(range(self._doubt + 1, head + 1))
        written = {one["key"] for one in found}
        self._doubt = None
        return [entry for entry in entries if entry["key"] not in written]

    async def _find_head(self) -> tuple[int, str]:
        """Numbers have no gap, so the last one is found by looking whether a few are there: a sort would read all."""
        if self._head is None:
            last: Entry = {"_id": 0, "hash": FIRST_PREV}
            for stride in _STRIDES:
                low = last["_id"]
                found = await self._some(range(low + stride, low + 100 * stride + 1, stride))
                last = max([last, *found], key=lambda one: int(one["_id"]))
            self._head = (last["_id"], last["hash"])
        return self._head

    async def _some(self, numbers: range) -> list[Entry]:
        async with mongo_faults(WRITE_TIMEOUT_S):
            found: list[Entry] = await self._audit.find({"_id": {"$in": [*numbers]}}).to_list(None)
        return found

    async def prepare(self) -> None:
        """Make the index by which the entries of one account are found."""
        async with mongo_faults(60):
            await self._audit.create_index([("user", 1), ("_id", -1)])

    async def page(self, before: int, count: int) -> list[Entry]:
        """At most `count` entries with numbers below `before` (0: all), the newest first."""
        if not before:
            self._head = None if self._doubt is None else self._head  # Others may have written since.
            before = (await self._find_head())[0] + 1
        found = await self._some(range(max(1, before - count), before))
        return sorted(found, key=lambda one: -int(one["_id"]))

    async def of_user(self, user: str, *, before: int, count: int) -> list[Entry]:
        """As `page`, of one account."""
        below = {"_id": {"$lt": before}} if before else {}
        wanted = {"user": {"$eq": user}} | below
        async with mongo_faults():
            found: list[Entry] = await self._audit.find(wanted).sort("_id", -1).limit(count).to_list(count)
        return found

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

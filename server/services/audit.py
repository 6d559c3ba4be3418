"""The audit: who did what to which account, from where, in a chain that shows what was taken out of it or changed."""

import asyncio
import secrets
from collections import deque
from itertools import islice
from typing import Any

from server.audit_events import EVENTS
from server.caller import Caller
from server.clock import Clock
from server.errors import StoreUnavailable
from server.feed import Feed
from server.logs import get_log, mask
from server.metrics import Metrics
from server.services.devices import words_of
from server.stores.audit import FIRST_PREV, AuditStore, Entry, hash_of
from server.tasks import Tasks

_log = get_log(__name__)
WAITING_MAX = 10_000
PATIENCE_S = 2
RETRY_S = 1
_AT_ONCE = 200
HEAD_EVERY_S = 600


class AuditService:
    """One writer a process takes all that wait and writes them together. Whoever notes something waits for that, but
    not for long: what cannot be written now is kept and written when MongoDB is back."""

    def __init__(self, *, store: AuditStore, metrics: Metrics, feed: Feed, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._feed = feed
        self._clock = clock
        self._tasks = Tasks(clock)
        self._waiting: deque[tuple[Entry, asyncio.Event]] = deque()
        self._work = asyncio.Event()
        self._head: tuple[int, str] | None = None
        self._told: tuple[int, str] | None = None

    async def start(self) -> None:
        """Begin to write."""
        self._tasks.keep("audit.write", self._write, every_s=0)
        self._tasks.keep("audit.head", self._tell_head, every_s=HEAD_EVERY_S)

    async def aclose(self) -> None:
        """Write what still waits, if that can be done soon."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._waiting:
                    await self._waiting[-1][1].wait()
        except TimeoutError:
            _log.error("audit.lost", count=len(self._waiting), why="the process ends while MongoDB is away")
        await self._tasks.aclose()
        await self._tell_head()

    async def note(
        self,
        event: str,
        *,
        user: str,
        caller: Caller | None = None,
        mobile: str = "",
        session: str = "",
        **details: str,
    ) -> None:
        """Keep one of EVENTS. Never raises: what it tells of has happened."""
        assert event in EVENTS, event
        if len(self._waiting) >= WAITING_MAX:
            self._metrics.audit.labels("lost").inc()
            _log.error("audit.lost", count=1, why="too many wait for MongoDB")
            return
        written = asyncio.Event()
        entry = self._entry(event, user, caller, mobile, session, details)
        self._waiting.append((entry, written))
        self._tell(entry)
        self._work.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await written.wait()
        except TimeoutError:
            _log.warning("audit.late", audit_event=event)

    def _tell(self, entry: Entry) -> None:
        """Operators who watch see it at once."""
        event = event_of(entry)
        self._feed.note(event.pop("kind"), event.pop("at"), **event)

    def _entry(
        self, event: str, user: str, caller: Caller | None, mobile: str, session: str, details: dict[str, str]
    ) -> Entry:
        entry: dict[str, Any] = {
            "key": secrets.token_hex(8),
            "at": round(self._clock.now(), 3),
            "event": event,
            "user": user,
            "mobile": mask(mobile) if mobile else "",
            "session": session,
            "details": details,
        }
        if caller is not None:
            origin = {"address": caller.address, "device": words_of(caller.agent), "request_id": caller.request_id}
            entry |= origin
        return entry

    async def _write(self) -> None:
        """All that wait, together. Until they are written they stay in line."""
        await self._work.wait()
        self._work.clear()
        while self._waiting:
            some = list(islice(self._waiting, _AT_ONCE))
            try:
                self._head = await self._store.append([entry for entry, _ in some])
            except StoreUnavailable as fault:
                _log.warning("audit.not_written", waiting=len(self._waiting), why=str(fault))
                await self._clock.sleep(RETRY_S)
                continue
            for _, written in some:
                self._waiting.popleft()
                written.set()
            self._metrics.audit.labels("written").inc(len(some))

    async def _tell_head(self) -> None:
        """Into the log, which lies elsewhere: who rewrites the chain cannot rewrite that too."""
        if self._head and self._head != self._told:
            self._told = self._head
            _log.info("audit.head", number=self._head[0], hash=self._head[1])


def event_of(entry: Entry) -> dict[str, Any]:
    """An entry as operators see it among what happens."""
    details = dict(entry["details"])
    by = details.pop("by", "")
    whose = {"user": entry["user"], "mobile": entry["mobile"], "about": " ".join(details.values()), "by": by}
    return {"kind": entry["event"], "at": entry["at"]} | whose


async def verify(store: AuditStore, head: tuple[int, str] | None = None) -> tuple[int, str]:
    """Walk the whole chain; number and hash of its end. ValueError names the first entry that is wrong, or says that
    the noted `head` is not in it."""
    number, prev, found = 0, FIRST_PREV, head is None
    async for entry in store.all():
        if entry["_id"] != number + 1:
            raise ValueError(f"entry {number + 1} is missing")
        number += 1
        if entry.get("prev") != prev:
            raise ValueError(f"entry {number} does not follow the one before it")
        if entry.get("hash") != hash_of(entry):
            raise ValueError(f"entry {number} was changed")
        prev = entry["hash"]
        found = found or (number, prev) == head
    if not found and head is not None:
        raise ValueError(
            f"entry {head[0]} with the hash that was noted is not there: the end was cut off or rewritten"
        )
    return number, prev

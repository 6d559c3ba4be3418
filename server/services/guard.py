"""Whose session lives may come in; the pages of one that ended are sent away, on every process."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from server.caller import Identity
from server.clock import Clock
from server.errors import AppError, StoreUnavailable
from server.events import EventBus, topics
from server.services.access_tokens import ACCESS_LIFE_S, LEEWAY_S
from server.slices import parts
from server.stores.sessions import SessionStore
from server.tasks import Tasks

# A reading request believes an answer of Redis for so long; with the way there it stays under a second (TOK-6).
FRESH_S = 0.8
SWEEP_S = 8
# After so long no token of an ended session is good by itself.
_REMEMBERED_S = ACCESS_LIFE_S + 2 * LEEWAY_S


class BoundPage(Protocol):
    """An open page that speaks for a session."""

    def session_ended(self, reason: str) -> None:
        """Tell it and close it; never blocks, never raises."""

    def push(self, kind: str, data: dict[str, Any]) -> None:
        """Send a message that nobody asked for; never blocks, never raises."""


@dataclass(frozen=True, slots=True)
class _End:
    reason: str
    at: float


class SessionGuard:
    """Redis says whether a session lives. Its end is published; a message that got lost is mended by a sweep."""

    def __init__(self, *, store: SessionStore, events: EventBus, clock: Clock) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._tasks = Tasks(clock)
        self._lived: dict[str, float] = {}
        self._ended: dict[str, _End] = {}
        self._pages: dict[str, set[BoundPage]] = defaultdict(set)
        self._bound: dict[BoundPage, Identity] = {}

    async def start(self) -> None:
        """Begin to listen for ends everywhere."""
        await self._events.subscribe(topics.SESSIONS, self._on_end)
        self._events.on_gap(lambda: self._tasks.start(self._sweep()))
        self._tasks.keep("sessions.sweep", self._sweep, every_s=SWEEP_S)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._tasks.aclose()

    async def require(self, who: Identity | None, *, reading: bool) -> None:
        """AppError `token_invalid` unless this session lives.

        Whatever changes something asks Redis each time, and is refused by StoreUnavailable without it. Reading asks
        once in FRESH_S; without Redis it goes on while the token lasts, unless we heard of the end.
        """
        if who is None or who.sid in self._ended or self._clock.now() >= who.until:
            raise AppError("token_invalid")
        if reading and self._clock.monotonic() - self._lived.get(who.sid, -FRESH_S) < FRESH_S:
            return
        try:
            await self._ask(who)
        except StoreUnavailable:
            if not reading:
                raise

    async def _ask(self, who: Identity) -> None:
        asked_at = self._clock.monotonic()
        version = await self._store.version(who.user, who.sid)
        # A session that changed its own account goes on, and so does its older token.
        if not version or int(version) < int(who.version) or who.sid in self._ended:
            self._lived.pop(who.sid, None)
            raise AppError("token_invalid")
        self._lived[who.sid] = asked_at

    def bind(self, page: BoundPage, who: Identity) -> None:
        """From now on `page` ends with this session, and no more with the one before."""
        self.unbind(page)
        if end := self._ended.get(who.sid):
            page.session_ended(end.reason)
            return
        self._bound[page] = who
        self._pages[who.sid].add(page)

    def unbind(self, page: BoundPage) -> None:
        """The page has left."""
        who = self._bound.pop(page, None)
        if who is None:
            return
        self._pages[who.sid].discard(page)
        if not self._pages[who.sid]:
            del self._pages[who.sid]

    def tell(self, user: str, kind: str, data: dict[str, Any]) -> None:
        """Push to all pages of this process that speak for a session of that account. Seldom, so it looks at each."""
        for page in [page for page, who in self._bound.items() if who.user == user]:
            page.push(kind, data)

    def _on_end(self, _: str, data: dict[str, Any]) -> None:
        self._end(data["id"], data["reason"])

    def _end(self, sid: str, reason: str) -> None:
        self._ended[sid] = _End(reason, self._clock.monotonic())
        self._lived.pop(sid, None)
        for page in [*self._pages.get(sid, ())]:
            self.unbind(page)
            page.session_ended(reason)

    async def _sweep(self) -> None:
        """Find what ended by its time, or by a message that did not reach us; forget what is long over."""
        now = self._clock.monotonic()
        self._lived = {sid: at for sid, at in self._lived.items() if now - at < FRESH_S}
        self._ended = {sid: end for sid, end in self._ended.items() if now - end.at < _REMEMBERED_S}
        bound = {who.sid: who.user for who in self._bound.values()}
        for some in parts(bound.items()):
            await self._look_at(some)

    async def _look_at(self, some: Sequence[tuple[str, str]]) -> None:
        try:
            versions = await asyncio.gather(*(self._store.version(user, sid) for sid, user in some))
        except StoreUnavailable:
            return  # Not known. The next sweep asks again.
        for (sid, _), version in zip(some, versions, strict=True):
            if not version:
                self._end(sid, "over")

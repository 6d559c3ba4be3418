"""So many websockets of one address, and so many that speak for one session, over all processes."""

import asyncio
import secrets
from collections import defaultdict

from server.clock import Clock
from server.errors import AppError, StoreUnavailable
from server.limit_rules import LimitRules
from server.metrics import Metrics
from server.services.limits import HARD_FACTOR, address_group
from server.slices import parts, sliced
from server.stores.rooms import RoomStore
from server.tags import Tag, Tagger
from server.tasks import Tasks

LEASE_S = 60
RENEW_S = 20
FULL_RETRY_S = 10


class RoomService:
    """Each websocket takes a place for its address when it opens, and one for its session when it has one."""

    def __init__(
        self, *, store: RoomStore, rules: LimitRules, tagger: Tagger, metrics: Metrics, clock: Clock, enforce: bool
    ) -> None:
        self._store = store
        self._rules = rules
        self._tagger = tagger
        self._metrics = metrics
        self._enforce = enforce
        self._tasks = Tasks(clock)
        self._process = secrets.token_hex(6)
        self._count = 0
        self._taken: dict[object, list[tuple[Tag, str]]] = defaultdict(list)

    async def start(self) -> None:
        """Begin to keep the places of the websockets of this process."""
        self._tasks.keep("rooms.renew", self._renew, every_s=RENEW_S)

    async def aclose(self) -> None:
        """Their leases end by themselves."""
        await self._tasks.aclose()

    async def enter_address(self, page: object, address: str) -> None:
        """Take a place; AppError `rate_limited` if the address has too many open."""
        most = self._rules.socket_address_open * HARD_FACTOR
        await self._enter(page, self._tagger.tag(f"address:{address_group(address)}"), most, "address_open")

    async def enter_session(self, page: object, sid: str) -> None:
        """Take a place; AppError `rate_limited` if the session has too many open."""
        await self._enter(page, self._tagger.tag(f"session:{sid}"), self._rules.socket_session_open, "session_open")

    def leave(self, page: object) -> None:
        """Give all places of a websocket back."""
        if page in self._taken:
            self._tasks.start(self._give_back(self._taken.pop(page)))

    async def _enter(self, page: object, room: Tag, most: int, dimension: str) -> None:
        if any(taken == room for taken, _ in self._taken.get(page, ())):
            return
        self._count += 1
        name = f"{self._process}.{self._count}"
        if not await self._store.enter(room, name, most=most):
            self._metrics.refusals.labels("socket.open", dimension).inc()
            if self._enforce:
                raise AppError("rate_limited", retry_after=FULL_RETRY_S)
        self._taken[page].append((room, name))

    async def _give_back(self, places: list[tuple[Tag, str]]) -> None:
        try:
            for room, name in places:
                await self._store.leave(room, name)
        except StoreUnavailable:
            pass  # Their leases end by themselves.

    async def _renew(self) -> None:
        rooms: dict[Tag, list[str]] = defaultdict(list)
        async for places in sliced(self._taken.values()):
            for room, name in places:
                rooms[room].append(name)
        for some in parts(rooms.items()):
            await asyncio.gather(*(self._store.stay(room, names) for room, names in some))

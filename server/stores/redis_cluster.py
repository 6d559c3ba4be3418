"""A Redis Cluster: which node has which slot, learnt from the nodes and learnt again when they say otherwise."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from redis import asyncio as aioredis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, MovedError

from server.errors import StoreUnavailable
from server.stores.redis_batch import Step, redis_faults
from server.stores.redis_nodes import CONNECTIONS, Node, pool_options
from server.stores.redis_url import Address

_ASK_TIMEOUT_S = 0.15
_PAUSE_S = 0.1  # between two readings of the table, as during a failover every failed call wants one
_MOST_REDIRECTS = 2
_Place = tuple[str, int]
_Work = Callable[[Node, bool], Awaitable[Any]]


class Cluster:
    """Each key on the master of its slot. A node that is away takes only its own slots with it."""

    clustered = True

    def __init__(self, address: Address, replicas: int) -> None:
        self._options = address.options
        self._seeds = address.hosts
        self._replicas = replicas
        self._known: dict[_Place, Node] = {}
        self._masters: list[_Place] = []
        self._slots: list[_Place | None] = []
        self._learning: asyncio.Task[None] | None = None
        self._turn = 0
        self._why = ""
        self._closed = False

    async def run(self, key: str, step: Step) -> Any:
        async def work(node: Node, asking: bool) -> Any:
            return await node.submit(step, asking=asking)

        async with redis_faults():
            return await self._at(key, work)

    async def call(self, key: str | None, command: tuple[Any, ...], reading: dict[str, bool]) -> Any:
        async def work(node: Node, asking: bool) -> Any:
            return await node.call(command, reading, asking=asking)

        async with redis_faults():
            return await self._at(key, work)

    async def masters(self) -> list[Node]:
        await self._require_table()
        return [self._node(place) for place in self._masters]

    def dedicated(self, longest_wait_s: float | None, key: str | None) -> aioredis.Redis:
        place = self._slots[key_slot(key.encode())] if key and self._slots else None
        return aioredis.Redis.from_pool(self._open_pool(place or self._anyone(), 2, longest_wait_s))

    async def aclose(self) -> None:
        self._closed = True
        for node in self._known.values():
            await node.aclose()
        if self._learning:  # last: what ended just now may have wanted a new table
            self._learning.cancel()
            await asyncio.wait({self._learning})

    async def _at(self, key: str | None, work: _Work) -> Any:
        """`work` on the node that has `key`. A redirection says that nothing was run, so following it is safe."""
        await self._require_table()
        place, asking = self._owner(key) if key is not None else self._anyone(), False
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                return await work(self._node(place), asking)
            except AskError as redirect:
                place, asking = self._follow(place, redirect), not isinstance(redirect, MovedError)
            except BaseException:  # Also a cancellation: it may be the time limit of a node that says nothing.
                self._learn()
                raise
        raise StoreUnavailable("redis", "redirected too often")

    def _owner(self, key: str) -> _Place:
        place = self._slots[key_slot(key.encode())]
        if place is None:
            self._learn()
            raise StoreUnavailable("redis", "slot without a master")
        return place

    def _follow(self, place: _Place, redirect: AskError) -> _Place:
        target = (redirect.host or place[0], redirect.port)
        if isinstance(redirect, MovedError):
            self._slots[redirect.slot_id] = target
            self._learn()
        return target

    def _anyone(self) -> _Place:
        """A node for what any can do: another one each time, one that answered when last asked before others."""
        self._turn += 1
        places = self._masters or [*self._seeds]
        places = [place for place in places if not self._is_suspect(place)] or places
        return places[self._turn % len(places)]

    def _node(self, place: _Place) -> Node:
        if place not in self._known:
            if self._closed:
                raise StoreUnavailable("redis", "closed")
            self._known[place] = Node(self._open_pool(place, CONNECTIONS, None), self._replicas)
        return self._known[place]

    def _open_pool(
        self, place: _Place, connections: int, longest_wait_s: float | None
    ) -> aioredis.BlockingConnectionPool:
        host, port = place
        options = pool_options(connections, longest_wait_s) | self._options
        return aioredis.BlockingConnectionPool(host=host, port=port, **options)

    async def _require_table(self) -> None:
        if self._slots:
            return
        await asyncio.shield(self._learn())
        if not self._slots:
            raise StoreUnavailable("redis", f"no node told who has which slot: {self._why}")

    def _learn(self) -> asyncio.Task[None]:
        """Read the table in the background; one reading serves all who want it."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.get_running_loop().create_task(self._read_table())
        return self._learning

    async def _read_table(self) -> None:
        if self._slots:
            await asyncio.sleep(_PAUSE_S)
        for place in sorted(dict.fromkeys([*self._masters, *self._seeds]), key=self._is_suspect):
            try:
                async with asyncio.timeout(_ASK_TIMEOUT_S):
                    self._take_table(await self._node(place).call(("CLUSTER", "SLOTS"), {}), place[0])
                return
            except (StoreUnavailable, TimeoutError) as fault:
                self._why = str(fault) or "silent"

    def _is_suspect(self, place: _Place) -> bool:
        return place in self._known and self._known[place].suspect

    def _take_table(self, ranges: list[Any], asked_host: str) -> None:
        """Each range is first slot, last slot, master, replicas; a node without a host is the one that was asked."""
        slots: list[_Place | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (host, port, *_), *_replicas in ranges:
            slots[first : last + 1] = [(host or asked_host, port)] * (last + 1 - first)
        self._slots = slots
        self._masters = [*dict.fromkeys(place for place in slots if place)]

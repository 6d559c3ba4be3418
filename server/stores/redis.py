"""Runs commands and Lua steps in Redis, however it is had: every call timed, every fault one exception."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from redis import asyncio as aioredis
from redis.exceptions import ResponseError

from server.clock import Clock
from server.errors import StoreTooOld, StoreUnavailable
from server.stores.redis_batch import CALL_TIMEOUT_S as CALL_TIMEOUT_S
from server.stores.redis_batch import Step, redis_faults, tag_of
from server.stores.redis_cluster import Cluster
from server.stores.redis_nodes import Node, Nodes, OneServer
from server.stores.redis_url import read_address

OLDEST_VERSION = (6, 2)
MOST_ROWS = 64  # a call holds Redis for as long as it runs
Row = tuple[list[str], Any]
_LUA = Path(__file__).parent / "lua"
_OF_TWO_WORDS = {"XGROUP", "XINFO"}


class Redis:
    """`run` executes an atomic step of `lua/`, `call` a single command, both on the server that has the key."""

    def __init__(self, url: str, *, clock: Clock, replicas: int = 0) -> None:
        self._clock = clock
        self._scripts = _read_scripts()
        self._closed = False
        address = read_address(url)
        clustered = address.hosts and not address.service
        self._nodes: Nodes = Cluster(address, replicas) if clustered else OneServer(address, replicas)

    @property
    def clustered(self) -> bool:
        """Whether a step may only touch keys of one slot."""
        return self._nodes.clustered

    @property
    def client(self) -> aioredis.Redis:
        """The client of the only server, for what has no method here; a Cluster has none."""
        assert isinstance(self._nodes, OneServer)
        return self._nodes.node.client

    def dedicated(self, longest_wait_s: float | None, key: str | None = None) -> aioredis.Redis:
        """A client of its own for commands that wait (blocking reads of `key`, subscriptions); close it yourself.

        A connection that is silent for `longest_wait_s` is taken for dead; None if the caller sees to that.
        """
        return self._nodes.dedicated(longest_wait_s, key)

    async def run(self, script: str, keys: list[str], *args: str | int | float | bytes, durable: bool = False) -> Any:
        """Run `lua/<script>.lua`. Every step gets the clock's offset in ms as ARGV[1]; `args` follow.

        A `durable` one counts as done only when as many replicas as we were told to wait for have it; if not, it may
        have happened nevertheless.
        """
        self._require_open()
        values = (self._clock.offset_ms, *args)
        return await self._nodes.run(keys[0], Step(self._scripts[script], keys, values, durable=durable))

    async def run_rows(self, script: str, rows: Sequence[Row], *shared: str | int) -> list[Any]:
        """Run a script that takes many rows, each `(keys, value)`: it gets all keys, one row's after the other's, and
        the values as a JSON list in ARGV[2]; what they share follows. Answers that to each, or StoreUnavailable in
        its place: of a Cluster one node may be away."""
        answers: list[Any] = [None] * len(rows)
        groups = self._groups(rows)
        if len(groups) == 1:
            await self._run_group(script, rows, groups[0], answers, shared)
        else:
            await asyncio.gather(*(self._run_group(script, rows, group, answers, shared) for group in groups))
        return answers

    def _groups(self, rows: Sequence[Row]) -> list[Sequence[int]]:
        """Which may go in one call: what is on one node for sure, and not so much that it would hold Redis."""
        if not self._nodes.clustered:
            return [range(at, min(at + MOST_ROWS, len(rows))) for at in range(0, len(rows), MOST_ROWS)]
        found: dict[str, list[int]] = {}
        for at, (keys, _) in enumerate(rows):
            found.setdefault(tag_of(keys[0]), []).append(at)
        return [group[at : at + MOST_ROWS] for group in found.values() for at in range(0, len(group), MOST_ROWS)]

    async def _run_group(
        self,
        script: str,
        rows: Sequence[Row],
        group: Sequence[int],
        answers: list[Any],
        shared: tuple[str | int, ...],
    ) -> None:
        keys = [key for at in group for key in rows[at][0]]
        values = (self._clock.offset_ms, orjson.dumps([rows[at][1] for at in group]), *shared)
        try:
            self._require_open()
            found = await self._nodes.run(keys[0], Step(self._scripts[script], keys, values, durable=False))
        except StoreUnavailable as fault:
            found = [fault] * len(group)
        for at, answer in zip(group, found, strict=True):
            answers[at] = answer

    async def call(self, *command: str | int | float, **reading: bool) -> Any:
        """Run one command; `reading` is for redis-py's parser of its reply."""
        self._require_open()
        return await self._nodes.call(_key_of(command), command, reading)

    async def now(self) -> float:
        """Unix seconds by Redis' clock, as every step has it: of all clocks the one that rules go by."""
        seconds, micros = await self.call("TIME")
        return float(seconds) + float(micros) / 1e6 + self._clock.offset_ms / 1000

    async def each(self, *command: str | int | float) -> list[Any]:
        """Run one command on every master, one after the other."""
        answers = []
        for node in await self._masters():
            async with redis_faults():
                answers.append(await node.call(command, {}))
        return answers

    def _require_open(self) -> None:
        """A closed pool would open anew for a page that leaves late, and nobody would close that."""
        if self._closed:
            raise StoreUnavailable("redis", "closed")

    async def require_usable(self) -> None:
        """StoreTooOld if a server lacks what we need, StoreUnavailable if one does not answer."""
        clustered = isinstance(self._nodes, Cluster)
        for info in await self.each("INFO", "server"):
            found = str(info.get("redis_version", "0"))
            if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_VERSION:
                raise StoreTooOld(f"Redis {found} is too old; 6.2 or newer is needed.")
            if "cluster" in (info.get("redis_mode"), info.get("server_mode")) and not clustered:
                raise StoreTooOld("This Redis is a node of a Cluster: begin REDIS_URL with redis+cluster://.")
        for node in await self._masters():
            await _require_no_eviction(node)

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        await self._nodes.aclose()

    async def _masters(self) -> list[Node]:
        async with redis_faults():
            return await self._nodes.masters()


async def _require_no_eviction(node: Node) -> None:
    """Evicted keys are limits that vanish; where CONFIG is not allowed the operator has to know."""
    async with redis_faults():
        try:
            policy = await node.client.config_get("maxmemory-policy")
        except ResponseError:
            return
    if policy.get("maxmemory-policy", "noeviction") != "noeviction":
        raise StoreTooOld("Redis may evict keys: set maxmemory-policy to noeviction, or limits would vanish.")


def _key_of(command: tuple[Any, ...]) -> str | None:
    """Where the commands that we use have their key; PING and PUBLISH have none."""
    if len(command) == 1 or command[0] == "PUBLISH":
        return None
    return str(command[2 if command[0] in _OF_TWO_WORDS else 1])


def _read_scripts() -> dict[str, tuple[str, str]]:
    """Each step with the common beginning (`_now.lua`) before it."""
    common = (_LUA / "_now.lua").read_text()
    sources = {path.stem: common + path.read_text() for path in _LUA.glob("[!_]*.lua")}
    return {name: (hashlib.sha1(source.encode()).hexdigest(), source) for name, source in sources.items()}  # noqa: S324

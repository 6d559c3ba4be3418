"""Opens Redis and runs commands and Lua steps in it: every call timed, every fault one exception."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from server.clock import Clock
from server.errors import StoreTooOld, StoreUnavailable

CALL_TIMEOUT_S = 0.5
OLDEST_VERSION = (6, 2)
_LUA = Path(__file__).parent / "lua"
_FAULTS = (RedisError, OSError, TimeoutError, asyncio.TimeoutError)


class Redis:
    """One pool of connections. `run` executes an atomic step of `lua/`, `call` a single command."""

    def __init__(self, url: str, *, clock: Clock, max_connections: int = 64) -> None:
        self._clock = clock
        self._url = url
        self.client = self._open(max_connections, CALL_TIMEOUT_S)
        self._scripts = _read_scripts()

    def _open(self, max_connections: int, socket_timeout_s: float | None) -> aioredis.Redis:
        over_tcp = {} if self._url.startswith("unix:") else {"socket_keepalive": True}
        pool = aioredis.BlockingConnectionPool.from_url(
            self._url,
            max_connections=max_connections,
            timeout=CALL_TIMEOUT_S,
            socket_timeout=socket_timeout_s,
            socket_connect_timeout=CALL_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # a step whose reply was lost must not run twice
            decode_responses=True,
            **over_tcp,
            protocol=2,  # one shape of replies from 6.2 to the newest
        )
        return aioredis.Redis.from_pool(pool)  # which closes the pool with itself

    def dedicated(self, longest_wait_s: float | None) -> aioredis.Redis:
        """A client of its own for commands that wait (blocking reads, subscriptions); close it yourself.

        A connection that is silent for `longest_wait_s` is taken for dead; None if the caller sees to that.
        """
        return self._open(2, longest_wait_s)

    async def run(self, script: str, keys: list[str], *args: str | int | float) -> Any:
        """Run `lua/<script>.lua`. Every step gets the clock's offset in ms as ARGV[1]; `args` follow."""
        sha, source = self._scripts[script]
        values = (self._clock.offset_ms, *args)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                try:
                    return await self.client.evalsha(sha, len(keys), *keys, *values)
                except NoScriptError:
                    return await self.client.eval(source, len(keys), *keys, *values)
        except _FAULTS as fault:
            raise StoreUnavailable("redis", type(fault).__name__) from fault

    async def call(self, *command: str | int | float, **reading: bool) -> Any:
        """Run one command; `reading` is for redis-py's parser of its reply."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await self.client.execute_command(*command, **reading)  # type: ignore[no-untyped-call]
        except _FAULTS as fault:
            raise StoreUnavailable("redis", type(fault).__name__) from fault

    async def require_usable(self) -> None:
        """StoreTooOld if the server lacks what we need, StoreUnavailable if it does not answer."""
        info = await self.call("INFO", "server")
        found = str(info.get("redis_version", "0"))
        if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_VERSION:
            raise StoreTooOld(f"Redis {found} is too old; 6.2 or newer is needed.")
        await self._require_no_eviction()

    async def _require_no_eviction(self) -> None:
        """Evicted keys are limits that vanish; where CONFIG is not allowed the operator has to know."""
        try:
            policy = await self.client.config_get("maxmemory-policy")
        except ResponseError:
            return
        except _FAULTS as fault:
            raise StoreUnavailable("redis", type(fault).__name__) from fault
        if policy.get("maxmemory-policy", "noeviction") != "noeviction":
            raise StoreTooOld("Redis may evict keys: set maxmemory-policy to noeviction, or limits would vanish.")

    async def aclose(self) -> None:
        """Close all connections."""
        await self.client.aclose()


def _read_scripts() -> dict[str, tuple[str, str]]:
    """Each step with the common beginning (`_now.lua`) before it."""
    common = (_LUA / "_now.lua").read_text()
    sources = {path.stem: common + path.read_text() for path in _LUA.glob("[!_]*.lua")}
    return {name: (hashlib.sha1(source.encode()).hexdigest(), source) for name, source in sources.items()}  # noqa: S324

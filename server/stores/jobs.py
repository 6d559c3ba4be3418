"""Key family `jobs:`: a durable queue on a Redis stream with one consumer group. All its keys share one slot."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError, ResponseError

from server.errors import StoreUnavailable
from server.stores.redis import Redis

_GROUP = "workers"
REMEMBER_DONE_S = 3600
_BLOCK_S = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in our hands: `entry` is its place in the stream."""

    entry: str
    job_id: str


class JobStore:
    """One consumer of one queue; its name is its own for this run."""

    def __init__(self, redis: Redis, *, queue: str = "sms", lease_s: float = 5) -> None:
        self._redis = redis
        self._keys = f"jobs:{{{queue}}}"
        self._stream = f"{self._keys}:stream"
        self._lease_ms = int(lease_s * 1000)
        self.consumer = secrets.token_hex(6)

    async def prepare(self) -> None:
        """Make the consumer group, once for all processes."""
        try:
            await self._redis.client.xgroup_create(self._stream, _GROUP, id="0", mkstream=True)
        except ResponseError as fault:
            if "BUSYGROUP" not in str(fault):
                raise StoreUnavailable("redis", str(fault)) from fault
        except (RedisError, OSError) as fault:
            raise StoreUnavailable("redis", type(fault).__name__) from fault

    async def enqueue(self, job_id: str, fields: dict[str, str]) -> bool:
        """Put a job in line; False if it was there already."""
        flat = [part for pair in fields.items() for part in pair]
        return bool(await self._redis.run("enqueue_job", [self._job(job_id), self._stream], job_id, *flat))

    async def claims(self, free: Callable[[], Awaitable[int]]) -> AsyncIterator[Claim]:
        """New jobs as they come, never more at once than `free()` answers; StoreUnavailable when Redis is gone."""
        await self.prepare()  # A Redis that lost its data has lost the group too.
        client = self._redis.dedicated(_BLOCK_S + 1)
        try:
            while True:
                count = await free()
                answer: Any = await client.xreadgroup(
                    _GROUP, self.consumer, {self._stream: ">"}, count=count, block=_BLOCK_S * 1000
                )
                for claim in _read_entries(answer[0][1] if answer else []):
                    yield claim
        except (RedisError, OSError) as fault:
            raise StoreUnavailable("redis", type(fault).__name__) from fault
        finally:
            await client.aclose()

    async def orphans(self, count: int) -> list[Claim]:
        """Jobs whose worker has not renewed its lease; they are ours now."""
        answer = await self._redis.call(
            "XAUTOCLAIM", self._stream, _GROUP, self.consumer, self._lease_ms, "0-0", "COUNT", count
        )
        return _read_entries([entry for entry in answer[1] if entry and entry[1]])

    async def renew(self, claims: list[Claim]) -> None:
        """Keep what we are working on."""
        if claims:
            entries = [claim.entry for claim in claims]
            await self._redis.call("XCLAIM", self._stream, _GROUP, self.consumer, 0, *entries, "JUSTID")

    async def begin(self, claim: Claim) -> dict[str, str]:
        """Count this try and read the job; empty if its record is gone."""
        flat = await self._redis.run("begin_job", [self._job(claim.job_id)])
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def finish(self, claim: Claim, *, dead: str = "") -> bool:
        """End a job, with the reason if it is `dead`; False if it is no longer ours."""
        return bool(
            await self._redis.run(
                "finish_job",
                [self._job(claim.job_id), self._stream, f"{self._keys}:dead"],
                _GROUP,
                self.consumer,
                claim.entry,
                claim.job_id,
                "dead" if dead else "done",
                dead,
                REMEMBER_DONE_S * 1000,
            )
        )

    async def hand_back(self, claim: Claim) -> None:
        """Put a job back in line for another process."""
        keys = [self._job(claim.job_id), self._stream]
        await self._redis.run("hand_back_job", keys, _GROUP, self.consumer, claim.entry, claim.job_id)

    async def leave(self) -> None:
        """Delete this consumer, unless it still owns something (then its orphans are claimed first)."""
        answer = await self._redis.call(
            "XPENDING", self._stream, _GROUP, "-", "+", 1, self.consumer, parse_detail=True
        )
        if not answer:
            await self._redis.call("XGROUP", "DELCONSUMER", self._stream, _GROUP, self.consumer)

    async def forget_dead_consumers(self, idle_s: float = 3600) -> None:
        """Delete consumers of processes that are long gone and own nothing."""
        for found in await self._redis.client.xinfo_consumers(self._stream, _GROUP):
            if found["pending"] == 0 and found["idle"] > idle_s * 1000 and found["name"] != self.consumer:
                await self._redis.call("XGROUP", "DELCONSUMER", self._stream, _GROUP, found["name"])

    def _job(self, job_id: str) -> str:
        return f"{self._keys}:job:{job_id}"


def _read_entries(entries: list[Any]) -> list[Claim]:
    """Entries as raw replies or as redis-py's parsed ones; one that cannot be read has the job id ""."""
    return [Claim(entry, _job_id(fields)) for entry, fields in entries]


def _job_id(fields: Any) -> str:
    if isinstance(fields, dict):
        return str(fields.get("job", ""))
    return str(dict(zip(fields[::2], fields[1::2], strict=False)).get("job", ""))

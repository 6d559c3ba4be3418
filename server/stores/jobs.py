"""Key family `jobs:`: a durable queue on a Redis stream with one consumer group, and beside it the jobs that wait
for their time and the intents of jobs that are still to come. All its keys share one slot."""

import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from server.errors import StoreUnavailable
from server.stores.redis import Redis

_GROUP = "workers"
REMEMBER_DONE_S = 3600
QUEUE_MAX = 20_000
# Orphans are looked for each fifth of it, so a dead worker's jobs go on within five seconds.
LEASE_S = 4
_BLOCK_S = 5
_TEND_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in our hands: `entry` is its place in the stream."""

    entry: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Tended:
    """How the queue stands: jobs in line, waiting for their time, and in work anywhere; the oldest one's age;
    `next_due_s`, if a job waits; `lapsed`, the intents whose jobs never came."""

    next_due_s: float | None
    depth: int
    delayed: int
    oldest_s: float
    working: int
    lapsed: list[str]


class QueueFull(Exception):
    """There is no room in line."""


class IntentLapsed(Exception):
    """The job was announced so long ago that it has been seen to."""


class JobStore:
    """One consumer of one queue; its name is its own for this run."""

    def __init__(self, redis: Redis, *, queue: str = "sms", lease_s: float = LEASE_S) -> None:
        self._redis = redis
        self._keys = f"jobs:{{{queue}}}"
        self._stream = f"{self._keys}:stream"
        self._delayed = f"{self._keys}:delayed"
        self._intents = f"{self._keys}:intents"
        self._dead = f"{self._keys}:dead"
        self.lease_s = lease_s
        self.consumer = secrets.token_hex(6)

    async def prepare(self) -> None:
        """Make the consumer group, once for all processes."""
        try:
            await self._redis.call("XGROUP", "CREATE", self._stream, _GROUP, "0", "MKSTREAM")
        except StoreUnavailable as fault:
            if "BUSYGROUP" not in str(fault):
                raise

    async def admit(self, intent: str, *, lapse_s: float, providers: list[str]) -> float:
        """Note that a job is about to come (admit_send.lua). 0, or the seconds until one of `providers` may be
        tried again; QueueFull."""
        keys = [self._stream, self._delayed, self._intents, *map(provider_key, providers)]
        answer = await self._redis.run("admit_send", keys, intent, int(lapse_s * 1000), QUEUE_MAX)
        if answer[0] == "full":
            raise QueueFull
        return answer[1] / 1000 if answer[0] == "closed" else 0

    async def forget_intent(self, intent: str) -> None:
        """The job will not come, and whoever announced it has seen to that."""
        await self._redis.call("ZREM", self._intents, intent)

    async def enqueue(
        self, job_id: str, fields: dict[str, str], *, intent: str = "", topic: str = "", news: str = ""
    ) -> bool:
        """Put a job in line, and publish `news` of it; False if it was there already. IntentLapsed if it may not
        come any more."""
        flat = [part for pair in fields.items() for part in pair]
        keys = [self.key(job_id), self._stream, self._intents]
        answer = await self._redis.run("enqueue_job", keys, job_id, intent, topic, news, *flat, durable=True)
        if answer < 0:
            raise IntentLapsed
        return bool(answer)

    async def get(self, job_id: str) -> dict[str, str]:
        """The record of a job, also of one that is done; empty if it is unknown."""
        flat = await self._redis.call("HGETALL", self.key(job_id))
        return dict(flat)

    async def keep(self, job_id: str, fields: dict[str, str]) -> None:
        """Set fields of a job that we are working on."""
        await self._redis.call("HSET", self.key(job_id), *(part for pair in fields.items() for part in pair))

    async def tend(self) -> Tended:
        """Put delayed jobs whose time has come in line, and look how the queue stands (tend_queue.lua)."""
        keys = [self._stream, self._delayed, self._intents]
        next_due, depth, delayed, oldest, working, lapsed = await self._redis.run(
            "tend_queue", keys, _GROUP, _TEND_AT_ONCE
        )
        return Tended(None if next_due < 0 else next_due / 1000, depth, delayed, oldest / 1000, working, lapsed)

    async def claims(self, free: Callable[[], Awaitable[int]]) -> AsyncIterator[Claim]:
        """New jobs as they come, never more at once than `free()` answers; StoreUnavailable when Redis is gone."""
        await self.prepare()  # A Redis that lost its data has lost the group too.
        client = self._redis.dedicated(_BLOCK_S + 1, self._stream)
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
        start, lease_ms = "0-0", int(self.lease_s * 1000)
        while True:  # A look goes no further than ten times `count`, and what others work on stands there too.
            start, entries, *_ = await self._redis.call(
                "XAUTOCLAIM", self._stream, _GROUP, self.consumer, lease_ms, start, "COUNT", count
            )
            found = _read_entries([entry for entry in entries if entry and entry[1]])
            if found or start == "0-0":
                return found

    async def renew(self, claims: list[Claim]) -> None:
        """Keep what we are working on, but for what somebody else has adopted (renew_jobs.lua)."""
        if claims:
            entries = [claim.entry for claim in claims]
            await self._redis.run("renew_jobs", [self._stream], _GROUP, self.consumer, *entries)

    async def begin(self, claim: Claim) -> dict[str, str]:
        """Count this try and read the job; empty if its record is gone."""
        flat = await self._redis.run("begin_job", [self.key(claim.job_id)])
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def finish(self, claim: Claim, *, dead: str = "") -> bool:
        """End a job, with the reason if it is `dead`; False if it is no longer ours."""
        return bool(
            await self._redis.run(
                "finish_job",
                [self.key(claim.job_id), self._stream, self._dead],
                _GROUP,
                self.consumer,
                claim.entry,
                claim.job_id,
                "dead" if dead else "done",
                dead,
                REMEMBER_DONE_S * 1000,
            )
        )

    async def dead(self, count: int) -> list[dict[str, str]]:
        """The jobs that were given up, the newest first: `entry at job reason age_ms attempt transaction`."""
        found: Any = await self._redis.call("XREVRANGE", self._dead, "+", "-", "COUNT", count)
        return [{"entry": entry, "at": entry.partition("-")[0]} | _flat(fields) for entry, fields in found]

    async def length(self) -> int:
        """How many wait, now or for their time."""
        waiting = await self._redis.call("XLEN", self._stream)
        return int(waiting) + int(await self._redis.call("ZCARD", self._delayed))

    async def dead_count(self) -> int:
        """How many were given up and not seen to."""
        return int(await self._redis.call("XLEN", self._dead))

    async def drop(self, entry: str) -> bool:
        """Forget a dead job; False if it is not there (any more)."""
        return bool(await self._redis.call("XDEL", self._dead, entry))

    async def hold_dead(self, job_id: str, hold_s: int) -> bool:
        """Let one at a time see to a dead job; False if somebody does."""
        key = f"{self._keys}:held:{job_id}"
        return await self._redis.call("SET", key, 1, "NX", "EX", hold_s) is not None

    async def let_go(self, job_id: str) -> None:
        """Whoever held it is done."""
        await self._redis.call("DEL", f"{self._keys}:held:{job_id}")

    async def revive(self, job_id: str, entry: str, *, intent: str = "") -> bool:
        """Put a dead job in line again; False if its record is gone or it is not dead (any more)."""
        keys = [self.key(job_id), self._stream, self._dead, self._intents]
        return bool(await self._redis.run("revive_job", keys, job_id, entry, intent, durable=True))

    async def hand_back(self, claim: Claim, *, after_s: float = 0) -> None:
        """Put a job back in line, for any process, now or `after_s` from now."""
        keys = [self.key(claim.job_id), self._stream, self._delayed]
        who = (_GROUP, self.consumer, claim.entry, claim.job_id)
        await self._redis.run("hand_back_job", keys, *who, math.ceil(after_s * 1000))

    async def leave(self) -> None:
        """Delete this consumer, unless it still owns something (then its orphans are claimed first)."""
        answer = await self._redis.call(
            "XPENDING", self._stream, _GROUP, "-", "+", 1, self.consumer, parse_detail=True
        )
        if not answer:
            await self._redis.call("XGROUP", "DELCONSUMER", self._stream, _GROUP, self.consumer)

    async def forget_dead_consumers(self, idle_s: float = 3600) -> None:
        """Delete consumers of processes that are long gone and own nothing."""
        for flat in await self._redis.call("XINFO", "CONSUMERS", self._stream, _GROUP):
            found = dict(zip(flat[::2], flat[1::2], strict=True))
            if found["pending"] == 0 and found["idle"] > idle_s * 1000 and found["name"] != self.consumer:
                await self._redis.call("XGROUP", "DELCONSUMER", self._stream, _GROUP, found["name"])

    def key(self, job_id: str) -> str:
        """Where the job's record is, for steps that change it together with something else of its slot."""
        return f"{self._keys}:job:{job_id}"


def provider_key(name: str) -> str:
    """Where a provider's breaker and rate are: in the slot of the queue of SMS, so that one step can see both."""
    return f"provider:{{sms}}:{name}"


def _read_entries(entries: list[Any]) -> list[Claim]:
    """Entries as raw replies or as redis-py's parsed ones; one that cannot be read has the job id ""."""
    return [Claim(entry, _job_id(fields)) for entry, fields in entries]


def _job_id(fields: Any) -> str:
    return str(_flat(fields).get("job", ""))


def _flat(fields: Any) -> dict[str, str]:
    return fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=False))

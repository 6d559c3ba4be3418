"""Key family `monitor:`: what all processes did, added up by time, and which processes there are."""

from collections import Counter
from dataclasses import dataclass

import orjson

from server.stores.redis import Redis

_FAMILY = "monitor:{monitor}"
FINE_S, COARSE_S = 5, 300
_KEEP_MS = {FINE_S: 3_900_000, COARSE_S: 90_000_000}
SILENT_MS = 6000
Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of time as a chart shows it: `points` of `step_s`, made of buckets of `bucket_s`."""

    bucket_s: int
    step_s: int
    points: int


RANGES = {"15m": Range(FINE_S, 5, 180), "1h": Range(FINE_S, 20, 180), "24h": Range(COARSE_S, 300, 288)}


@dataclass(frozen=True, slots=True)
class Beat:
    """What a beat tells: the time there (Unix seconds), whether anybody watches anywhere, the records of all living
    processes by their ids."""

    now: float
    watched: bool
    processes: dict[str, dict[str, object]]


class MonitorStore:
    """All keys share a slot, so that one step sees them together."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def beat(
        self, process: str, number: int, record: dict[str, object], counts: Counts, *, now: float, watching: bool
    ) -> Beat:
        """Add `counts` to the buckets of `now` (the time there, as far as the caller knows), say that `process` lives
        and read who else does (beat.lua). A beat with the `number` of the one before adds nothing."""
        keys = [_bucket(FINE_S, now), _bucket(COARSE_S, now), f"{_FAMILY}:processes", f"{_FAMILY}:watched"]
        flat = [part for pair in counts.items() for part in pair]
        told = (process, orjson.dumps(record).decode(), int(watching))
        there, watched, *found = await self._redis.run(
            "beat", keys, *told, _KEEP_MS[FINE_S], _KEEP_MS[COARSE_S], SILENT_MS, number, *flat
        )
        records = {name: orjson.loads(raw) for name, raw in zip(found[::2], found[1::2], strict=True)}
        return Beat(there / 1000, bool(watched), records)

    async def leave(self, process: str) -> None:
        """The process is gone."""
        await self._redis.call("HDEL", f"{_FAMILY}:processes", process)

    async def series(self, name: str, *, now: float) -> list[tuple[int, Counts]]:
        """The points of one of RANGES until `now`, the oldest first: when each begins, and its counts."""
        asked = RANGES[name]
        begin = int(now // asked.step_s) - asked.points + 1
        ats = [(begin + place) * asked.step_s for place in range(asked.points)]
        each = asked.step_s // asked.bucket_s
        keys = [_bucket(asked.bucket_s, at + part * asked.bucket_s) for at in ats for part in range(each)]
        found = await self._redis.run("read_buckets", keys)
        points = [found[place * each : (place + 1) * each] for place in range(asked.points)]
        return [(at, _sum(parts)) for at, parts in zip(ats, points, strict=True)]

    async def fine(self, begin: int, end: int) -> list[Counts]:
        """The counts of the fine buckets with the numbers from `begin` to before `end`."""
        found = await self._redis.run(
            "read_buckets", [_bucket(FINE_S, place * FINE_S) for place in range(begin, end)]
        )
        return [_sum([flat]) for flat in found]

    async def raise_alert(self, name: str, since: float) -> bool:
        """True for the first that says it."""
        return bool(await self._redis.call("HSETNX", f"{_FAMILY}:alerts", name, int(since)))

    async def clear_alert(self, name: str) -> bool:
        """True for the first that says it."""
        return bool(await self._redis.call("HDEL", f"{_FAMILY}:alerts", name))

    async def alerts(self) -> dict[str, int]:
        """What stands, and since when (Unix seconds)."""
        flat = await self._redis.call("HGETALL", f"{_FAMILY}:alerts")
        return {name: int(since) for name, since in dict(flat).items()}


def _bucket(size_s: int, at: float) -> str:
    return f"{_FAMILY}:{size_s}:{int(at // size_s)}"


def _sum(flats: list[list[str]]) -> Counts:
    total: Counter[str] = Counter()
    for flat in flats:
        total.update(dict(zip(flat[::2], map(int, flat[1::2]), strict=True)))
    return total

"""Key family `limit:{service}:wrong_codes`: wrong codes of the whole service, a number for each hour."""

from server.stores.redis import Redis

_HOUR_MS = 3_600_000
_HOURS_BEFORE = 24


class GuessStore:
    """Counts for all processes."""

    def __init__(self, redis: Redis, *, least: int) -> None:
        self._redis = redis
        self._least = least

    async def count(self, hour: int, *, more: bool) -> tuple[int, int]:
        """Wrong codes in this `hour` (Unix hours), with one `more`, and how many are allowed (count_guess.lua)."""
        keys = [f"limit:{{service}}:wrong_codes:{hour - ago}" for ago in range(_HOURS_BEFORE + 1)]
        found, allowed = await self._redis.run("count_guess", keys, int(more), self._least, _HOUR_MS)
        return int(found), int(allowed)

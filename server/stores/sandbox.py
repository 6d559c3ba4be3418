"""Key family `sandbox:`: the panel's faults, what each message met, and the newest tries. Development only."""

from typing import Any

import orjson

from server.stores.redis import Redis

_FAULTS = "sandbox:{sms}:faults"
_TRIES = "sandbox:{sms}:tries"


class SandboxStore:
    """Shared by all processes, so that N messages are N in all of them together."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def meet(self, message_id: str, by_number: str | None) -> tuple[str, int, bool]:
        """The fault of a message, the number of this try, and whether one of the panel's N was taken for it."""
        keys = [_FAULTS, f"sandbox:{{sms}}:message:{message_id}"]
        fault, attempt, took = await self._redis.run("meet_fault", keys, by_number or "")
        return fault, attempt, bool(took)

    async def set_faults(self, fault: str, count: int | None) -> None:
        """Every message meets it from now on, or the next `count` do."""
        await self._redis.call("HSET", _FAULTS, "fault", fault, "left", "" if count is None else count)

    async def clear_faults(self) -> None:
        """The panel plays nothing."""
        await self._redis.call("DEL", _FAULTS)

    async def get_faults(self) -> tuple[str | None, int | None]:
        """The panel's fault, or None, and for how many messages, None for all."""
        fault, left = await self._redis.call("HMGET", _FAULTS, "fault", "left")
        return fault, int(left) if left else None

    async def note(self, tried: dict[str, Any]) -> None:
        """Keep a try."""
        await self._redis.run("note_try", [_TRIES], orjson.dumps(tried).decode())

    async def tries(self) -> list[dict[str, Any]]:
        """The newest tries, newest first."""
        return [orjson.loads(raw) for raw in await self._redis.call("LRANGE", _TRIES, 0, 49)]

"""Key family `control:`: what operators have set for all processes. Durable like all of Redis, and small."""

from dataclasses import dataclass

from server.stores.redis import Redis

_KEY = "control:{control}"
CONTROLS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Control:
    """One of them; times in Unix seconds. `name` is "uniqueness" or "block|<kind>|<what it is about>"; `until` is 0
    where it has no end."""

    name: str
    value: str
    until: float


class ControlStore:
    """Each method is one atomic step."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def all(self) -> tuple[float, list[Control]]:
        """The time there, and all that holds now (read_controls.lua)."""
        now, *flat = await self._redis.run("read_controls", [_KEY])
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return now / 1000, [_read(name, value) for name, value in pairs]

    async def add_block(self, name: str, *, minutes: int, shown: str) -> float | None:
        """When a block ends that begins now; None if there are too many (add_block.lua)."""
        ends = await self._redis.run("add_block", [_KEY], name, minutes * 60_000, shown, CONTROLS_MAX, durable=True)
        return ends / 1000 if ends else None

    async def set(self, name: str, value: str) -> None:
        """Set what has no end."""
        await self._redis.call("HSET", _KEY, name, value)

    async def remove(self, name: str) -> bool:
        """False if it was not there."""
        return bool(await self._redis.call("HDEL", _KEY, name))


def _read(name: str, value: str) -> Control:
    if not name.startswith("block|"):
        return Control(name, value, 0)
    until, _, shown = value.partition("|")
    return Control(name, shown, int(until) / 1000)

"""Key family `members:`: the processes that make up the service now."""

import orjson

from server.stores.redis import Redis

_PREFIX = "members:"


class MemberStore:
    """Each process says every few seconds that it is there; who is silent is forgotten."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def announce(self, member: str, keys: dict[str, list[str]], life_s: int) -> None:
        """Be known for `life_s` seconds, with the fingerprints of the keys one has."""
        await self._redis.call("SET", _PREFIX + member, orjson.dumps(keys).decode(), "EX", life_s)

    async def others(self, member: str) -> list[dict[str, list[str]]]:
        """The fingerprints of all other processes."""
        found = []
        for name in await self._redis.scan(_PREFIX + "*"):
            raw = None if name == _PREFIX + member else await self._redis.call("GET", name)
            if raw is not None:
                found.append(orjson.loads(raw))
        return found

    async def leave(self, member: str) -> None:
        """Be forgotten at once."""
        await self._redis.call("DEL", _PREFIX + member)

"""Key `members:{members}`: the processes that make up the service now."""

import orjson

from server.stores.redis import Redis

_KEY = "members:{members}"


class MemberStore:
    """Each process says every few seconds that it is there; who is silent is forgotten."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def join(self, member: str, keys: dict[str, list[str]], life_s: int) -> list[dict[str, list[str]]]:
        """As `stay`; the fingerprints of all other processes."""
        return [orjson.loads(other) for other in await self._announce(member, keys, life_s, 1)]

    async def stay(self, member: str, keys: dict[str, list[str]], life_s: int) -> None:
        """Be known for `life_s` seconds, with the fingerprints of the keys one has."""
        await self._announce(member, keys, life_s, 0)

    async def _announce(self, member: str, keys: dict[str, list[str]], life_s: int, joins: int) -> list[str]:
        record = orjson.dumps(keys).decode()
        found: list[str] = await self._redis.run("announce_member", [_KEY], member, life_s * 1000, record, joins)
        return found

    async def leave(self, member: str) -> None:
        """Be forgotten at once."""
        await self._redis.call("HDEL", _KEY, member)

"""Key family `limit:…:open`: how many websockets an address or a session has open, over all processes."""

from server.stores.redis import Redis
from server.tags import Tag


class RoomStore:
    """Places are leased: those of a process that died are free when the lease is over."""

    def __init__(self, redis: Redis, *, lease_s: int) -> None:
        self._redis = redis
        self._lease_ms = lease_s * 1000

    async def enter(self, room: Tag, name: str, *, most: int) -> bool:
        """Take a place; False if the room is full."""
        return bool(await self._redis.run("enter_room", [_key(room)], most, self._lease_ms, name))

    async def stay(self, room: Tag, names: list[str]) -> None:
        """Keep the places of these."""
        await self._redis.run("enter_room", [_key(room)], 0, self._lease_ms, *names)

    async def leave(self, room: Tag, name: str) -> None:
        """Give a place back."""
        await self._redis.call("ZREM", _key(room), name)


def _key(room: Tag) -> str:
    return f"limit:{{{room.slot}}}:open:{room.name}"

"""Key family `ticket:`: what lets an admin's page onto its websocket, once and soon."""

import hashlib
from typing import Any

import orjson

from server.stores.redis import Redis


class TicketStore:
    """Only the hash of a ticket is kept: a dump of Redis lets nobody in."""

    def __init__(self, redis: Redis, *, life_s: int) -> None:
        self._redis = redis
        self._life_s = life_s

    async def put(self, ticket: str, holder: dict[str, Any]) -> None:
        """Keep who may come in by `ticket`."""
        await self._redis.call("SET", _key(ticket), orjson.dumps(holder).decode(), "EX", self._life_s)

    async def take(self, ticket: str) -> dict[str, Any] | None:
        """Who may come in; from then on it is worth nothing."""
        raw = await self._redis.call("GETDEL", _key(ticket))
        return None if raw is None else dict(orjson.loads(raw))


def _key(ticket: str) -> str:
    return f"ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"

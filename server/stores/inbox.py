"""Key family `inbox:`: what the sandbox has sent, without the codes. Development only."""

from typing import Any

import orjson

from server.stores.redis import Redis

_SEEN = "inbox:{sms}:seen"
_MESSAGES = "inbox:{sms}:messages"


class InboxStore:
    """The newest messages of the sandbox."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, message: dict[str, Any]) -> bool:
        """Keep a message; False if its id is known."""
        raw = orjson.dumps(message).decode()
        return bool(await self._redis.run("add_inbox", [_SEEN, _MESSAGES], message["id"], raw))

    async def newest(self) -> list[dict[str, Any]]:
        """Messages, newest first; `at` in Unix seconds."""
        return [orjson.loads(raw) for raw in await self._redis.call("LRANGE", _MESSAGES, 0, 199)]

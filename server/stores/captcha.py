"""Key family `captcha:`: which challenges are open, which have been used, which vendor is away."""

from collections.abc import Mapping

import orjson

from server.stores.redis import Redis


class CaptchaStore:
    """Remembers what was issued and what was used for longer than it could live."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def spend(self, nonce: str, life_s: int) -> bool:
        """False if it was spent before."""
        return bool(await self._redis.call("SET", f"captcha:used:{nonce}", 1, "NX", "EX", life_s * 2))

    async def keep(self, challenge_id: str, record: Mapping[str, str], life_s: int) -> None:
        """Keep an open challenge."""
        await self._redis.call("SET", _open(challenge_id), orjson.dumps(record).decode(), "EX", life_s * 2)

    async def peek(self, challenge_id: str) -> dict[str, str] | None:
        """An open challenge, which stays open."""
        return _read(await self._redis.call("GET", _open(challenge_id)))

    async def take(self, challenge_id: str) -> dict[str, str] | None:
        """An open challenge, which is open no more: of any number of takers one gets it."""
        return _read(await self._redis.call("GETDEL", _open(challenge_id)))

    async def note_away(self, vendor: str, for_s: int) -> None:
        """Let no process ask this vendor for a while."""
        await self._redis.call("SET", f"captcha:away:{vendor}", 1, "EX", for_s)

    async def is_away(self, vendor: str) -> bool:
        """Whether it was found away lately."""
        return await self._redis.call("GET", f"captcha:away:{vendor}") is not None


def _open(challenge_id: str) -> str:
    return f"captcha:open:{challenge_id}"


def _read(found: str | bytes | None) -> dict[str, str] | None:
    return None if found is None else dict(orjson.loads(found))

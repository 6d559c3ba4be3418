"""Key family `repeat:`: requests that came with an `Idempotency-Key`, and what became of them."""

from dataclasses import dataclass

from server.stores.redis import Redis

BUSY_S = 20  # longer than any operation may take
KEPT_S = 600


@dataclass(frozen=True, slots=True)
class Begun:
    """`state` is new, lapsed (begun before by somebody who never finished), busy, done or other (another body)."""

    state: str
    wait_ms: int = 0
    result: str = ""


class RepeatStore:
    """Of the body only a keyed digest is kept, of the outcome what it takes to tell it again."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, name: str, digest: str) -> Begun:
        """Whether this one is to be done (begin_repeat.lua)."""
        answer = await self._redis.run("begin_repeat", [_key(name)], digest, BUSY_S * 1000, KEPT_S * 1000)
        state, *rest = answer
        if state == "busy":
            return Begun(state, wait_ms=rest[0])
        return Begun(state, result=rest[0] if rest else "")

    async def finish(self, name: str, result: str) -> None:
        """It was done."""
        await self._redis.call("HSET", _key(name), "result", result)

    async def forget(self, name: str) -> None:
        """Nothing came of it, so it may be tried anew."""
        await self._redis.call("DEL", _key(name))


def _key(name: str) -> str:
    return f"repeat:{name}"

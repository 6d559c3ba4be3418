"""Key family `captcha:`: which challenges have been used."""

from server.stores.redis import Redis


class CaptchaStore:
    """Remembers a used challenge for longer than it could live."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def spend(self, nonce: str, life_s: int) -> bool:
        """False if it was spent before."""
        return bool(await self._redis.call("SET", f"captcha:used:{nonce}", 1, "NX", "EX", life_s * 2))

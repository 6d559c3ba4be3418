"""Key family `limit:…:login`: wrong passwords in a row, by account."""

from server.limit_rules import LimitRules
from server.stores.redis import Redis
from server.tags import Tag

_KEPT_S = 90 * 86400


class LoginGuardStore:
    """Each method is one atomic step; all answer how many there are in a row, and the ms to wait."""

    def __init__(self, redis: Redis, rules: LimitRules) -> None:
        self._redis = redis
        self._rules = rules

    async def look(self, account: Tag) -> tuple[int, int]:
        """How it stands."""
        return await self._step(account, "ask")

    async def wrong(self, account: Tag) -> tuple[int, int]:
        """One more."""
        return await self._step(account, "wrong")

    async def right(self, account: Tag) -> None:
        """None any more."""
        await self._step(account, "right")

    async def _step(self, account: Tag, what: str) -> tuple[int, int]:
        rules = self._rules
        found, wait_ms = await self._redis.run(
            "try_login",
            [f"limit:{{{account.slot}}}:login:{account.name}"],
            what,
            rules.login_wait_from,
            rules.login_wait_max_s * 1000,
            _KEPT_S * 1000,
        )
        return int(found), int(wait_ms)

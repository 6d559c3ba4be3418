"""Key family `conversion:`: how many of the last sends to a group of numbers were verified."""

from dataclasses import dataclass

from server.stores.redis import Redis
from server.tags import Tag


@dataclass(frozen=True, slots=True)
class ConversionRules:
    """The numbers of the breaker. `settle_s`: after it a send that was not verified counts as unverified."""

    settle_s: int
    window: int = 200
    fewest: int = 50
    low_percent: int = 20
    stop_percent: int = 5
    patience_s: int = 600
    stop_s: int = 600
    most_waiting: int = 5000
    forgotten_after_s: int = 3600


@dataclass(frozen=True, slots=True)
class Conversion:
    """`state` is open, captcha or stopped; of `judged` sends `verified` were. `news` if the state is a new one."""

    state: str
    wait_ms: int
    judged: int
    verified: int
    noted: bool
    news: bool


class ConversionStore:
    """Each method is one atomic step over the keys of one group."""

    def __init__(self, redis: Redis, rules: ConversionRules) -> None:
        self._redis = redis
        self._rules = rules

    async def admit(self, group: Tag, transaction: str, *, mode: str, dearer: bool) -> Conversion:
        """Judge the group and note a send (judge_conversion.lua); `mode` is enforce,
        observe (note anyway) or peek."""
        rules = self._rules
        state, wait_ms, judged, verified, noted, news = await self._redis.run(
            "judge_conversion",
            [self._key(group, part) for part in ("waiting", "outcomes", "state")],
            mode,
            transaction,
            int(dearer),
            rules.settle_s * 1000,
            rules.window,
            rules.fewest,
            rules.low_percent,
            rules.stop_percent,
            rules.patience_s * 1000,
            rules.stop_s * 1000,
            rules.most_waiting,
            rules.forgotten_after_s * 1000,
        )
        return Conversion(state, wait_ms, judged, verified, bool(noted), bool(news))

    async def verify(self, group: Tag, transaction: str) -> None:
        """The code of this send was used."""
        await self._redis.run("verify_send", [self._key(group, "waiting")], transaction)

    async def withdraw(self, group: Tag, transaction: str) -> None:
        """Forget a send that came to nothing."""
        await self._redis.call("ZREM", self._key(group, "waiting"), transaction)

    def _key(self, group: Tag, part: str) -> str:
        return f"conversion:{{{group.slot}}}:{part}:{group.name}"

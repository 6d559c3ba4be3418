"""Key family `limit:`: what somebody may do how often, all limits of one group in one step."""

from dataclasses import dataclass

from server.rates import Limit
from server.stores.redis import Redis
from server.tags import Tag


@dataclass(frozen=True, slots=True)
class Verdict:
    """`outcome` is ok, captcha or refused; `limit` the one that said so, `charged` those that were charged."""

    outcome: str
    wait_ms: int
    limit: Limit | None
    charged: tuple[Limit, ...] = ()


class LimitStore:
    """Counts; what a refusal means is the service's affair."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def charge(
        self, action: str, subject: Tag, limits: tuple[Limit, ...], *, mode: str, captcha_passed: bool = False
    ) -> Verdict:
        """Check all limits, then charge all; `mode` is enforce, observe (charge anyway) or peek (charge none)."""
        parts = [part for limit in limits for part in limit.parts]
        outcome, wait_ms, index, charged = await self._redis.run(
            "limit", self._keys(action, subject, limits), mode, int(captcha_passed), *parts
        )
        return Verdict(
            outcome, wait_ms, limits[index - 1] if index else None, tuple(limits[one - 1] for one in charged)
        )

    async def refund(self, action: str, subject: Tag, limits: tuple[Limit, ...]) -> None:
        """Give one charge back; of nothing, if the limits were only observed and all used up."""
        if not limits:
            return
        parts = [part for limit in limits for part in limit.refund_parts]
        await self._redis.run("refund", self._keys(action, subject, limits), *parts)

    def _keys(self, action: str, subject: Tag, limits: tuple[Limit, ...]) -> list[str]:
        return [f"limit:{{{subject.slot}}}:{action}:{limit.key}:{subject.name}" for limit in limits]

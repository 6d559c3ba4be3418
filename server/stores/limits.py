"""Key family `limit:`: what somebody may do how often, all limits of one group in one step."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.rates import Limit
from server.stores.redis import Redis
from server.tags import Tag


@dataclass(slots=True)
class Verdict:
    """`outcome` is ok, captcha or refused; `limit` the one that said so, `charged` which were charged, from 1."""

    outcome: str
    wait_ms: int
    limit: Limit | None
    charged: list[int]


class LimitStore:
    """Counts; what a refusal means is the service's affair."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def charge(
        self, action: str, subject: Tag, limits: Sequence[Limit], *, mode: str, captcha_passed: bool = False
    ) -> Verdict:
        """Check all limits, then charge all; `mode` is enforce, observe (charge anyway) or peek (charge none). All
        that is asked for in one turn of the loop is one call."""
        row = (mode, captcha_passed, [limit.row for limit in limits])
        outcome, wait_ms, index, charged = await self._redis.run_row("limit", _keys(action, subject, limits), row)
        return Verdict(outcome, wait_ms, limits[index - 1] if index else None, charged)

    async def refund(self, action: str, subject: Tag, limits: tuple[Limit, ...]) -> None:
        """Give one charge back; of nothing, if the limits were only observed and all used up."""
        if not limits:
            return
        parts = [part for limit in limits for part in limit.refund_parts]
        await self._redis.run("refund", _keys(action, subject, limits), *parts)


def _keys(action: str, subject: Tag, limits: Sequence[Limit]) -> list[str]:
    start, end = f"limit:{{{subject.slot}}}:{action}:", f":{subject.name}"
    return [start + limit.key + end for limit in limits]

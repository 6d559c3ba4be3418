"""Key family `limit:`: what somebody may do how often, all limits of one group in one step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from server.errors import StoreUnavailable
from server.rates import Limit
from server.stores.redis import Redis
from server.tags import Tag

Limits = tuple[Limit, ...]


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
        self, action: str, subject: Tag, limits: Limits, *, mode: str, captcha_passed: bool = False
    ) -> Verdict:
        """Check all limits, then charge all; `mode` is enforce, observe (charge anyway) or peek (charge none)."""
        (verdict,) = await self.charge_all(action, [(subject, limits, captcha_passed)], mode=mode)
        if isinstance(verdict, StoreUnavailable):
            raise verdict
        return verdict

    async def charge_all(
        self, action: str, asked: Sequence[tuple[Tag, Limits, bool]], *, mode: str
    ) -> list[Verdict | StoreUnavailable]:
        """The same for many: `(subject, limits, captcha passed)` of each; limits may differ in their members only."""
        rows = [
            (_keys(action, subject, limits), (passed, *[limit.member for limit in limits]))
            for subject, limits, passed in asked
        ]
        rules = orjson.dumps([limit.rule for limit in asked[0][1]]).decode()
        found = await self._redis.run_rows("limit", rows, mode, rules)
        return [_verdict(answer, limits) for answer, (_, limits, _) in zip(found, asked, strict=True)]

    async def refund(self, action: str, subject: Tag, limits: Limits) -> None:
        """Give one charge back; of nothing, if the limits were only observed and all used up."""
        if not limits:
            return
        parts = [part for limit in limits for part in limit.refund_parts]
        await self._redis.run("refund", _keys(action, subject, limits), *parts)


def _keys(action: str, subject: Tag, limits: Limits) -> list[str]:
    start, end = f"limit:{{{subject.slot}}}:{action}:", f":{subject.name}"
    return [start + limit.key + end for limit in limits]


def _verdict(answer: Any, limits: Limits) -> Verdict | StoreUnavailable:
    if isinstance(answer, StoreUnavailable):
        return answer
    outcome, wait_ms, index, charged = answer
    return Verdict(outcome, wait_ms, limits[index - 1] if index else None, charged)

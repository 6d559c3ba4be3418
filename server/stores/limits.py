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
Due = tuple[Tag, Limits]  # what one subject is to be charged


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
        return await self.charge_dues(action, [(subject, limits)], mode=mode, captcha_passed=captcha_passed)

    def together(self, dues: Sequence[Due]) -> list[Sequence[Due]]:
        """Which may be charged in one step: all of them on one server, those of one subject in a Cluster."""
        return [[due] for due in dues] if self._redis.clustered else [dues]

    async def charge_dues(
        self, action: str, dues: Sequence[Due], *, mode: str, captcha_passed: bool = False
    ) -> Verdict:
        """As `charge`, for several subjects that are `together`: if a limit of one is used up, none is charged."""
        keys = [key for subject, limits in dues for key in _keys(action, subject, limits)]
        limits = tuple(limit for _, some in dues for limit in some)
        (verdict,) = await self._charge([(keys, limits, captcha_passed)], _rules(dues), mode)
        if isinstance(verdict, StoreUnavailable):
            raise verdict
        return verdict

    async def charge_all(
        self, action: str, asked: Sequence[tuple[Tag, Limits, bool]], *, mode: str
    ) -> list[Verdict | StoreUnavailable]:
        """The same for many: `(subject, limits, captcha passed)` of each; limits may differ in their members only."""
        rows = [(_keys(action, subject, limits), limits, passed) for subject, limits, passed in asked]
        return await self._charge(rows, _rules([asked[0][:2]]), mode)

    async def _charge(
        self, rows: Sequence[tuple[list[str], Limits, bool]], rules: str, mode: str
    ) -> list[Verdict | StoreUnavailable]:
        asked = [(keys, (passed, *[limit.member for limit in limits])) for keys, limits, passed in rows]
        found = await self._redis.run_rows("limit", asked, mode, rules)
        return [_verdict(answer, limits) for answer, (_, limits, _) in zip(found, rows, strict=True)]

    async def refund(self, action: str, charged: Sequence[Due]) -> None:
        """Give one charge of each back."""
        for dues in self.together(charged):
            each = [(subject, limit) for subject, limits in dues for limit in limits]
            keys = [key for subject, limit in each for key in _keys(action, subject, (limit,))]
            parts = [part for _, limit in each for part in limit.refund_parts]
            if keys:  # of limits that were only observed and all used up nothing was charged
                await self._redis.run("refund", keys, *parts)


def _keys(action: str, subject: Tag, limits: Limits) -> list[str]:
    """Those of one subject: one for all rates, one for each other limit."""
    start, end = f"limit:{{{subject.slot}}}:{action}:", f":{subject.name}"
    return [start + key + end for key in _distinct(limits)]


def _distinct(limits: Limits) -> list[str]:
    return [*dict.fromkeys([limit.key for limit in limits])]


def _rules(dues: Sequence[Due]) -> str:
    """What limit.lua is to know of the limits of a row, each with the place of its key in the row."""
    rules: list[tuple[str | int, ...]] = []
    first = 1
    for _, limits in dues:
        keys = _distinct(limits)
        rules += [(first + keys.index(limit.key), *limit.rule) for limit in limits]
        first += len(keys)
    return orjson.dumps(rules).decode()


def _verdict(answer: Any, limits: Limits) -> Verdict | StoreUnavailable:
    if isinstance(answer, StoreUnavailable):
        return answer
    outcome, wait_ms, index, charged = answer
    return Verdict(outcome, wait_ms, limits[index - 1] if index else None, charged)

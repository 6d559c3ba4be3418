"""Key family `limit:`: rate limits by GCRA, all dimensions of one group in one step."""

from dataclasses import dataclass

from server.rates import Rate
from server.stores.redis import Redis
from server.tags import Tag


@dataclass(frozen=True, slots=True)
class Verdict:
    """`outcome` is ok, captcha or refused; `rate` the one that said so, `charged` those that were charged."""

    outcome: str
    wait_ms: int
    rate: Rate | None
    charged: tuple[Rate, ...] = ()


class LimitStore:
    """Counts; what a refusal means is the service's affair."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def charge(
        self, action: str, subject: Tag, rates: tuple[Rate, ...], *, mode: str, captcha_passed: bool = False
    ) -> Verdict:
        """Check all rates, then charge all; `mode` is enforce, observe (charge anyway) or peek (charge none)."""
        parts = [part for rate in rates for part in self._parts(rate)]
        outcome, wait_ms, index, charged = await self._redis.run(
            "gcra", self._keys(action, subject, rates), mode, int(captcha_passed), *parts
        )
        charged_rates = tuple(rates[one - 1] for one in charged)
        return Verdict(outcome, wait_ms, rates[index - 1] if index else None, charged_rates)

    async def refund(self, action: str, subject: Tag, rates: tuple[Rate, ...]) -> None:
        """Give one charge back; of nothing, if the limits were only observed and all used up."""
        if not rates:
            return
        emissions = [rate.emission_us for rate in rates]
        await self._redis.run("refund", self._keys(action, subject, rates), *emissions)

    def _keys(self, action: str, subject: Tag, rates: tuple[Rate, ...]) -> list[str]:
        return [f"limit:{{{subject.slot}}}:{action}:{rate.dimension}:{subject.name}" for rate in rates]

    def _parts(self, rate: Rate) -> tuple[int, int, str]:
        return rate.emission_us, rate.tolerance_us, "soft" if rate.soft else "hard"

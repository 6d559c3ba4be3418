"""What a limit can be: a rate (GCRA), so many different things in a while, a run of neighbours; and a rate that needs
no store."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from server.errors import AppError, wait_s

Rule = tuple[str | int, ...]


# Limits are not to be changed. That dataclasses could see to it, at a price that is paid for each check of a number.
@dataclass(slots=True)
class _Kind:
    """What all limits have. `rule` and `member` are what limit.lua wants to know of one, `refund_parts` is what
    refund.lua does, `key` tells its key from those of other limits; a soft one asks for a captcha instead of
    refusing."""

    dimension: str
    count: int
    period_s: int
    soft: bool = field(default=False, kw_only=True)


@dataclass(slots=True)
class Rate(_Kind):
    """`count` per `period_s` at a steady pace, `burst` of them at once. All rates of a subject are in one hash."""

    burst: int
    key: str = field(init=False, default="rates", compare=False, repr=False)
    emission_us: int = field(init=False)
    tolerance_us: int = field(init=False)
    member: str = field(init=False, default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        self.emission_us = self.period_s * 1_000_000 // self.count
        self.tolerance_us = (self.burst - 1) * self.emission_us

    @property
    def rule(self) -> Rule:
        return "rate", self.soft, self.emission_us, self.tolerance_us, self.dimension

    @property
    def refund_parts(self) -> tuple[str | int, ...]:
        return "rate", self.emission_us, self.dimension


@dataclass(slots=True)
class Few(_Kind):
    """At most `count` different members in `period_s`."""

    member: str

    @property
    def key(self) -> str:
        return self.dimension

    @property
    def rule(self) -> Rule:
        return "few", self.soft, self.period_s * 1_000_000, self.count

    @property
    def refund_parts(self) -> tuple[str | int, ...]:
        return "few", self.member, ""


@dataclass(slots=True)
class Run(_Kind):
    """`count` neighbouring numbers `within` something in `period_s`: then nothing for six times as long."""

    member: str  # the number
    within: str

    @property
    def key(self) -> str:
        return f"{self.dimension}:{self.within}"

    @property
    def rule(self) -> Rule:
        return "run", self.soft, self.period_s * 1_000_000, self.count

    @property
    def refund_parts(self) -> tuple[str | int, ...]:
        return "run", self.member, ""


Limit = Rate | Few | Run


class LocalRate:
    """GCRA for one websocket, which lives in one process and so needs no store."""

    __slots__ = ("_enforce", "_now", "_rates", "_tats")

    def __init__(
        self, rates: tuple[Rate, ...], enforce: bool = True, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._rates = rates
        self._enforce = enforce
        self._now = now
        self._tats = [0.0] * len(rates)

    def charge(self) -> None:
        """Charge one message to all rates; AppError `rate_limited`, then none is charged."""
        now_us, tats = self._now() * 1_000_000, self._tats
        if self._enforce:
            for at, rate in enumerate(self._rates):
                if tats[at] - now_us > rate.tolerance_us:
                    self._refuse(now_us)
        for at, rate in enumerate(self._rates):
            tat = tats[at]
            tats[at] = (tat if tat > now_us else now_us) + rate.emission_us

    def _refuse(self, now_us: float) -> None:
        wait_us = max(tat - now_us - rate.tolerance_us for rate, tat in zip(self._rates, self._tats, strict=True))
        raise AppError("rate_limited", retry_after=wait_s(wait_us / 1000))


SOCKET_MESSAGES = (Rate("second", 20, 1, 40), Rate("ten_minutes", 600, 600, 600))
# Five times the rate, for ten seconds: whoever goes on in spite of the refusals is cut off.
SOCKET_FLOOD = (Rate("flood", 100, 1, 1000),)
SOCKET_CHECKS = (Rate("checks", 30, 60, 30),)

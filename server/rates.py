"""What a limit can be: a rate (GCRA), so many different things in a while, a run of neighbours; and a rate that needs
no store."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from server.errors import AppError, wait_s


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all limits have. `parts` and `refund_parts` are what limit.lua and refund.lua want to know of one; a soft
    limit asks for a captcha instead of refusing."""

    dimension: str
    count: int
    period_s: int
    soft: bool = field(default=False, kw_only=True)

    @property
    def key(self) -> str:
        return self.dimension

    @property
    def _strength(self) -> str:
        return "soft" if self.soft else "hard"


@dataclass(frozen=True, slots=True)
class Rate(_Kind):
    """`count` per `period_s` at a steady pace, `burst` of them at once."""

    burst: int

    @property
    def emission_us(self) -> int:
        return self.period_s * 1_000_000 // self.count

    @property
    def tolerance_us(self) -> int:
        return (self.burst - 1) * self.emission_us

    @property
    def parts(self) -> tuple[str | int, ...]:
        return "rate", self._strength, self.emission_us, self.tolerance_us, ""

    @property
    def refund_parts(self) -> tuple[str | int, ...]:
        return "rate", self.emission_us


@dataclass(frozen=True, slots=True)
class Few(_Kind):
    """At most `count` different members in `period_s`."""

    member: str

    @property
    def parts(self) -> tuple[str | int, ...]:
        return "few", self._strength, self.period_s * 1_000_000, self.count, self.member

    @property
    def refund_parts(self) -> tuple[str | int, ...]:
        return "few", self.member


@dataclass(frozen=True, slots=True)
class Run(_Kind):
    """`count` neighbouring numbers `within` something in `period_s`: then nothing for six times as long."""

    number: str
    within: str

    @property
    def key(self) -> str:
        return f"{self.dimension}:{self.within}"

    @property
    def parts(self) -> tuple[str | int, ...]:
        return "run", self._strength, self.period_s * 1_000_000, self.count, self.number

    @property
    def refund_parts(self) -> tuple[str | int, ...]:
        return "run", self.number


Limit = Rate | Few | Run


@dataclass(slots=True)
class LocalRate:
    """GCRA for one websocket, which lives in one process and so needs no store."""

    rates: tuple[Rate, ...]
    enforce: bool = True
    now: Callable[[], float] = time.monotonic
    _tats: dict[str, float] | None = None

    def charge(self) -> None:
        """Charge one message to all rates; AppError `rate_limited`, then none is charged."""
        tats = self._tats = self._tats or {}
        now_us = self.now() * 1_000_000
        at = {rate: max(tats.get(rate.dimension, 0), now_us) for rate in self.rates}
        wait_us = max(tat - now_us - rate.tolerance_us for rate, tat in at.items())
        if wait_us > 0 and self.enforce:
            raise AppError("rate_limited", retry_after=wait_s(wait_us / 1000))
        tats.update({rate.dimension: tat + rate.emission_us for rate, tat in at.items()})


SOCKET_MESSAGES = (Rate("second", 20, 1, 40), Rate("ten_minutes", 600, 600, 600))
# Five times the rate, for ten seconds: whoever goes on in spite of the refusals is cut off.
SOCKET_FLOOD = (Rate("flood", 100, 1, 1000),)
SOCKET_CHECKS = (Rate("checks", 30, 60, 30),)

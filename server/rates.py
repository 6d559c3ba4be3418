"""Rates of the generic cell rate algorithm (GCRA), and one that needs no store."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from server.errors import AppError, wait_s


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` per `period_s` at a steady pace, `burst` of them at once. A soft rate asks for a captcha instead."""

    dimension: str
    count: int
    period_s: int
    burst: int
    soft: bool = False

    @property
    def emission_us(self) -> int:
        return self.period_s * 1_000_000 // self.count

    @property
    def tolerance_us(self) -> int:
        return (self.burst - 1) * self.emission_us


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

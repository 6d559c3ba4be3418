"""What the whole service may send: a minute's rate in Redis, a day's count in Mongo, an alarm before it is gone."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from server.clock import Clock
from server.errors import AppError, StoreUnavailable, wait_s
from server.logs import get_log
from server.metrics import Metrics
from server.services.limits import Charge, LimitService
from server.stores.budget import BudgetStore

_log = get_log(__name__)
ALARMS_PERCENT = (50, 80, 100)
DEARER_FROM_PERCENT = 80
# Where the numbers are, a day begins at midnight UTC+8.
_ZONE = timezone(timedelta(hours=8))
_KEPT = timedelta(days=2)
_KNOWN_FOR_S = 5


@dataclass(frozen=True, slots=True)
class _Known:
    """What this process last heard of the count, at `at` of its monotonic clock."""

    day: str
    used: int
    at: float


class BudgetService:
    """One budget for all processes; that of the day outlives Redis."""

    def __init__(
        self, *, store: BudgetStore, limits: LimitService, metrics: Metrics, clock: Clock, a_day: int, enforce: bool
    ) -> None:
        self._store = store
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._a_day = a_day
        self._enforce = enforce
        self._known = _Known("", 0, 0)
        self._told: set[tuple[str, int]] = set()

    async def require_dearer(self, dearer: bool, purpose: str) -> None:
        """AppError `captcha_required` for a cheap captcha while the budget runs low."""
        if dearer or not await self.under_pressure():
            return
        self._metrics.refusals.labels("sms.send", "service_day_soft").inc()
        if self._enforce:
            raise AppError("captcha_required", purpose=purpose)

    async def charge_minute(self, now: float) -> Charge:
        """Charge one SMS to the minute; AppError `sms_budget_exhausted`, whose wait knows of the day too."""
        try:
            return await self._limits.charge_service()
        except AppError:
            if await self._used(now) < self._a_day:
                raise
            raise _exhausted(now) from None

    async def charge_day(self, now: float) -> str:
        """Charge one SMS to the day, whose name is answered; AppError `sms_budget_exhausted`."""
        day = _day(now)
        limit = self._a_day if self._enforce else None
        used = await self._store.add(day, limit=limit, expires=_midnight(now) + _KEPT)
        self._learn(day, self._a_day if used is None else used)
        if used is None or used > self._a_day:
            self._metrics.refusals.labels("sms.send", "service_day").inc()
        if used is None:
            raise _exhausted(now)
        return day

    async def refund(self, day: str) -> None:
        """Give back what `charge_day` took."""
        await self._store.subtract(day)
        if self._known.day == day:
            self._learn(day, self._known.used - 1)

    async def look(self) -> None:
        """Read the day's count now and then, so that its gauge falls at midnight in an idle process too."""
        with suppress(StoreUnavailable):
            await self._used(self._clock.now())

    async def under_pressure(self) -> bool:
        """Whether so much is used up that everybody's captcha must cost more."""
        try:
            used = await self._used(self._clock.now())
        except StoreUnavailable:
            return False  # No SMS leaves without Mongo, so no captcha buys one now.
        return used * 100 >= self._a_day * DEARER_FROM_PERCENT

    async def _used(self, now: float) -> int:
        day, known = _day(now), self._known
        if known.day != day or self._clock.monotonic() - known.at > _KNOWN_FOR_S:
            # Who asks meanwhile, or while Mongo is away, has to do with what is known.
            self._known = replace(known, at=self._clock.monotonic())
            self._learn(day, await self._store.get(day))
        return self._known.used

    def _learn(self, day: str, used: int) -> None:
        self._known = _Known(day, used, self._clock.monotonic())
        self._metrics.budget.set(used / self._a_day)
        for percent in ALARMS_PERCENT:
            if used * 100 >= self._a_day * percent and (day, percent) not in self._told:
                self._told.add((day, percent))
                _log.warning("sms.budget", percent=percent, used=used, a_day=self._a_day)


def _day(now: float) -> str:
    return datetime.fromtimestamp(now, _ZONE).date().isoformat()


def _midnight(now: float) -> datetime:
    """The end of the day that `now` lies in."""
    day = datetime.fromtimestamp(now, _ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def _exhausted(now: float) -> AppError:
    return AppError("sms_budget_exhausted", retry_after=wait_s((_midnight(now).timestamp() - now) * 1000))

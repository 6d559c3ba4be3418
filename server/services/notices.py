"""A word by SMS to whoever holds a number, when something happened to the account behind it."""

import secrets

from server.clock import Clock
from server.errors import AppError, StoreUnavailable
from server.logs import get_log
from server.metrics import Metrics
from server.services.budget import BudgetService
from server.sms.router import Router
from server.stores.jobs import JobStore

_log = get_log(__name__)
# A new password; a number that an account has left; one that it will leave; one that it has come to; a change of the
# number that came to nothing.
NOTICES = ("password", "mobile", "claim", "moved", "dropped")
LIFE_S = 3600  # later than that nobody would know what it is about


class NoticeService:
    """Notices go through the queue of all SMS and out of the budget of the whole service. They are no codes: nobody
    waits for them on a page, and what they tell of has happened whether or not they arrive."""

    def __init__(
        self, *, jobs: JobStore, budget: BudgetService, router: Router, clock: Clock, metrics: Metrics
    ) -> None:
        self._jobs = jobs
        self._budget = budget
        self._router = router
        self._clock = clock
        self._metrics = metrics

    async def send(self, kind: str, mobile: str, *, locale: str) -> None:
        """Put one of NOTICES in line. Where it cannot be sent the log says so, and nothing else changes. An account
        without a number cannot be told."""
        assert kind in NOTICES
        if not mobile:
            return
        now = self._clock.now()
        job = {"notice": kind, "mobile": mobile, "locale": locale, "until": str(int(now) + LIFE_S)}
        if not self._router.candidates(job | {"id": ""}):
            _log.warning("notice.not_sent", kind=kind, why="no provider has a template for notices")
            return
        try:
            await self._budget.charge_minute(now)
            await self._budget.charge_day(now)
            await self._jobs.enqueue(secrets.token_urlsafe(12), job)
            self._metrics.queued.inc()
        except (AppError, StoreUnavailable) as fault:
            _log.warning("notice.not_sent", kind=kind, why=str(fault))

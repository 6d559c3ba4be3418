"""The second check of a send, in Mongo: what it bounds stays bounded when Redis has lost what it knew."""

from server.errors import AppError, StoreUnavailable, wait_s
from server.logs import get_log
from server.metrics import Metrics
from server.services.budget import BudgetService
from server.services.codes import Send
from server.stores.outbox import OutboxStore
from server.tags import Tagger

_log = get_log(__name__)


class OutboxService:
    """One SMS of a number per bucket of `SMS_INTERVAL_S`: sends an interval apart never share one."""

    def __init__(
        self,
        *,
        store: OutboxStore,
        budget: BudgetService,
        tagger: Tagger,
        metrics: Metrics,
        interval_s: int,
        enforce: bool,
    ) -> None:
        self._store = store
        self._budget = budget
        self._tagger = tagger
        self._metrics = metrics
        self._interval_s = interval_s
        self._enforce = enforce

    async def reserve(self, send: Send) -> None:
        """Note a send for good; AppError `sms_budget_exhausted` or `sms_too_soon`, then nothing is noted."""
        now = send.state["server_now"]
        day = await self._budget.charge_day(now)
        bucket = int(now // self._interval_s)
        name = self._tagger.tag(send.mobile).name
        if await self._store.record(name, bucket, owner=send.owner, at=now, day=day):
            return
        self._metrics.refusals.labels("sms.send", "outbox").inc()
        if self._enforce:
            await self._budget.refund(day)
            raise AppError("sms_too_soon", retry_after=wait_s(((bucket + 1) * self._interval_s - now) * 1000))

    async def take_back(self, send: Send) -> None:
        """Undo `reserve`, whether or not it was heard to succeed: its document says what there is to undo."""
        day = await self._remove(self._tagger.tag(send.mobile).name, send.owner)
        try:
            if day:
                await self._budget.refund(day)
        except StoreUnavailable as fault:
            _log.warning("send.not_refunded", why=str(fault))

    async def release(self, name: str, owner: str) -> None:
        """An SMS failed for good, so its number may be sent another one now. The budget keeps its count, as the caps
        do, so that failures cannot be farmed. To be called before the interval is given back."""
        await self._remove(name, owner)

    async def _remove(self, name: str, owner: str) -> str | None:
        try:
            return await self._store.remove(name, owner)
        except StoreUnavailable as fault:
            _log.warning("send.not_released", why=str(fault))
            return None

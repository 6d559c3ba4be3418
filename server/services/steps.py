"""The steps of an SMS: recorded in its transaction, counted, logged, and told to every page that watches."""

from dataclasses import dataclass

from server.clock import Clock
from server.events import topics
from server.feed import Feed
from server.logs import get_log
from server.metrics import Metrics
from server.services.outbox import OutboxService
from server.stores.codes import CodeStore

_log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """One try to send an SMS: by which job, for which transaction ("": a notice) of which (tagged) number."""

    job: str
    transaction: str
    name: str
    attempt: int = 0
    provider: str = ""


class StepService:
    """Moves an SMS on, never back."""

    def __init__(
        self, *, codes: CodeStore, outbox: OutboxService, metrics: Metrics, feed: Feed, clock: Clock
    ) -> None:
        self._codes = codes
        self._outbox = outbox
        self._metrics = metrics
        self._feed = feed
        self._clock = clock

    async def fail(self, sent: Sent, reason: str) -> bool:
        """No SMS came of it, and none will: its number may be sent another one at once."""
        if sent.transaction:
            await self._outbox.release(sent.name, sent.job)
        return await self.move(sent, "failed", reason=reason)

    async def undelivered(self, sent: Sent) -> bool:
        """The provider reports that it did not arrive: believed of the try that stands accepted, and of no other."""
        moved = await self.move(sent, "failed", reason="undelivered", only_accepted=True)
        if moved:
            await self._outbox.release(sent.name, sent.job)
        return moved

    async def move(
        self, sent: Sent, status: str, *, reason: str = "", only_accepted: bool = False, at_once: bool = False
    ) -> bool:
        """False if this send may no longer speak for its transaction, or said so before. `only_accepted`: only if
        this very try was the one accepted; `at_once`: its provider took and delivered it in one answer. A notice has
        no transaction: nobody watches it."""
        since_s: float | None = 0.0
        if sent.transaction:
            since_s = await self._move(sent, status, reason, only_accepted)
        if since_s is None:
            return False
        self._metrics.sms.labels(sent.provider, status).inc()
        if sent.transaction and status in ("accepted", "delivered"):
            for step in ("accepted", "delivered") if at_once else (status,):
                self._metrics.steps.labels(step).observe(since_s)
        if status != "sending":
            _log.info("sms.moved", status=status, job=sent.job, provider=sent.provider, reason=reason)
        about = {"transaction": sent.transaction, "provider": sent.provider, "reason": reason}
        self._feed.note(f"sms.{status}", self._clock.now(), **about)
        return True

    async def _move(self, sent: Sent, status: str, reason: str, only_accepted: bool) -> float | None:
        return await self._codes.move(
            sent.transaction,
            sent.name,
            sent.job,
            status,
            attempt=sent.attempt,
            reason=reason,
            provider=sent.provider,
            topic=topics.sms(sent.transaction),
            only_accepted=only_accepted,
        )

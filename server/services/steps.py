"""The steps of an SMS: recorded in its transaction, counted, logged, and told to every page that watches."""

from dataclasses import dataclass

from server.events import topics
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

    def __init__(self, *, codes: CodeStore, outbox: OutboxService, metrics: Metrics) -> None:
        self._codes = codes
        self._outbox = outbox
        self._metrics = metrics

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

    async def move(self, sent: Sent, status: str, *, reason: str = "", only_accepted: bool = False) -> bool:
        """False if this send may no longer speak for its transaction, or said so before. `only_accepted`: only if
        this very try was the one accepted. A notice has no transaction: nobody watches it."""
        moved = not sent.transaction or await self._codes.move(
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
        if moved:
            self._metrics.sms.labels(sent.provider, status).inc()
            if status != "sending":
                _log.info("sms.moved", status=status, job=sent.job, provider=sent.provider, reason=reason)
        return moved

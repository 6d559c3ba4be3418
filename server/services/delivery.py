"""From an accepted send to a delivered SMS: queue it, hand it to the provider, tell the page each step."""

import asyncio
import math
from typing import NoReturn

from server.errors import StoreUnavailable
from server.events import EventBus, topics
from server.i18n import text
from server.jobs import Job, JobFailed
from server.keys import KeyRing
from server.logs import get_log
from server.metrics import Metrics
from server.services.codes import Send
from server.services.otp import code_of
from server.sms.provider import SendFailed, Sms, SmsProvider
from server.stores.codes import CodeRecord, CodeRules, CodeStore
from server.stores.jobs import JobStore

_log = get_log(__name__)
SEND_TIMEOUT_S = 5
_SLACK_S = 5  # a code of 300 s that waited a moment is still one of 5 minutes


class DeliveryService:
    """The way of an SMS. Every step is recorded in its transaction before it is told."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        codes: CodeStore,
        rules: CodeRules,
        ring: KeyRing,
        provider: SmsProvider,
        events: EventBus,
        metrics: Metrics,
        site_name: str,
    ) -> None:
        self._jobs = jobs
        self._codes = codes
        self._rules = rules
        self._ring = ring
        self._provider = provider
        self._events = events
        self._metrics = metrics
        self._site_name = site_name

    async def queue(self, send: Send) -> None:
        """Put an accepted send in line for good: after this it survives any process."""
        fields = {"transaction": send.transaction, "mobile": send.mobile}
        await self._jobs.enqueue(send.owner, fields)
        self._metrics.sms.labels(self._provider.name, "queued").inc()
        await self._events.publish(topics.sms(send.transaction))

    async def deliver(self, job: Job) -> None:
        """Send one SMS. Bears being called again for the same job: the provider knows it by its id."""
        record = await self._codes.get_record(job["transaction"])
        if record is None or record.fields["owner"] != job["id"]:
            _log.info("sms.dropped", job=job["id"], why="overtaken by a newer send, or over")
            return
        if record.fields["status"] in ("accepted", "delivered", "failed"):
            return  # An earlier try of this job got so far and only its end was not recorded.
        if record.expires - record.now < self._rules.too_late_s:
            await self._fail(job, record, "too_late")
        sms = self._write(job, record)
        if sms is None:
            await self._fail(job, record, "provider_failed")
        if await self._move(job, record, "sending"):
            await self._hand_over(job, record, sms)

    async def give_up(self, job: Job) -> None:
        """End the SMS of a job that crashed too often; the page may ask for another one."""
        record = await self._codes.get_record(job.get("transaction", ""))
        if record is not None:
            await self._move(job, record, "failed", reason="provider_failed")

    async def _hand_over(self, job: Job, record: CodeRecord, sms: Sms) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                result = await self._provider.send(sms)
        except StoreUnavailable:
            raise  # Ours, not the provider's: the job is tried again.
        except (SendFailed, TimeoutError) as fault:
            _log.warning("sms.refused", provider=self._provider.name, job=job["id"], why=str(fault) or "timeout")
            await self._fail(job, record, "provider_failed")
        # One step, so that no kill in between leaves an SMS `accepted` for which no receipt will ever come.
        await self._move(job, record, "delivered" if result.delivered else "accepted")

    async def _fail(self, job: Job, record: CodeRecord, reason: str) -> NoReturn:
        await self._move(job, record, "failed", reason=reason)
        raise JobFailed(reason)

    async def _move(self, job: Job, record: CodeRecord, status: str, *, reason: str = "") -> bool:
        """False if this send may no longer speak for its transaction."""
        name = record.fields["mobile_name"]
        moved = await self._codes.move(
            record.transaction, name, job["id"], status, attempt=int(job["tries"]), reason=reason
        )
        if moved:
            self._metrics.sms.labels(self._provider.name, status).inc()
            _log.info("sms.moved", status=status, job=job["id"], mobile=record.fields["mobile"])
            await self._events.publish(topics.sms(record.transaction))
        return moved

    def _write(self, job: Job, record: CodeRecord) -> Sms | None:
        """The message with its code, worked out here for the first time; None if the code's key is gone."""
        has = record.fields
        code = code_of(self._ring, record, job["mobile"])
        if code is None:
            return None
        minutes = max(1, math.floor((record.expires - record.now + _SLACK_S) / 60))
        params = {"site": self._site_name, "code": code, "minutes": minutes}
        return Sms(
            id=job["id"],
            mobile=job["mobile"],
            purpose=has["purpose"],
            code=code,
            minutes=minutes,
            text=text(has["locale"], f"sms.text.{has['purpose']}", params),
            transaction=record.transaction,
            nonce=has["nonce"],
            key_id=has["key"],
            locale=has["locale"],
        )

"""SMS that were given up: shown, tried again, dropped."""

from contextlib import suppress
from typing import Any

from server.errors import AppError, StoreUnavailable
from server.events import topics
from server.services.codes import Send
from server.services.delivery import DeliveryService
from server.services.outbox import OutboxService
from server.stores.codes import CodeStore
from server.stores.jobs import JobStore

SHOWN_MAX = 100
HOLD_S = 15  # longer than an operation may take


class DeadLetterService:
    """What is tried again goes the way of any SMS: announced, so that it cannot get lost between, and queued."""

    def __init__(self, *, jobs: JobStore, codes: CodeStore, outbox: OutboxService, delivery: DeliveryService) -> None:
        self._jobs = jobs
        self._outbox = outbox
        self._codes = codes
        self._delivery = delivery

    async def newest(self) -> list[dict[str, Any]]:
        """At most SHOWN_MAX: `{job, at, reason, age_s, attempt, transaction}`."""
        return [
            {
                "job": one.get("job", ""),
                "at": int(one["at"]) / 1000,
                "reason": one.get("reason", ""),
                "age_s": int(one.get("age_ms", 0)) / 1000,
                "attempt": int(one.get("attempt", 0)),
                "transaction": one.get("transaction", ""),
            }
            for one in await self._jobs.dead(SHOWN_MAX)
        ]

    async def drop(self, job: str) -> None:
        """Forget it; its page was told long ago. AppError `job_gone`."""
        if not await self._jobs.drop(await self._require_entry(job)):
            raise AppError("job_gone")

    async def retry(self, job: str) -> None:
        """Send it after all. AppError `job_gone` if its code is too old, its number has been sent another one, or
        somebody was faster; `busy` while somebody is at it; `sms_unavailable` while no provider may be asked,
        `sms_too_soon` and `sms_budget_exhausted` as for any SMS."""
        if not await self._jobs.hold_dead(job, HOLD_S):
            raise AppError("busy", retry_after=1)
        try:
            await self._retry(job)
        finally:
            with suppress(StoreUnavailable):  # then it lapses
                await self._jobs.let_go(job)

    async def _retry(self, job: str) -> None:
        entry = await self._require_entry(job)
        has = await self._jobs.get(job)
        if "mobile" not in has:
            raise AppError("job_gone")
        if not has.get("transaction"):  # a notice, for which nobody waits
            await self._revive(job, entry)
            return
        record = await self._codes.get_record(has["transaction"])
        if record is None:
            raise AppError("job_gone")
        state = {"server_now": record.now}
        send = Send(has["transaction"], has["mobile"], has["name"], job, "", resend=True, state=state)
        await self._delivery.admit(send)
        try:
            await self._outbox.reserve(send)
            if not await self._codes.reopen(send.transaction, send.name, job, topic=topics.sms(send.transaction)):
                raise AppError("job_gone")
        except BaseException:
            await self._outbox.take_back(send)
            await self._delivery.withdraw(send)
            raise
        # Should we die here, the intent lapses and the SMS is failed anew: told, and its interval released.
        await self._revive(job, entry, intent=self._delivery.intent_of(send))

    async def _revive(self, job: str, entry: str, *, intent: str = "") -> None:
        if not await self._jobs.revive(job, entry, intent=intent):
            raise AppError("job_gone")

    async def _require_entry(self, job: str) -> str:
        for one in await self._jobs.dead(SHOWN_MAX):
            if one.get("job") == job:
                return one["entry"]
        raise AppError("job_gone")

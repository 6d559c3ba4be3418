"""What is done for each SMS in line: a provider takes it, or the page learns that none did."""

import asyncio
import math
import random
from dataclasses import dataclass
from typing import NoReturn

from server.clock import Clock
from server.errors import StoreUnavailable
from server.fixed_codes import FixedCodes
from server.i18n import text
from server.jobs import Job, JobDelayed, JobFailed, Outside
from server.keys import KeyRing
from server.logs import get_log
from server.metrics import Metrics
from server.services.otp import code_of
from server.services.receipts import ReceiptService
from server.services.sending import SILENT
from server.services.steps import Sent, StepService
from server.sms.provider import SendFailed, SendResult, Sms
from server.sms.router import AFTER_UNKNOWN_S, Route, Router, blames_provider
from server.stores.codes import CodeRecord, CodeRules, CodeStore
from server.stores.jobs import JobStore
from server.stores.providers import Candidate, Outcome, ProviderStore
from server.stores.users import UserStore, is_active
from server.tasks import Tasks

_log = get_log(__name__)
SEND_TIMEOUT_S = 6  # a provider's own limit is 5; this one is for a provider that forgets it
LONGEST_RATE_WAIT_S = 2  # meanwhile nobody looks whether the provider still works
LOOK_S = 1
RECORD_TRIES, RECORD_PAUSE_S = 120, 0.5
_SLACK_S = 5  # a code of 300 s that waited a moment is still one of 5 minutes


@dataclass(frozen=True, slots=True)
class _Errand:
    """One job in our hands; `late_at`: from when on (by our own clock) its code is too old to be sent."""

    job: Job
    record: CodeRecord
    late_at: float


class CourierService:
    """Every call of a provider is recorded before it is made, and every step before it is told."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        codes: CodeStore,
        rules: CodeRules,
        ring: KeyRing,
        fixed: FixedCodes,
        users: UserStore,
        router: Router,
        outside: Outside,
        providers: ProviderStore,
        receipts: ReceiptService,
        steps: StepService,
        clock: Clock,
        metrics: Metrics,
        site_name: str,
        host: str,
    ) -> None:
        self._jobs = jobs
        self._codes = codes
        self._rules = rules
        self._ring = ring
        self._fixed = fixed
        self._users = users
        self._router = router
        self._outside = outside
        self._providers = providers
        self._receipts = receipts
        self._steps = steps
        self._clock = clock
        self._metrics = metrics
        self._site_name = site_name
        self._host = host
        self._tasks = Tasks(clock)

    async def start(self) -> None:
        """Begin to look which breakers are open, also those that other processes opened."""
        self._tasks.keep("courier.look", self._look, every_s=LOOK_S)

    async def aclose(self) -> None:
        """Stop looking."""
        await self._tasks.aclose()

    async def _look(self) -> None:
        for name, (is_open, _) in (await self._providers.breakers(self._router.names)).items():
            self._metrics.provider_open.labels(name).set(is_open)

    async def deliver(self, job: Job) -> None:
        """Send one SMS. Bears being called again for the same job: JobDelayed if it must be, JobFailed for good."""
        if "notice" in job:
            await self._notify(job)
            return
        record = await self._codes.get_record(job["transaction"])
        if record is None or record.fields["owner"] != job["id"]:
            _log.info("sms.dropped", job=job["id"], why="overtaken by a newer send, or over")
            return
        if record.fields["status"] in ("accepted", "delivered", "failed"):
            return  # An earlier try of this job got so far and only its end was not recorded.
        if self._fixed.code(job["mobile"], record.now) is not None:
            await self._steps.move(_sent(job), "delivered")
            return
        if record.fields.get("silent") == "1" and not await self._is_for_somebody(job["mobile"], record):
            return  # Nobody is told, and nothing else of it looks different from the SMS of an account.
        await self._send(job, record)

    async def _is_for_somebody(self, mobile: str, record: CodeRecord) -> bool:
        """Whether the code of a silent SMS would be good for anything."""
        user = await self._users.get(mobile=mobile)
        if record.fields["purpose"] in SILENT:
            return user is not None and is_active(user)
        return user is None

    async def _notify(self, job: Job) -> None:
        now = self._clock.now()
        if self._fixed.code(job["mobile"], now) is None:
            await self._send(job, _record_of_notice(job, now))

    async def _send(self, job: Job, record: CodeRecord) -> None:
        if job.get("calling"):
            await self._note_lost_call(job, record.now)
        left_s = record.expires - record.now - self._rules.too_late_s
        errand = _Errand(job, record, self._clock.monotonic() + left_s)
        await self._require_in_time(errand)
        quiet_s = int(job.get("unknown_at", 0)) / 1000 + AFTER_UNKNOWN_S - record.now
        if quiet_s > 0:
            await self._postpone(errand, quiet_s)
        await self._ask_in_turn(errand)

    async def give_up(self, job: Job) -> None:
        """End the SMS of a job that crashed too often; the page may ask for another one."""
        if "transaction" in job or "notice" in job:
            await self._steps.fail(_sent(job), "provider_failed")

    async def _note_lost_call(self, job: Job, now: float) -> None:
        """Whoever worked on this job died while a provider was being asked: nobody knows the outcome."""
        name = job.pop("calling")
        # `called_at` is when the call was allowed. It left later, and may still be to come.
        since = str(max(int(job["called_at"]), round(now * 1000)))
        verdict = self._router.judge(job, name, "unknown")
        await self._providers.note(
            self._jobs.key(job["id"]), name, "none", unknown_since=since, fields=verdict.fields
        )
        _log.warning("sms.call_lost", provider=name, job=job["id"])
        job.update(verdict.fields, unknown_at=since)
        if verdict.failed:
            await self._fail(job, verdict.failed)

    async def _ask_in_turn(self, errand: _Errand) -> None:
        """One provider after the other, until one takes it or the job has to wait."""
        while True:
            route = await self._choose(errand)
            await self._require_in_time(errand)
            sms = self._write(errand, route)
            if sms is None:
                await self._fail(errand.job, "provider_failed")
            if not await self._steps.move(_sent(errand.job), "sending"):
                return  # A receipt or a newer send was faster.
            try:
                result = await self._call(route, sms)
            except SendFailed as fault:
                await self._refused(errand, route, fault)
            else:
                await self._accepted(errand.job, result)
                return

    async def _choose(self, errand: _Errand) -> Route:
        """The provider to ask, when its rate has room; from then on the job says that it is being asked."""
        job = errand.job
        candidates = self._router.candidates(job)
        if not candidates:
            await self._fail(job, "provider_failed")
        choice = await self._providers.choose(
            self._jobs.key(job["id"]),
            [Candidate(route.name, route.rate) for route in candidates],
            longest_wait_s=LONGEST_RATE_WAIT_S,
        )
        if choice.name is None:
            # Not all at the same moment: the first of them is the probe, and the others would wait for the next one.
            await self._postpone(errand, max(0.2, choice.wait_s * random.uniform(0.2, 1)))  # noqa: S311 (no secret)
        tries = f"tries:{choice.name}"
        job.update({"attempt": str(choice.attempt), "provider": choice.name, tries: str(int(job.get(tries, 0)) + 1)})
        if choice.wait_s:
            with self._outside:
                await self._clock.sleep(choice.wait_s)
        return next(route for route in candidates if route.name == choice.name)

    async def _call(self, route: Route, sms: Sms) -> SendResult:
        outcome, began = "unknown", self._clock.monotonic()
        try:
            with self._outside:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    result = await route.provider.send(sms)
            outcome = "accepted"
            return result
        except SendFailed as fault:
            outcome = fault.kind
            if sms.repeated and fault.kind == "limit_user":
                return SendResult("")  # Enough for this number: it has the SMS whose answer got lost.
            raise
        except TimeoutError:
            raise SendFailed("unknown", "no answer in time") from None
        finally:
            self._metrics.outcomes.labels(route.name, outcome).inc()
            self._metrics.provider_seconds.labels(route.name).observe(self._clock.monotonic() - began)

    async def _accepted(self, job: Job, result: SendResult) -> None:
        """In one turn of the loop. Should we die in between, the next worker finds the SMS accepted."""
        # One step, so that no kill in between leaves an SMS `accepted` for which no receipt will ever come.
        status = "delivered" if result.delivered else "accepted"
        await asyncio.gather(self._record(_sent(job), status, result.message_id), self._tell_good(job))

    async def _record(self, sent: Sent, status: str, message_id: str) -> None:
        """A provider's yes is held while Redis is away: whoever takes the job over could only send again."""
        for _ in range(RECORD_TRIES):
            try:
                remembered = [self._receipts.remember(sent, message_id)] if sent.transaction else []
                at_once = status == "delivered"
                await asyncio.gather(*remembered, self._steps.move(sent, status, at_once=at_once))
                return
            except StoreUnavailable as fault:
                _log.warning("sms.not_recorded", job=sent.job, why=str(fault))
            await self._clock.sleep(RECORD_PAUSE_S)
        raise StoreUnavailable("redis", "away for too long")

    async def _tell_good(self, job: Job) -> None:
        try:
            await self._tell_breaker(job, "ok")
        except StoreUnavailable:
            pass  # It learns from the next call.

    async def _tell_breaker(
        self, job: Job, outcome: Outcome, since: str = "", fields: dict[str, str] | None = None
    ) -> None:
        name = job["provider"]
        key = self._jobs.key(job["id"])
        state = await self._providers.note(key, name, outcome, unknown_since=since, fields=fields)
        if state in ("opened", "reclosed"):
            _log.warning(f"provider.{state}", provider=name)

    async def _refused(self, errand: _Errand, route: Route, fault: SendFailed) -> None:
        """Returns if another provider is to be asked at once."""
        job = errand.job
        _log.warning("sms.refused", provider=route.name, job=job["id"], why=str(fault))
        verdict = self._router.judge(job, route.name, fault.kind)
        outcome: Outcome = "bad" if blames_provider(fault.kind) else "neutral"
        await self._tell_breaker(job, outcome, "now" if fault.kind == "unknown" else "", verdict.fields)
        job.update(verdict.fields)
        if verdict.failed:
            await self._fail(job, verdict.failed)
        if verdict.wait_s:
            await self._postpone(errand, verdict.wait_s)

    async def _require_in_time(self, errand: _Errand, wait_s: float = 0) -> None:
        if self._clock.monotonic() + wait_s > errand.late_at:
            await self._fail(errand.job, "too_late")

    async def _postpone(self, errand: _Errand, wait_s: float) -> NoReturn:
        """No wait for a moment at which it would be too late."""
        await self._require_in_time(errand, wait_s)
        raise JobDelayed(wait_s)

    async def _fail(self, job: Job, reason: str) -> NoReturn:
        await self._steps.fail(_sent(job), reason)
        raise JobFailed(reason)

    def _write(self, errand: _Errand, route: Route) -> Sms | None:
        """The message with its code, worked out here for the first time; None if the code's key is gone."""
        job, record, has = errand.job, errand.record, errand.record.fields
        code = "" if "notice" in job else code_of(self._ring, self._fixed, record, job["mobile"])
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
            text=text(has["locale"], f"sms.text.{has['purpose']}", params) + self._bound_line(code),
            transaction=record.transaction,
            nonce=has["nonce"],
            key_id=has["key"],
            locale=has["locale"],
            repeated=f"unknowns:{route.name}" in job,
        )

    def _bound_line(self, code: str) -> str:
        """By its last line a phone knows which site the code is for, and offers it there and nowhere else
        (https://wicg.github.io/sms-one-time-codes/)."""
        return f"\n\n@{self._host} #{code}" if self._host and code else ""


def _sent(job: Job) -> Sent:
    """The try that the job is at."""
    return Sent(
        job["id"],
        job.get("transaction", ""),
        job.get("name", ""),
        int(job.get("attempt", 0)),
        job.get("provider", ""),
    )


def _record_of_notice(job: Job, now: float) -> CodeRecord:
    """What a notice has in place of a transaction."""
    fields = {"purpose": f"notice-{job['notice']}", "locale": job["locale"], "nonce": "", "key": ""}
    return CodeRecord("", now, 0, fields | {"expires": str(int(job["until"]) * 1000)})

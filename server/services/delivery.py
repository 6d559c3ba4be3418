"""From a request for an SMS to a job in line, so that every send that was accepted is sent or failed."""

from server.errors import AppError, StoreUnavailable, wait_s
from server.events import encode, topics
from server.logs import get_log
from server.metrics import Metrics
from server.services.codes import Send
from server.services.steps import Sent, StepService
from server.stores.jobs import IntentLapsed, JobStore, QueueFull

_log = get_log(__name__)
INTENT_LAPSE_S = 6  # longer than any request for an SMS may take
FULL_RETRY_S = 10


class DeliveryService:
    """Announces a send before it is charged, queues it when it is accepted, and fails it if it got lost between."""

    def __init__(self, *, jobs: JobStore, providers: list[str], steps: StepService, metrics: Metrics) -> None:
        self._jobs = jobs
        self._providers = providers
        self._steps = steps
        self._metrics = metrics

    async def admit(self, send: Send) -> None:
        """Before anything is charged: is there room in line and a provider that may be asked? AppError
        `sms_unavailable` or `busy`. If so and the job never comes, the send is found and failed within 10 s."""
        try:
            closed_s = await self._jobs.admit(self.intent_of(send), lapse_s=INTENT_LAPSE_S, providers=self._providers)
        except QueueFull:
            raise AppError("busy", retry_after=FULL_RETRY_S) from None
        if closed_s:
            raise AppError("sms_unavailable", retry_after=wait_s(closed_s * 1000))

    async def queue(self, send: Send) -> None:
        """Put an accepted send in line for good: after this it survives any process."""
        fields = {"transaction": send.transaction, "mobile": send.mobile, "name": send.name}
        try:
            await self._jobs.enqueue(
                send.owner,
                fields,
                intent=self.intent_of(send),
                topic=topics.sms(send.transaction),
                news=encode({} if send.resend else {"new": send.transaction}),
            )
        except IntentLapsed:
            raise AppError("busy", retry_after=1) from None
        self._metrics.queued.inc()

    async def withdraw(self, send: Send) -> None:
        """An admitted send that came to nothing."""
        try:
            await self._jobs.forget_intent(self.intent_of(send))
        except StoreUnavailable as fault:
            _log.info("intent.left_to_lapse", why=str(fault))

    async def lapse(self, intent: str) -> None:
        """Fail a send whose job never came: whoever accepted it died on the way to the queue."""
        owner, transaction, name = intent.split(" ")
        if await self._steps.fail(Sent(owner, transaction, name), "provider_failed"):
            _log.warning("sms.never_queued", job=owner)
        await self._jobs.forget_intent(intent)

    @staticmethod
    def intent_of(send: Send) -> str:
        """What is noted of a send until its job is in line; `lapse` reads it."""
        return f"{send.owner} {send.transaction} {send.name}"

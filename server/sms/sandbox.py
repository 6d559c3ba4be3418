"""The sandbox: no vendor, the SMS appears on `/dev/inbox`. For development and tests only.

It can be told to misbehave, by the number or from the panel (docs/sandbox.md).
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from server.clock import Clock
from server.sms.faults import Tried, fault_of
from server.sms.provider import Receipt, ReceiptReader, SendFailed, SendResult, Sms
from server.tasks import Tasks

Report = Callable[[str, list[Receipt]], Awaitable[None]]
DELAY_S = 3
# Fault -> after how many seconds which receipt comes, and how often.
_RECEIPTS: dict[str, tuple[float, bool, int]] = {
    "late": (5, True, 1),
    "undelivered": (1, False, 1),
    "duplicate": (1, True, 2),
}


class Inbox(Protocol):
    """Where the sandbox puts what it sends."""

    async def add(self, sms: Sms, tried: Tried) -> None:
        """Keep a message; the same id again changes nothing."""


class Script(Protocol):
    """Who decides what a message meets, and keeps the log."""

    async def meet(self, sms: Sms, provider: str, by_number: str | None) -> Tried:
        """The next try of this message; its fault stays the same for all its tries. None: this provider has none."""

    async def note(self, sms: Sms, tried: Tried, outcome: str) -> None:
        """What came of a try: `delivered`, `accepted`, the kind of its failure, or a receipt."""


class Sandbox:
    """Delivers at once, unless a fault is scripted. `scripted=False`: always."""

    receipts: ReceiptReader | None = None
    notices = True

    def __init__(
        self,
        inbox: Inbox,
        script: Script,
        clock: Clock,
        report: Report,
        *,
        name: str = "sandbox",
        scripted: bool = True,
    ) -> None:
        self._inbox = inbox
        self._script = script
        self._clock = clock
        self._report = report
        self._tasks = Tasks(clock)
        self._scripted = scripted
        self.name = name

    async def aclose(self) -> None:
        """Receipts that have not come yet never do."""
        await self._tasks.aclose()

    async def send(self, sms: Sms) -> SendResult:
        """Put the message into the inbox; SendFailed where a fault says so."""
        tried = await self._script.meet(sms, self.name, fault_of(sms.mobile) if self._scripted else None)
        try:
            result = await self._send(sms, tried)
        except SendFailed as failed:
            await self._script.note(sms, tried, failed.kind)
            raise
        await self._script.note(sms, tried, "delivered" if result.delivered else "accepted")
        return result

    async def _send(self, sms: Sms, tried: Tried) -> SendResult:
        if tried.refusal:
            raise SendFailed(tried.refusal, "scripted", tried.fault)
        if tried.fault == "delay":
            await self._clock.sleep(DELAY_S)
        if tried.fault != "undelivered":
            await self._inbox.add(sms, tried)
        if tried.answer_lost:
            raise SendFailed("unknown", "scripted", tried.fault)
        if tried.fault not in _RECEIPTS:
            return SendResult(message_id=sms.id, delivered=True)
        self._tasks.start(self._report_later(sms, tried))
        return SendResult(message_id=sms.id, delivered=False)

    async def _report_later(self, sms: Sms, tried: Tried) -> None:
        wait_s, delivered, times = _RECEIPTS[tried.fault]
        await self._clock.sleep(wait_s)
        code = "" if delivered else "scripted"
        receipt = Receipt(message_id=sms.id, mobile=sms.mobile, delivered=delivered, code=code, reference=sms.id)
        for _ in range(times):
            await self._report(self.name, [receipt])
            await self._script.note(sms, tried, "receipt_delivered" if delivered else "receipt_undelivered")

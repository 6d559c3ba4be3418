"""The sandbox: no vendor, the SMS appears on `/dev/inbox`. For development and tests only."""

from typing import Protocol

from server.sms.provider import ReceiptReader, SendResult, Sms


class Inbox(Protocol):
    """Where the sandbox puts what it sends."""

    async def add(self, sms: Sms) -> None:
        """Keep a message; the same id again changes nothing."""


class Sandbox:
    """Delivers at once, always."""

    name = "sandbox"
    receipts: ReceiptReader | None = None

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def send(self, sms: Sms) -> SendResult:
        """Put the message into the inbox."""
        await self._inbox.add(sms)
        return SendResult(message_id=sms.id, delivered=True)

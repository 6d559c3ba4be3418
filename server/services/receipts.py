"""What vendors report later: matched to the send it is about, and told to the page as the SMS's last step."""

import hmac
import ipaddress
from collections.abc import Mapping

import orjson

from server.errors import AppError
from server.logs import get_log
from server.metrics import Metrics
from server.services.steps import Sent, StepService
from server.sms.provider import Receipt, ReceiptForged, ReceiptReader
from server.sms.router import Route, Router
from server.stores.jobs import JobStore
from server.stores.providers import MessageStore
from server.tags import Tagger

_log = get_log(__name__)


class ReceiptService:
    """Takes receipts once, in any order, from whoever may send them."""

    def __init__(
        self,
        *,
        router: Router,
        messages: MessageStore,
        jobs: JobStore,
        steps: StepService,
        tagger: Tagger,
        metrics: Metrics,
    ) -> None:
        self._router = router
        self._messages = messages
        self._jobs = jobs
        self._steps = steps
        self._tagger = tagger
        self._metrics = metrics

    async def accept(
        self, provider: str, *, secret: str, address: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[str, bytes]:
        """Take a vendor's report; answers content type and body of the thanks.

        AppError `receipt_refused` for a wrong secret, signature or address, `request_invalid` if it cannot be read.
        """
        reader = self._reader(provider, secret, address)
        try:
            receipts = reader.read(body, headers)
        except ReceiptForged:
            raise self._refuse(provider, "signature") from None
        except ValueError:
            raise self._unreadable(provider, body, headers) from None
        await self.take(provider, receipts)
        return reader.reply

    def _reader(self, provider: str, secret: str, address: str) -> ReceiptReader:
        route = self._router.get(provider)
        if route is None or route.provider.receipts is None:
            raise self._refuse(provider if route else "unknown", "provider")
        if objection := _objection(route, secret, address):
            raise self._refuse(provider, objection)
        return route.provider.receipts

    def _refuse(self, provider: str, why: str) -> AppError:
        """The log tells the operator what the sender is not told."""
        self._metrics.receipts.labels(provider, "refused").inc()
        _log.info("receipt.refused", provider=provider, why=why)
        return AppError("receipt_refused")

    def _unreadable(self, provider: str, body: bytes, headers: Mapping[str, str]) -> AppError:
        """Of its content only form and size are told: it names numbers."""
        self._metrics.receipts.labels(provider, "unreadable").inc()
        form = headers.get("Content-Type", "")[:80]
        _log.warning("receipt.unreadable", provider=provider, content_type=form, size=len(body))
        return AppError("request_invalid")

    async def take(self, provider: str, receipts: list[Receipt]) -> None:
        """Each moves the SMS it is about, if it is the first to say so."""
        for receipt in receipts:
            result = await self._take(provider, receipt)
            self._metrics.receipts.labels(provider, result).inc()

    async def _take(self, provider: str, receipt: Receipt) -> str:
        told = orjson.dumps(receipt).decode()
        found = await self._messages.take(provider, receipt.message_id, told, delivered=receipt.delivered)
        sent = Sent(**orjson.loads(found)) if found else await self._by_reference(provider, receipt)
        if sent is None:
            return "unknown"
        return await self._apply(sent, receipt)

    async def _by_reference(self, provider: str, receipt: Receipt) -> Sent | None:
        """The answer to the send may have got lost, but the vendor names our own id. That his try failed says
        nothing of one that another vendor has taken since."""
        job = await self._jobs.get(receipt.reference) if receipt.reference else {}
        if not job.get(f"tries:{provider}") or not (receipt.delivered or job.get("calling") == provider):
            return None
        return Sent(receipt.reference, job["transaction"], job["name"], int(job["attempt"]), provider)

    async def _apply(self, sent: Sent, receipt: Receipt) -> str:
        if self._tagger.tag(receipt.mobile).name != sent.name:
            _log.warning("receipt.of_another_number", provider=sent.provider, job=sent.job)
            return "mismatched"
        if receipt.delivered:
            moved = await self._steps.move(sent, "delivered")
        else:
            moved = await self._steps.undelivered(sent)
            if moved:
                _log.info("sms.undelivered", provider=sent.provider, job=sent.job, code=receipt.code)
        return ("delivered" if receipt.delivered else "undelivered") if moved else "repeated"

    async def remember(self, sent: Sent, message_id: str) -> None:
        """Know this message when its receipt comes, or has come already."""
        if not message_id:
            return
        early = await self._messages.remember(sent.provider, message_id, orjson.dumps(sent).decode())
        if early:
            await self.take(sent.provider, [Receipt(**orjson.loads(early))])


def _objection(route: Route, secret: str, address: str) -> str:
    ours = route.receipt_secret.encode()
    if not ours:
        return "no secret set"
    if not hmac.compare_digest(ours, secret.encode()):
        return "secret"
    known = not route.receipt_from or any(ipaddress.ip_address(address) in each for each in route.receipt_from)
    return "" if known else "address"

"""A request for an SMS, judged and put on its way: providers, captcha, number, limits, outbox, queue, in this
order."""

from typing import Any

from server.caller import Caller
from server.errors import StoreUnavailable
from server.logs import get_log
from server.services.budget import BudgetService
from server.services.captcha import Answer, CaptchaService
from server.services.codes import CodeService, Send
from server.services.conversion import ConversionService
from server.services.countdowns import CountdownService
from server.services.delivery import DeliveryService
from server.services.limits import Charge, LimitService
from server.services.mobiles import MobileService
from server.services.outbox import OutboxService

_log = get_log(__name__)


class SendService:
    """Answers before the provider does; the page is told the rest."""

    def __init__(
        self,
        *,
        captcha: CaptchaService,
        mobiles: MobileService,
        codes: CodeService,
        limits: LimitService,
        budget: BudgetService,
        conversion: ConversionService,
        outbox: OutboxService,
        delivery: DeliveryService,
        countdowns: CountdownService,
    ) -> None:
        self._captcha = captcha
        self._mobiles = mobiles
        self._codes = codes
        self._limits = limits
        self._budget = budget
        self._conversion = conversion
        self._outbox = outbox
        self._delivery = delivery
        self._countdowns = countdowns

    async def send(
        self,
        *,
        mobile: str,
        purpose: str,
        caller: Caller,
        captcha: Answer | None = None,
        transaction: str | None = None,
    ) -> dict[str, Any]:
        """Accept one SMS and answer its state; from then on it is not lost. AppError says why not."""
        send = self._codes.plan(mobile, transaction)
        await self._delivery.admit(send)
        try:
            send = await self._accept(send, purpose, caller, captcha)
        except BaseException:
            await self._delivery.withdraw(send)
            raise
        # From here on the SMS is on its way, so the answer says so whatever else happens.
        if caller.watcher is None:
            return send.state
        return await self._countdowns.watch(caller.watcher, send.transaction, known=send.state)

    async def _accept(self, send: Send, purpose: str, caller: Caller, captcha: Answer | None) -> Send:
        dearer = await self._captcha.spend(captcha, purpose, device=caller.device)
        await self._budget.require_dearer(dearer, purpose)
        await self._mobiles.require_free(send.mobile)
        send = await self._codes.issue(send, purpose, locale=caller.locale)
        charges: list[Charge] = []
        try:
            # The number was judged with the code; address and service follow.
            charges.append(await self._limits.charge_address("sms.send", caller.address, captcha_passed=dearer))
            charges.append(await self._budget.charge_minute(send.state["server_now"]))
            await self._conversion.admit(send, address=caller.address, dearer=dearer)
            await self._outbox.reserve(send)
            await self._delivery.queue(send)
        except BaseException:
            await self._take_back(send, charges)
            raise
        return send

    async def _take_back(self, send: Send, charges: list[Charge]) -> None:
        """No SMS was promised, so it costs nothing. A job that reached the queue after all is dropped there: its
        transaction no longer knows it."""
        await self._outbox.take_back(send)
        await self._codes.undo(send)
        await self._conversion.withdraw(send)
        try:
            for charge in charges:
                await self._limits.refund(charge)
        except StoreUnavailable as fault:
            _log.warning("send.not_refunded", why=str(fault))

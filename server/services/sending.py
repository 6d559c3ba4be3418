"""A request for an SMS, judged and put on its way: captcha, number, limits, code, queue - in this order."""

from typing import Any

from server.caller import Caller
from server.services.captcha import CaptchaService
from server.services.codes import CodeService
from server.services.countdowns import CountdownService
from server.services.delivery import DeliveryService
from server.services.limits import LimitService
from server.services.mobiles import MobileService


class SendService:
    """Answers before the provider does; the page is told the rest."""

    def __init__(
        self,
        *,
        captcha: CaptchaService,
        mobiles: MobileService,
        codes: CodeService,
        limits: LimitService,
        delivery: DeliveryService,
        countdowns: CountdownService,
    ) -> None:
        self._captcha = captcha
        self._mobiles = mobiles
        self._codes = codes
        self._limits = limits
        self._delivery = delivery
        self._countdowns = countdowns

    async def send(
        self,
        *,
        mobile: str,
        purpose: str,
        caller: Caller,
        captcha: str | None = None,
        transaction: str | None = None,
    ) -> dict[str, Any]:
        """Accept one SMS and answer its state; from then on it is not lost. AppError says why not."""
        dearer = await self._captcha.spend(captcha, purpose, device=caller.device)
        await self._mobiles.require_free(mobile)
        send = await self._codes.issue(mobile, purpose, transaction, locale=caller.locale)
        try:
            await self._charge(caller, dearer)
            await self._delivery.queue(send)
        except BaseException:
            # Whatever it was, no SMS was promised: the number gets its interval back. A job that reached the queue
            # after all is dropped there, since the transaction no longer knows it.
            await self._codes.undo(send)
            raise
        if caller.watcher is not None:
            return await self._countdowns.watch(caller.watcher, send.transaction)
        return await self._codes.require_state(send.transaction)

    async def _charge(self, caller: Caller, dearer: bool) -> None:
        """The number was judged with the code; address and service follow."""
        await self._limits.charge_address("sms.send", caller.address, captcha_passed=dearer)
        try:
            await self._limits.charge_service()
        except BaseException:
            await self._limits.refund_address("sms.send", caller.address)
            raise

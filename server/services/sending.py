"""A request for an SMS, judged and put on its way: captcha, number, limits, code, queue - in this order."""

from typing import Any

from server.caller import Caller
from server.services.captcha import CaptchaService
from server.services.codes import CodeService, Send
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
        await self._charge(send, caller, dearer)
        await self._delivery.queue(send)
        if caller.watcher is not None:
            return await self._countdowns.watch(caller.watcher, send.transaction)
        return await self._codes.require_state(send.transaction)

    async def _charge(self, send: Send, caller: Caller, dearer: bool) -> None:
        """The number was judged with the code; address and service follow, and take it back if they refuse."""
        try:
            await self._limits.charge_address("sms.send", caller.address, captcha_passed=dearer)
            try:
                await self._limits.charge_service()
            except BaseException:
                await self._limits.refund_address("sms.send", caller.address)
                raise
        except BaseException:
            await self._codes.undo(send)
            raise

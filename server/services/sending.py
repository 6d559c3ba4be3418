"""A request for an SMS, judged and put on its way: login, providers, captcha, number, limits, outbox, queue, in
this order."""

import asyncio
from typing import Any

from server.caller import Caller, Identity
from server.errors import AppError, StoreUnavailable
from server.logs import get_log
from server.services.budget import BudgetService
from server.services.captcha import Answer, CaptchaService
from server.services.codes import CodeService, Send
from server.services.conversion import ConversionService
from server.services.countdowns import CountdownService
from server.services.delivery import DeliveryService
from server.services.guard import SessionGuard
from server.services.limits import Charge, LimitService
from server.services.mobiles import MobileService
from server.services.outbox import OutboxService
from server.stores.users import UserStore

_log = get_log(__name__)
# Whether such a number has an account is told to nobody: all look the same, and the courier drops what is for nobody.
SILENT = {"login", "reset", "claim"}
_FREE = {"register", "change-new"}
_SIGNED_IN = {"change-old", "change-new"}


class SendService:
    """Answers before the provider does; the page is told the rest."""

    def __init__(
        self,
        *,
        guard: SessionGuard,
        users: UserStore,
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
        self._guard = guard
        self._users = users
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
        if purpose in _SIGNED_IN:
            await self._guard.require(caller.session, reading=False)
        send = self._codes.plan(mobile, transaction)
        await self._delivery.admit(send)
        try:
            send = await self._accept(send, purpose, caller, captcha)
        except BaseException:
            self._countdowns.unlisten(send.transaction)
            await self._delivery.withdraw(send)
            raise
        # From here on the SMS is on its way, so the answer says so whatever else happens.
        if caller.watcher is None:
            return send.state_now()
        return await self._countdowns.watch(caller.watcher, send.transaction, known=send.state_now)

    async def _accept(self, send: Send, purpose: str, caller: Caller, captcha: Answer | None) -> Send:
        dearer = await self._captcha.spend(captcha, purpose, device=caller.device)
        await self._budget.require_dearer(dearer, purpose)
        if purpose in _FREE and self._mobiles.tells:
            await self._limits.charge_question(caller, send.mobile, captcha_passed=True, purpose=purpose)
            await self._mobiles.require_free(send.mobile)
        if purpose == "change-old":
            await self._require_own(caller.session, send.mobile)
        send = await self._codes.issue(send, purpose, locale=caller.locale, silent=self._is_silent(purpose))
        charges: list[Charge] = []
        try:
            # The number was judged with the code; who asks, the number's block and the service follow.
            async for charge in self._limits.send_charges(
                caller, send.mobile, captcha_passed=dearer, purpose=purpose
            ):
                charges.append(charge)
            charges.append(await self._budget.charge_minute(send.state["server_now"]))
            await self._conversion.admit(
                send, address=caller.address, dearer=dearer, noted=not self._is_silent(purpose)
            )
            await asyncio.gather(self._outbox.reserve(send), self._listen(send, caller))
            await self._delivery.queue(send)
        except BaseException:
            await self._take_back(send, charges)
            raise
        return send

    async def _listen(self, send: Send, caller: Caller) -> None:
        """To all that becomes of a new one, if a page waits for it. Of an older one there may be more to know."""
        if caller.watcher is not None and not send.resend:
            await self._countdowns.listen(send.transaction)

    def _is_silent(self, purpose: str) -> bool:
        return purpose in SILENT or (purpose in _FREE and not self._mobiles.tells)

    async def _require_own(self, who: Identity | None, mobile: str) -> None:
        user = await self._users.get(_id=who.user) if who else None
        if user is None or user["mobile"] != mobile:
            raise AppError("validation_failed", fields={"mobile": ["field.not_own"]})

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

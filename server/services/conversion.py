"""The breaker on conversion: numbers that are sent codes and never use them are somebody's business, not ours."""

import asyncio
from typing import Any

from server.clock import Clock
from server.errors import AppError, StoreUnavailable, wait_s
from server.logs import get_log
from server.metrics import Metrics
from server.services.codes import Send
from server.services.limits import BLOCK_DIGITS, LimitService
from server.stores.conversion import Conversion, ConversionStore
from server.tags import Tag, Tagger

_log = get_log(__name__)
_WORST = ("open", "captcha", "stopped")
SUSPECTED_S = 600.0


class ConversionService:
    """Two groups are judged: the block of the number (its first seven digits) and all numbers together."""

    def __init__(
        self,
        *,
        store: ConversionStore,
        limits: LimitService,
        tagger: Tagger,
        metrics: Metrics,
        enforce: bool,
        captcha: bool,
        clock: Clock,
    ) -> None:
        self._store = store
        self._limits = limits
        self._tagger = tagger
        self._metrics = metrics
        self._mode = "enforce" if enforce else "observe"
        self._captcha = captcha
        self._clock = clock
        self._suspected_at = -SUSPECTED_S

    async def admit(self, send: Send, *, address: str, dearer: bool, noted: bool = True) -> None:
        """Judge a send, and let it count if it is to be `noted`. AppError `captcha_required` or `sms_limit` if too
        few of the last ones were verified; then it is to be withdrawn, as one group may have noted it."""
        groups = self._groups(send.mobile)
        dearer = dearer and self._captcha  # Without a captcha there is none that could open a closed group.
        name = send.transaction if noted else ""
        steps = (self._store.admit(tag, name, mode=self._mode, dearer=dearer) for tag in groups.values())
        judged = dict(zip(groups, await asyncio.gather(*steps), strict=True))
        for scope, found in judged.items():
            self._tell(scope, found)
        if self._mode == "enforce" and not all(found.noted for found in judged.values()):
            await self._refuse(send, judged, address)

    async def _refuse(self, send: Send, judged: dict[str, Conversion], address: str) -> None:
        scope, worst = max(judged.items(), key=lambda item: (_WORST.index(item[1].state), item[1].wait_ms))
        self._metrics.refusals.labels("sms.send", f"{scope}_{worst.state}").inc()
        if worst.state == "stopped":
            raise AppError("sms_limit", retry_after=wait_s(worst.wait_ms))
        await self._limits.ask_dearer("sms.send", address)
        raise AppError("captcha_required", purpose=send.state["purpose"])

    async def withdraw(self, send: Send) -> None:
        """Forget a send that came to nothing, unless its transaction had an SMS before."""
        if send.resend:  # Else a resend that is sure to be refused would clear away what was never verified.
            return
        try:
            for tag in self._groups(send.mobile).values():
                await self._store.withdraw(tag, send.transaction)
        except StoreUnavailable as fault:
            _log.warning("send.not_withdrawn", why=str(fault))

    async def verified(self, mobile: str, transaction: str) -> None:
        """The code of a send was used. Where Redis cannot hear it, one send looks worse than it was."""
        try:
            for tag in self._groups(mobile).values():
                await self._store.verify(tag, transaction)
        except StoreUnavailable as fault:
            _log.warning("send.not_verified", why=str(fault))

    async def describe(self, mobile: str) -> dict[str, dict[str, Any]]:
        """How the block of a number and all numbers stand: `{scope: {state, judged, verified, retry_after}}`."""
        return {scope: await self._describe(scope, tag) for scope, tag in self._groups(mobile).items()}

    async def _describe(self, scope: str, tag: Tag) -> dict[str, Any]:
        found = await self._store.admit(tag, "", mode="peek", dearer=False)
        self._tell(scope, found)
        waits = {"retry_after": wait_s(found.wait_ms)} if found.state == "stopped" else {}
        return {"state": found.state, "judged": found.judged, "verified": found.verified} | waits

    def _groups(self, mobile: str) -> dict[str, Tag]:
        return {"block": self._tagger.tag(f"block:{mobile[:BLOCK_DIGITS]}"), "total": self._tagger.tag("block:all")}

    def suspects(self) -> bool:
        """Whether a group that this process judged lately had too few verified SMS."""
        return self._clock.monotonic() - self._suspected_at < SUSPECTED_S

    def _tell(self, scope: str, found: Conversion) -> None:
        if found.state != "open":
            self._suspected_at = self._clock.monotonic()
        if scope == "total" and found.judged:
            self._metrics.verified.set(found.verified / found.judged)
        if found.news:
            self._metrics.breaker.labels(scope, found.state).inc()
            _log.warning("sms.breaker", scope=scope, state=found.state, judged=found.judged, verified=found.verified)

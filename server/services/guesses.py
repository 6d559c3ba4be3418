"""Wrong codes: of one address, and of all together. Those of one number are counted with its codes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.caller import Caller
from server.clock import Clock
from server.errors import AppError
from server.logs import get_log
from server.metrics import Metrics
from server.services.limits import LimitService
from server.stores.guesses import GuessStore

_log = get_log(__name__)
_KNOWN_FOR_S = 5


class GuessService:
    """While many codes are wrong anywhere, somebody tries one code on many numbers; then each costs a captcha."""

    def __init__(
        self,
        *,
        store: GuessStore,
        limits: LimitService,
        metrics: Metrics,
        clock: Clock,
        enforce: bool,
        captcha: bool,
    ) -> None:
        self._store = store
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._refuses = enforce and captcha
        self._many = False
        self._looked_at = -float(_KNOWN_FOR_S)

    @asynccontextmanager
    async def trying(self, caller: Caller, purpose: str, *, captcha_passed: bool) -> AsyncIterator[None]:
        """Stands around the use of a code; its AppError `sms_code_invalid` is counted. AppError `captcha_required` or
        `rate_limited`."""
        await self._limits.require_few_wrong_codes(caller.address, captcha_passed=captcha_passed, purpose=purpose)
        if await self._are_many() and not captcha_passed:
            self._metrics.refusals.labels("code.wrong", "service_hour").inc()
            if self._refuses:
                raise AppError("captcha_required", purpose=purpose)
        try:
            yield
        except AppError as fault:
            if fault.code == "sms_code_invalid":
                await self._limits.note_wrong_code(caller.address)
                await self._look(more=True)
            raise

    async def _are_many(self) -> bool:
        if self._clock.monotonic() - self._looked_at >= _KNOWN_FOR_S:
            await self._look(more=False)
        return self._many

    async def _look(self, *, more: bool) -> None:
        found, allowed = await self._store.count(int(self._clock.now() // 3600), more=more)
        many = found > allowed
        if many != self._many:
            _log.warning("codes.guessed" if many else "codes.guessed_no_more", wrong=found, allowed=allowed)
        self._many, self._looked_at = many, self._clock.monotonic()

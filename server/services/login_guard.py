"""Wrong passwords: the more there were in a row, the longer the next one waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.caller import Caller
from server.errors import AppError, wait_s
from server.limit_rules import LimitRules
from server.metrics import Metrics
from server.services.limits import LimitService
from server.stores.login_guard import LoginGuardStore
from server.tags import Tagger


class LoginGuard:
    """Counts by account, and by the address that tries many. An unknown account is counted like a known one, under
    what was typed; a known one under its id, as it has two names. Tries that are already being decided when the wait
    begins are bounded by the queue of the hashing pool."""

    def __init__(
        self,
        *,
        store: LoginGuardStore,
        rules: LimitRules,
        limits: LimitService,
        tagger: Tagger,
        metrics: Metrics,
        enforce: bool,
        captcha: bool,
    ) -> None:
        self._store = store
        self._rules = rules
        self._limits = limits
        self._tagger = tagger
        self._metrics = metrics
        self._enforce = enforce
        self._captcha = captcha

    @asynccontextmanager
    async def trying(self, account: str, caller: Caller, *, captcha_passed: bool) -> AsyncIterator[None]:
        """Stands around the comparison of a password; its AppError `credentials_invalid` is counted, and a success
        forgets what was wrong before.

        AppError `rate_limited` with the wait, `captcha_required`, or `method_stopped` after too many in a row.
        """
        await self._admit(account, caller, captcha_passed)
        try:
            yield
        except AppError as fault:
            if fault.code == "credentials_invalid":
                await self._store.wrong(self._tagger.tag(f"account:{account}"))
                await self._limits.charge_wrong_account(caller.address, account)
            raise
        await self.forgive(account)

    async def forgive(self, account: str) -> None:
        """Its holder came in, by this or another way."""
        await self._store.right(self._tagger.tag(f"account:{account}"))

    async def _admit(self, account: str, caller: Caller, captcha_passed: bool) -> None:
        await self._limits.require_few_wrong_accounts(caller.address, account, captcha_passed=captcha_passed)
        wrong, wait_ms = await self._store.look(self._tagger.tag(f"account:{account}"))
        if wrong >= self._rules.login_wrong_ever:
            self._refuse("account_stopped", AppError("method_stopped"), always=True)
        if wait_ms > 0:
            self._refuse("account_wait", AppError("rate_limited", retry_after=wait_s(wait_ms)))
        if wrong >= self._rules.login_captcha_from and self._captcha and not captcha_passed:
            self._refuse("account_soft", AppError("captcha_required", purpose="login"))

    def _refuse(self, dimension: str, refusal: AppError, *, always: bool = False) -> None:
        self._metrics.refusals.labels("session.login", dimension).inc()
        if self._enforce or always:
            raise refusal

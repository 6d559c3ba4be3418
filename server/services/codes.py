"""SMS codes: issue, verify, describe. The countdown's truth is `get_state()`."""

import asyncio
import hmac
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from server.errors import AppError, StoreUnavailable, wait_s
from server.events import EventBus, topics
from server.fixed_codes import FixedCodes
from server.keys import KeyRing
from server.logs import get_log, mask
from server.metrics import Metrics
from server.services.otp import code_of
from server.stores.codes import CodeRecord, CodeRules, CodeStore, transaction_of
from server.tags import Tagger

_log = get_log(__name__)
_REFUSALS = {"too_soon": "sms_too_soon", "limit": "sms_limit"}


@dataclass(frozen=True, slots=True)
class Send:
    """A send: `owner` names it, and is the id of its job; `name` is its number as stores know it. Once it is
    accepted, `state` is what the page may know of it, and `accepted_at` when that was by the loop's clock."""

    transaction: str
    mobile: str
    name: str
    owner: str
    nonce: str
    resend: bool
    previous: tuple[str, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    accepted_at: float = 0

    def state_now(self) -> dict[str, Any]:
        """`state` as it would be read now: all that has changed since is the time."""
        since_s = asyncio.get_running_loop().time() - self.accepted_at
        return _at(self.state, math.floor((self.state["server_now"] + since_s) * 1000) / 1000)


class CodeService:
    """Who has been promised which code, and until when it is good."""

    def __init__(
        self,
        *,
        store: CodeStore,
        rules: CodeRules,
        ring: KeyRing,
        fixed: FixedCodes,
        tagger: Tagger,
        events: EventBus,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._rules = rules
        self._ring = ring
        self._fixed = fixed
        self._tagger = tagger
        self._events = events
        self._metrics = metrics
        self._used_listeners: list[Callable[[str, str], Awaitable[None]]] = []

    def on_used(self, listener: Callable[[str, str], Awaitable[None]]) -> None:
        """Call `listener(mobile, transaction)` for each code that was used; it must not fail."""
        self._used_listeners.append(listener)

    def plan(self, mobile: str, transaction: str | None) -> Send:
        """A send that nobody has accepted yet."""
        tag = self._tagger.tag(mobile)
        drawn = secrets.token_urlsafe(45)  # 60 letters, each six random bits; in one call, as each costs
        owner, nonce = drawn[22:38], drawn[38:]
        resend = transaction is not None
        return Send(transaction or transaction_of(tag, drawn[:22]), mobile, tag.name, owner, nonce, resend)

    async def issue(self, send: Send, purpose: str, *, locale: str, silent: bool = False) -> Send:
        """Accept a planned send; AppError says how long to wait if it must not go out now. Of a `silent` one the page
        learns no step: it looks the same whether or not an SMS leaves."""
        key_id, _ = self._ring.newest
        try:
            issued = await self._store.issue(
                send.transaction,
                self._tagger.tag(send.mobile),
                masked=mask(send.mobile),
                purpose=purpose,
                nonce=send.nonce,
                key_id=key_id,
                owner=send.owner,
                resend=send.resend,
                locale=locale,
                silent=silent,
            )
        except StoreUnavailable:
            await self.undo(send)  # It may have been accepted, and only the answer got lost.
            raise
        refused = issued.verdict if issued.verdict in (*_REFUSALS, "stopped") else issued.would_refuse
        if refused:
            self._metrics.refusals.labels("sms.send", f"mobile_{refused}").inc()
        if issued.verdict == "stopped":
            raise AppError("method_stopped")
        if issued.verdict == "unknown":
            raise AppError("transaction_unknown")
        if issued.verdict in _REFUSALS:
            raise AppError(_REFUSALS[issued.verdict], retry_after=wait_s(issued.wait_ms))
        assert issued.record is not None
        state, accepted_at = self._describe(issued.record), asyncio.get_running_loop().time()
        await self._index(send)
        return replace(send, previous=issued.previous, state=state, accepted_at=accepted_at)

    async def _index(self, send: Send) -> None:
        """For operators, who see numbers masked; where it cannot be done they find the SMS by its number only."""
        try:
            await self._store.index_masked(mask(send.mobile), send.transaction)
        except StoreUnavailable as fault:
            _log.info("send.not_indexed", why=str(fault))

    async def undo(self, send: Send) -> None:
        """Take back an accepted send that came to nothing. Where Redis cannot hear it, the interval passes."""
        tag = self._tagger.tag(send.mobile)
        try:
            await self._store.undo(send.transaction, tag, send.owner, resend=send.resend, previous=send.previous)
        except StoreUnavailable as fault:
            _log.warning("send.not_undone", why=str(fault))

    async def forgive(self, mobile: str) -> None:
        """Its holder came in by another way, so wrong codes in a row count from 0 again."""
        for purpose in ("login", "reset", "claim"):
            await self._store.forgive(self._tagger.tag(mobile), purpose)

    @asynccontextmanager
    async def used(self, mobile: str, purpose: str, transaction: str, sms_code: str) -> AsyncIterator[None]:
        """Hold a right code while the body does what it is for; a body that raises gives the code back.

        AppError `sms_code_invalid` for a code that is wrong, expired, void, used, or for something else.
        """
        hold = await self._hold(mobile, purpose, transaction, sms_code)
        try:
            yield
        except BaseException:
            await self._settle(self._store.give_back(transaction, hold))
            raise
        since_s = await self._settle(self._store.finish(transaction, self._tagger.tag(mobile), purpose, hold))
        if since_s is not None:
            self._metrics.steps.labels("verified").observe(since_s)
        for listener in self._used_listeners:
            await listener(mobile, transaction)
        await self._events.publish(topics.sms(transaction))

    async def _settle(self, step: Awaitable[float | None]) -> float | None:
        """Let go of a hold. If Redis cannot hear it the hold lapses by itself, and an account that was made
        refuses, by its unique index, a second one from the same transaction."""
        try:
            return await step
        except StoreUnavailable as fault:
            _log.warning("code.hold_left_to_lapse", why=str(fault))
            return None

    async def _hold(self, mobile: str, purpose: str, transaction: str, sms_code: str) -> str:
        tag = self._tagger.tag(mobile)
        hold = secrets.token_urlsafe(12)
        verdict = "stale"
        while verdict == "stale":
            record = await self._store.get_record(transaction)
            if record is None or record.fields["mobile_name"] != tag.name or record.fields["purpose"] != purpose:
                raise AppError("sms_code_invalid")
            right = code_of(self._ring, self._fixed, record, mobile) or ""
            verdict = await self._store.hold(
                transaction,
                tag,
                purpose,
                generation=record.generation,
                right=hmac.compare_digest(right.encode(), sms_code.encode()),
                hold=hold,
            )
        if verdict == "held":
            return hold
        if verdict == "counted":
            await self._events.publish(topics.sms(transaction))
        raise AppError("sms_code_invalid")

    async def get_state(self, transaction: str) -> dict[str, Any] | None:
        """What the page may know of its SMS (docs/realtime.md); None if there is nothing to know."""
        record = await self._store.get_record(transaction)
        return self._describe(record) if record else None

    async def get_states(self, transactions: Sequence[str]) -> list[dict[str, Any] | StoreUnavailable | None]:
        """As `get_state`, of many that are or were known."""
        records = await self._store.get_records(transactions)
        return [self._describe(one) if isinstance(one, CodeRecord) else one for one in records]

    async def require_state(self, transaction: str) -> dict[str, Any]:
        """As `get_state`; AppError `transaction_unknown` instead of None."""
        state = await self.get_state(transaction)
        if state is None:
            raise AppError("transaction_unknown")
        return state

    @staticmethod
    def advance(state: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
        """The state after the next step of its SMS, as move_sms.lua tells of it. No step moves the next send."""
        moved = {
            "seq": step["seq"],
            "status": step["status"],
            "attempt": step["attempt"],
            "reason": {"code": step["reason"]} if step["reason"] else None,
        }
        # By our estimate it may be a moment later already; a newer state never looks older.
        return _at(state | moved, max(step["now_ms"] / 1000, state["server_now"]))

    def _describe(self, record: CodeRecord) -> dict[str, Any]:
        has = record.fields
        if has.get("silent") == "1":
            has = has | {"status": "queued", "attempt": "0", "reason": ""}
        return {
            "transaction": record.transaction,
            "seq": int(has["seq"]),
            "mobile": has["mobile"],
            "purpose": has["purpose"],
            "status": has["status"],
            "attempt": int(has["attempt"]),
            "reason": {"code": has["reason"]} if has["reason"] else None,
            "can_resend": record.now >= record.next_send,
            "server_now": record.now,
            "resend_at": record.next_send or record.now,
            "expires_at": record.expires,
            "attempts_left": max(0, self._rules.limits.code_attempts - int(has["attempts"])),
        }


def _at(state: dict[str, Any], now: float) -> dict[str, Any]:
    return state | {"server_now": now, "can_resend": now >= state["resend_at"]}

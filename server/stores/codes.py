"""Key family `sms:`: transactions of SMS codes and the interval between sends. No code is ever in here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from server.errors import StoreUnavailable
from server.limit_rules import LimitRules
from server.stores.redis import Redis
from server.tags import Tag

_MASKED_MAX = 20
_TRANSACTION = re.compile(r"([0-9a-f]{8})\.[A-Za-z0-9_-]{22}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CodeRules:
    """Numbers of the code's life, as the operator set them."""

    interval_s: int = 60
    expire_s: int = 300
    limits: LimitRules = field(default_factory=LimitRules)
    hold_s: int = 20
    enforce: bool = True

    @property
    def same_code_s(self) -> float:
        """A resend repeats the code while it has this long to live (OTP-10 in docs/security.md)."""
        return min(120, self.expire_s * 2 / 5)

    @property
    def too_late_s(self) -> float:
        """An SMS whose code has less than this left is not sent (OTP-12 in docs/security.md)."""
        return min(60, self.expire_s / 5)


@dataclass(frozen=True, slots=True)
class Issued:
    """Outcome of an attempt to issue; `verdict` is ok, unknown, too_soon, limit or stopped."""

    verdict: str
    wait_ms: int
    previous: tuple[str, ...] = ()
    would_refuse: str = ""
    record: "CodeRecord | None" = None


@dataclass(frozen=True, slots=True)
class CodeRecord:
    """A transaction as it stands; times in Unix seconds."""

    transaction: str
    now: float
    next_send: float
    fields: dict[str, str]

    @property
    def generation(self) -> int:
        return int(self.fields["generation"])

    @property
    def expires(self) -> float:
        return int(self.fields["expires"]) / 1000


@dataclass(frozen=True, slots=True)
class TracePart:
    """One thing that became of a transaction: `at` in Unix seconds, `about` what more there is to say."""

    at: float
    what: str
    about: str


Held = Literal["held", "refused", "counted", "stale"]


def transaction_of(tag: Tag, drawn: str) -> str:
    """The id of a new one: its first part names the Cluster slot, the rest are the 22 random letters `drawn`."""
    return f"{tag.slot}.{drawn}"


def _slot(transaction: str) -> str | None:
    match = _TRANSACTION.fullmatch(transaction)
    return match[1] if match else None


def _masked_key(masked: str) -> str:
    return f"sms:masked:{{{masked}}}"


def _seconds(ms: int) -> float | None:
    return None if ms < 0 else ms / 1000


def _record(transaction: str, now_ms: int, next_send_ms: int, flat: list[str]) -> CodeRecord:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return CodeRecord(transaction, now_ms / 1000, next_send_ms / 1000, fields)


class CodeStore:
    """Each method is one atomic step."""

    def __init__(self, redis: Redis, rules: CodeRules) -> None:
        self._redis = redis
        self._rules = rules

    async def issue(
        self,
        transaction: str,
        tag: Tag,
        *,
        masked: str,
        purpose: str,
        nonce: str,
        key_id: str,
        owner: str,
        resend: bool,
        locale: str,
        silent: bool,
    ) -> Issued:
        """Accept or refuse one send (issue_code.lua)."""
        if _slot(transaction) != tag.slot:
            return Issued("unknown", 0)
        rules = self._rules
        answer: list[Any] = await self._redis.run(
            "issue_code",
            [*self._keys(transaction, tag.name), *self._wrong(tag, purpose), *self._traces(transaction, tag.name)],
            "enforce" if rules.enforce else "observe",
            tag.name,
            masked,
            purpose,
            nonce,
            key_id,
            owner,
            rules.interval_s * 1000,
            rules.expire_s * 1000,
            int(rules.same_code_s * 1000),
            rules.limits.code_attempts,
            rules.limits.sms_mobile_hour,
            rules.limits.sms_mobile_day,
            int(resend),
            locale,
            int(silent),
            *self._wrong_caps,
            durable=True,
        )
        if answer[0] == "ok":
            record = _record(transaction, answer[1], answer[4], answer[5])
            return Issued("ok", 0, tuple(answer[2]), answer[3], record)
        return Issued(answer[0], answer[2] if len(answer) > 2 else 0)

    async def undo(self, transaction: str, tag: Tag, owner: str, *, resend: bool, previous: tuple[str, ...]) -> None:
        """Take an accepted send back as if it had not been asked for."""
        kind = "resend" if resend else "new"
        keys = [*self._keys(transaction, tag.name), self._trace(transaction)]
        await self._redis.run("undo_issue", keys, owner, kind, *previous)

    async def get_record(self, transaction: str) -> CodeRecord | None:
        """The transaction, or None if it is unknown or over."""
        if _slot(transaction) is None:
            return None
        (found,) = await self.get_records([transaction])
        if isinstance(found, StoreUnavailable):
            raise found
        return found

    async def get_records(self, transactions: Sequence[str]) -> list[CodeRecord | StoreUnavailable | None]:
        """The same of many whose ids are well formed, read together."""
        limits = self._rules.limits
        rows = [([*self._keys(one, ""), f"limit:{{{_slot(one)}}}:wrong:"], None) for one in transactions]
        caps = (limits.sms_mobile_hour, limits.sms_mobile_day, *self._wrong_caps[:2])
        found = await self._redis.run_rows("describe_codes", rows, *caps)
        return [
            answer if isinstance(answer, StoreUnavailable) else _record(transaction, *answer) if answer[2] else None
            for transaction, answer in zip(transactions, found, strict=True)
        ]

    async def hold(
        self, transaction: str, tag: Tag, purpose: str, *, generation: int, right: bool, hold: str
    ) -> Held:
        """Count one try; a right one is held under `hold` (hold_code.lua)."""
        rules = self._rules
        verdict: Held = await self._redis.run(
            "hold_code",
            [self._key(transaction), *self._wrong(tag, purpose), self._trace(transaction)],
            tag.name,
            purpose,
            generation,
            int(right),
            rules.limits.code_attempts,
            hold,
            rules.hold_s * 1000,
            *self._wrong_caps,
            durable=True,
        )
        return verdict

    async def finish(self, transaction: str, tag: Tag, purpose: str, hold: str) -> float | None:
        """End a transaction whose code was used; wrong codes of its number and purpose are forgotten. The seconds
        since its SMS was queued, or None if `hold` was no more the one."""
        keys = [self._key(transaction), *self._wrong(tag, purpose), self._trace(transaction)]
        return _seconds(await self._redis.run("finish_code", keys, hold, durable=True))

    async def forgive(self, tag: Tag, purpose: str) -> None:
        """Let a number use codes for this purpose again, however many wrong ones there were in a row."""
        await self._redis.call("DEL", self._wrong(tag, purpose)[1])

    async def give_back(self, transaction: str, hold: str) -> bool:
        """Make a held code good again."""
        return bool(await self._redis.run("give_back_code", [self._key(transaction)], hold))

    async def move(
        self,
        transaction: str,
        name: str,
        owner: str,
        status: str,
        *,
        attempt: int,
        reason: str,
        provider: str,
        topic: str,
        only_accepted: bool,
    ) -> float | None:
        """Record a step of the SMS and tell `topic` (move_sms.lua). The seconds since it was queued, or None if the
        step came too late to matter."""
        keys = [*self._keys(transaction, name)[:2], self._trace(transaction)]
        told = (owner, status, attempt, reason, provider, topic, int(only_accepted))
        return _seconds(await self._redis.run("move_sms", keys, *told))

    async def reopen(self, transaction: str, name: str, owner: str, *, topic: str) -> bool:
        """Let an SMS that failed be sent after all (reopen_sms.lua); False if it is too late for it."""
        keys = [*self._keys(transaction, name)[:2], self._trace(transaction)]
        least_ms, interval_ms = int(self._rules.too_late_s * 1000), self._rules.interval_s * 1000
        rest = (owner, least_ms, interval_ms, topic, self._rules.limits.code_attempts)
        return bool(await self._redis.run("reopen_sms", keys, *rest, durable=True))

    async def trace(self, transaction: str) -> list[TracePart]:
        """What became of a transaction, the oldest first, for a day; empty if it is unknown."""
        if _slot(transaction) is None:
            return []
        parts = [entry.split("|", 2) for entry in await self._redis.call("LRANGE", self._trace(transaction), 0, -1)]
        return [TracePart(int(at) / 1000, what, about) for at, what, about in parts]

    async def index_masked(self, masked: str, transaction: str) -> None:
        """Let a transaction be found by what operators see of its number (index_masked.lua)."""
        await self._redis.run("index_masked", [_masked_key(masked)], transaction, _MASKED_MAX)

    async def masked(self, masked: str) -> list[str]:
        """The transactions within a day of all numbers that look so when masked, the newest first."""
        return list(await self._redis.call("ZREVRANGE", _masked_key(masked), 0, -1))

    async def traced(self, tag: Tag) -> list[str]:
        """The transactions of a number within a day, the newest first."""
        key = f"sms:{{{tag.slot}}}:traces:{tag.name}"
        return list(await self._redis.call("ZREVRANGE", key, 0, -1))

    @property
    def _wrong_caps(self) -> tuple[int, int, int]:
        limits = self._rules.limits
        return limits.code_wrong_hour, limits.code_wrong_day, limits.code_wrong_ever

    def _wrong(self, tag: Tag, purpose: str) -> list[str]:
        group = f"{{{tag.slot}}}"
        return [f"limit:{group}:wrong:{tag.name}:{purpose}", f"limit:{group}:wrongs:{tag.name}:{purpose}"]

    def _trace(self, transaction: str) -> str:
        return f"sms:{{{_slot(transaction)}}}:trace:{transaction}"

    def _traces(self, transaction: str, name: str) -> list[str]:
        return [self._trace(transaction), f"sms:{{{_slot(transaction)}}}:traces:{name}"]

    def _key(self, transaction: str) -> str:
        return f"sms:{{{_slot(transaction)}}}:tx:{transaction}"

    def _keys(self, transaction: str, name: str) -> list[str]:
        group = f"{{{_slot(transaction)}}}"
        return [self._key(transaction), f"sms:{group}:interval:{name}", f"limit:{group}:sends:{name}"]

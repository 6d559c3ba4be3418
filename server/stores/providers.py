"""Key families `provider:` (breaker and rate of each SMS provider, shared by all processes) and `message:` (whose
send a provider's message id belongs to)."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from server.stores.jobs import provider_key
from server.stores.redis import Redis

Outcome = Literal["ok", "bad", "neutral", "none"]
Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """Opens at `share` of the last `size` calls within `window_s`; then one probe per `pause_s` (PV-2 in
    docs/security.md)."""

    size: int = 20
    share: float = 0.5
    window_s: float = 30
    pause_s: float = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider that may be asked: `rate` in SMS per second, a tenth of a second's worth of them at once."""

    name: str
    rate: float

    @property
    def emission_us(self) -> int:
        return round(1_000_000 / self.rate)

    @property
    def tolerance_us(self) -> int:
        return max(0, round(self.rate / 10) - 1) * self.emission_us


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is asked, in how many seconds, and which try of the SMS that is; nobody: when it is worth looking again."""

    name: str | None
    wait_s: float
    attempt: int


class ProviderStore:
    """Each method is one atomic step."""

    def __init__(self, redis: Redis, rules: BreakerRules | None = None) -> None:
        self._redis = redis
        self._rules = rules or BreakerRules()

    async def choose(self, job_key: str, candidates: list[Candidate], *, longest_wait_s: float) -> Choice:
        """The first candidate with room (choose_provider.lua)."""
        keys = [job_key, *(provider_key(each.name) for each in candidates)]
        rates = [part for each in candidates for part in (each.name, each.emission_us, each.tolerance_us)]
        place, wait_ms, attempt = await self._redis.run(
            "choose_provider", keys, int(longest_wait_s * 1000), int(self._rules.pause_s * 1000), *rates, durable=True
        )
        return Choice(candidates[place - 1].name if place else None, wait_ms / 1000, attempt)

    async def note(
        self, job_key: str, name: str, outcome: Outcome, *, unknown_since: str = "", fields: Fields | None = None
    ) -> str:
        """Tell the breaker what became of a call: "opened" and "reclosed" are its changes. After a failure the job
        gets `fields`; `unknown_since`: ms or "now" (note_outcome.lua)."""
        rules = self._rules
        numbers = (int(rules.window_s * 1000), rules.size, rules.share, int(rules.pause_s * 1000))
        flat = [part for pair in (fields or {}).items() for part in pair]
        keys = [job_key, provider_key(name)]
        return str(await self._redis.run("note_outcome", keys, outcome, *numbers, unknown_since, *flat))

    async def breakers(self, names: list[str]) -> dict[str, tuple[bool, float]]:
        """For each provider: is its breaker open, and in how many seconds may it be tried."""
        found = await self._describe(names)
        return {name: (bool(is_open), wait / 1000) for name, (is_open, wait, _) in found.items()}

    async def states(self, names: list[str]) -> dict[str, str]:
        """For each provider: ok, open (its breaker is) or paused (by an operator)."""
        found = await self._describe(names)
        return {
            name: "paused" if paused else "open" if is_open else "ok" for name, (is_open, _, paused) in found.items()
        }

    async def _describe(self, names: list[str]) -> dict[str, tuple[int, int, int]]:
        found = await self._redis.run("describe_providers", [*map(provider_key, names)])
        return {name: (is_open, wait, paused) for name, (is_open, wait, paused) in zip(names, found, strict=True)}

    async def pause(self, name: str) -> None:
        """Ask it no more, in any process, until it is resumed."""
        await self._redis.call("HSET", provider_key(name), "paused", 1)

    async def resume(self, name: str) -> None:
        """Let it be asked again."""
        await self._redis.call("HDEL", provider_key(name), "paused")


class MessageStore:
    """Sends by the message ids of their providers."""

    def __init__(self, redis: Redis, *, keep_s: int = 86_400, early_s: int = 120) -> None:
        self._redis = redis
        self._keep_ms = keep_s * 1000
        self._early_ms = early_s * 1000

    async def remember(self, provider: str, message_id: str, send: str) -> str:
        """Answers the receipt that came before this could be known, or ""."""
        return str(
            await self._redis.run("remember_message", [_message_key(provider, message_id)], send, self._keep_ms)
        )

    async def take(self, provider: str, message_id: str, receipt: str, *, delivered: bool) -> str:
        """The send that a receipt is about, or "": then it is kept a moment, as it may have been too fast."""
        told = (receipt, int(delivered), self._early_ms)
        return str(await self._redis.run("take_receipt", [_message_key(provider, message_id)], *told))


def _message_key(provider: str, message_id: str) -> str:
    """What a vendor calls a message may hold anything; the key may not."""
    return f"message:{hashlib.sha256(f'{provider}:{message_id}'.encode()).hexdigest()[:32]}"

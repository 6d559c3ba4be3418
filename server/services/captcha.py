"""The captcha in front of everything that costs: who has to solve one, what it is bound to, that it counts once.

One kind is chosen in the settings. The others are the rungs below it, for a browser that cannot run the chosen one
and for a vendor that is away: no outage is ever a pass.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from server.clock import Clock
from server.errors import AppError, VendorUnavailable
from server.logs import get_log
from server.pool import BoundedPool
from server.services.captcha_kinds import Asked, Kinds
from server.stores.captcha import CaptchaStore

_log = get_log(__name__)
LIFE_S = 120
_AWAY_S = 30
_MARK_S = 3600
_PASSED = "passed"
_TOKEN = re.compile(r"pass_([0-9a-f]{32})", re.ASCII)
Answer = str | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bound:
    """What a challenge was issued for."""

    purpose: str
    device: str
    dearer: str
    expires_at: str


class CaptchaService:
    """Issues challenges and spends answers. `kinds` is None where nothing is asked."""

    def __init__(self, *, kinds: Kinds | None, store: CaptchaStore, pool: BoundedPool, clock: Clock) -> None:
        self._kinds = kinds
        self._store = store
        self._pool = pool
        self._clock = clock

    async def issue(self, purpose: str, *, device: str, dearer: bool, provider: str = "") -> dict[str, Any]:
        """A challenge for `purpose`, good for two minutes on one device; `dearer` makes it cost more to solve.

        `provider` "image" is the wish of a browser that cannot run altcha.
        """
        if self._kinds is None:
            return {"provider": "none"}
        bound = self._bind(purpose, device, dearer=dearer)
        vendor = self._kinds.vendor
        if vendor is not None and not await self._store.is_away(vendor.name):
            try:
                return await self._ask(vendor, bound)
            except VendorUnavailable as fault:
                await self._note_away(vendor, fault)
        if vendor is not None:  # What stands in for it costs more, as it is easier to script.
            bound = self._bind(purpose, device, dearer=True)
        if self._kinds.chosen == "image" or (provider == "image" and self._kinds.fallback):
            return await self._ask(self._kinds.image, bound)
        expires_at = int(bound.expires_at)
        altcha = self._kinds.altcha
        challenge = altcha.challenge(data=asdict(bound), expires_at=expires_at, dearer=bool(bound.dearer))
        return {"provider": altcha.name, "challenge": challenge, "expires_at": expires_at}

    async def picture(self, challenge_id: str, *, device: str) -> bytes:
        """The picture of an open challenge of this device; AppError `not_found`, `busy`."""
        record = await self._store.peek(challenge_id)
        if self._kinds is None or record is None or record["kind"] != "image" or self._is_over(record):
            raise AppError("not_found")
        if record["device"] != _fingerprint(device):
            raise AppError("not_found")
        image = self._kinds.image
        drawn = await self._pool.run(lambda: image.draw(challenge_id, record))
        if drawn is None:
            raise AppError("not_found")
        return drawn

    async def spend(self, answer: Answer | None, purpose: str, *, device: str) -> bool:
        """Use an answer up; True if its challenge was a dearer one.

        AppError `captcha_required` without an answer or if its vendor is away, `captcha_failed` for a wrong, late,
        foreign or used one.
        """
        if self._kinds is None:
            return True
        if not answer:
            raise AppError("captcha_required", purpose=purpose)
        found = await self._redeem(answer, purpose, device)
        if found is None or self._is_over(found) or not _is_bound(found, purpose, device):
            raise AppError("captcha_failed")
        return bool(found["dearer"])

    async def check(self, answer: Answer | None, purpose: str, *, device: str) -> dict[str, Any]:
        """Use an answer up now, for a pass that is used later; a pass buys no further one."""
        if isinstance(answer, str) and _TOKEN.fullmatch(answer):
            raise AppError("captcha_failed")
        dearer = await self.spend(answer, purpose, device=device)
        bound = self._bind(purpose, device, dearer=dearer)
        token = secrets.token_hex(16)
        await self._store.keep(token, asdict(bound) | {"kind": _PASSED}, LIFE_S)
        return {"captcha_token": f"pass_{token}", "expires_at": int(bound.expires_at)}

    async def _ask(self, kind: Asked, bound: Bound) -> dict[str, Any]:
        challenge_id = secrets.token_hex(16)
        shown, kept = await kind.begin(challenge_id, dearer=bool(bound.dearer))
        await self._store.keep(challenge_id, kept | asdict(bound) | {"kind": kind.name}, LIFE_S)
        return {"provider": kind.name, "id": challenge_id, **shown, "expires_at": int(bound.expires_at)}

    async def _redeem(self, answer: Answer, purpose: str, device: str) -> Mapping[str, str] | None:
        """What an answer was bound to, if it is right; it is used up in any case."""
        if not isinstance(answer, str):
            return await self._redeem_asked(answer, purpose, device)
        if token := _TOKEN.fullmatch(answer):
            record = await self._store.take(token[1])
            return record if record and record["kind"] == _PASSED else None
        assert self._kinds is not None
        solved = self._kinds.altcha.verify(answer)
        if solved is None or not await self._store.spend(solved.nonce, LIFE_S):
            return None
        return solved.data | {"expires_at": str(solved.expires_at)}

    async def _redeem_asked(self, answer: Mapping[str, str], purpose: str, device: str) -> dict[str, str] | None:
        record = await self._store.take(answer["id"])
        kind = self._asked(record["kind"]) if record else None
        # No vendor is asked about an answer that would not be taken anyway.
        if record is None or kind is None or self._is_over(record) or not _is_bound(record, purpose, device):
            return None
        try:
            if not await kind.passes(answer["id"], record, answer):
                return None
        except VendorUnavailable as fault:
            await self._note_away(kind, fault)
            raise AppError("captcha_required", purpose=purpose) from None
        mark = kind.mark(answer)
        return None if mark and not await self._store.spend(_digest(mark), _MARK_S) else record

    def _asked(self, name: str) -> Asked | None:
        assert self._kinds is not None
        found = (self._kinds.image, self._kinds.vendor)
        return next((kind for kind in found if kind is not None and kind.name == name), None)

    async def _note_away(self, vendor: Asked, fault: VendorUnavailable) -> None:
        _log.warning("captcha.vendor_away", vendor=vendor.name, why=str(fault))
        await self._store.note_away(vendor.name, _AWAY_S)

    def _bind(self, purpose: str, device: str, *, dearer: bool) -> Bound:
        expires_at = str(int(self._clock.now()) + LIFE_S)
        return Bound(purpose, _fingerprint(device), "1" if dearer else "", expires_at)

    def _is_over(self, record: Mapping[str, str]) -> bool:
        return int(record["expires_at"]) <= self._clock.now()


def _is_bound(record: Mapping[str, str], purpose: str, device: str) -> bool:
    return record["purpose"] == purpose and record["device"] == _fingerprint(device)


def _fingerprint(device: str) -> str:
    return _digest(device)[:16] if device else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

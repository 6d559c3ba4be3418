"""The captcha in front of everything that costs: who has to solve one, what it is bound to, that it counts once."""

import hashlib
from typing import Any, Protocol

from server.clock import Clock
from server.errors import AppError
from server.stores.captcha import CaptchaStore

LIFE_S = 120


class Captcha(Protocol):
    """One kind of captcha."""

    name: str

    def challenge(self, *, data: dict[str, str], expires_at: int, dearer: bool) -> dict[str, Any]:
        """A new challenge for the browser that carries `data`, signed."""

    def verify(self, answer: str) -> "Solved | None":
        """What a right answer was bound to; None for any other answer."""


class Solved(Protocol):
    """A right answer: `nonce` names its challenge, good until `expires_at` (Unix seconds) for what is in `data`."""

    @property
    def nonce(self) -> str: ...

    @property
    def expires_at(self) -> int: ...

    @property
    def data(self) -> dict[str, str]: ...


class CaptchaService:
    """Issues challenges and spends answers."""

    def __init__(self, *, kind: Captcha | None, store: CaptchaStore, clock: Clock) -> None:
        self._kind = kind
        self._store = store
        self._clock = clock

    def issue(self, purpose: str, *, device: str, dearer: bool) -> dict[str, Any]:
        """A challenge for `purpose`, good for two minutes on one device; `dearer` makes it cost more to solve."""
        if self._kind is None:
            return {"provider": "none"}
        expires_at = int(self._clock.now()) + LIFE_S
        data = {"purpose": purpose, "device": _fingerprint(device), "dearer": "1" if dearer else ""}
        challenge = self._kind.challenge(data=data, expires_at=expires_at, dearer=dearer)
        return {"provider": self._kind.name, "challenge": challenge, "expires_at": expires_at}

    async def spend(self, answer: str | None, purpose: str, *, device: str) -> bool:
        """Use an answer up; True if its challenge was a dearer one.

        AppError `captcha_required` without an answer, `captcha_failed` for a wrong, late, foreign or used one.
        """
        if self._kind is None:
            return True
        if not answer:
            raise AppError("captcha_required", purpose=purpose)
        solved = self._kind.verify(answer)
        if (
            solved is None
            or solved.expires_at <= self._clock.now()
            or not await self._store.spend(solved.nonce, LIFE_S)
        ):
            raise AppError("captcha_failed")
        if solved.data.get("purpose") != purpose or solved.data.get("device") != _fingerprint(device):
            raise AppError("captcha_failed")
        return bool(solved.data.get("dearer"))


def _fingerprint(device: str) -> str:
    return hashlib.sha256(device.encode()).hexdigest()[:16] if device else ""

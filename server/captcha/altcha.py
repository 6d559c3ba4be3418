"""altcha: proof of work in a web worker, no third party, nothing to click (altcha.org, protocol version 2)."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

import altcha

_ALGORITHM = "PBKDF2/SHA-256"
_DEARER_FACTOR = 4


@dataclass(frozen=True, slots=True)
class AltchaSolved:
    """A right answer."""

    nonce: str
    expires_at: int
    data: dict[str, str]


class Altcha:
    """Deterministic mode: solving is bounded (about 0.6 s), verifying costs microseconds.

    The first of `keys` makes challenges, all of them are tried on an answer, so that keys can be rotated.
    `cost` are PBKDF2's rounds per try, `tries` how many the browser makes, at least and at most.
    """

    name = "altcha"

    def __init__(self, keys: list[bytes], *, cost: int = 5000, tries: tuple[int, int] = (500, 1500)) -> None:
        self._secrets = [(_derive(key, "challenge"), _derive(key, "solution")) for key in keys]
        self._cost = cost
        self._tries = tries

    def challenge(self, *, data: dict[str, str], expires_at: int, dearer: bool) -> dict[str, Any]:
        """As the altcha widget takes it."""
        factor = _DEARER_FACTOR if dearer else 1
        least, most = (tries * factor for tries in self._tries)
        secret, key_secret = self._secrets[0]
        made = altcha.create_challenge(
            algorithm=_ALGORITHM,
            cost=self._cost,
            counter=least + secrets.randbelow(most - least),
            data=dict(data),
            expires_at=expires_at,
            hmac_secret=secret,
            hmac_key_secret=key_secret,
        )
        return dict(made.to_dict())

    def verify(self, answer: str) -> AltchaSolved | None:
        """The library's verdict; that an answer counts once is not its affair."""
        try:
            payload = altcha.Payload.from_base64(answer)
            verified = any(
                altcha.verify_solution(payload, hmac_secret=secret, hmac_key_secret=key_secret).verified
                for secret, key_secret in self._secrets
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        parameters = payload.challenge.parameters
        if not verified or parameters.expires_at is None or not isinstance(parameters.data, dict):
            return None
        return AltchaSolved(parameters.nonce, parameters.expires_at, parameters.data)


def _derive(secret: bytes, use: str) -> str:
    return base64.b64encode(hmac.new(secret, f"altcha {use}".encode(), hashlib.sha256).digest()).decode()

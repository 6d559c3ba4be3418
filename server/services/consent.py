"""What a person has to agree to before an account is made."""

from dataclasses import dataclass
from typing import Any

from server.clock import Clock
from server.errors import AppError


@dataclass(frozen=True, slots=True)
class ConsentRule:
    """Terms and privacy statement, each "" where there is none. An address is a version: new words, new address."""

    terms_url: str
    privacy_url: str
    clock: Clock

    def require(self, agree: bool) -> dict[str, Any] | None:
        """What the account keeps of it, None where nothing is asked for; AppError `consent_required`."""
        addresses = {"terms_url": self.terms_url, "privacy_url": self.privacy_url}
        if not any(addresses.values()):
            return None
        if not agree:
            raise AppError("consent_required", **addresses)
        return addresses | {"at": self.clock.now()}

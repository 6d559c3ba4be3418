"""What every SMS provider promises."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

FailureKind = Literal["config", "limit_user", "limit_service", "transient", "permanent", "unknown"]


@dataclass(frozen=True, slots=True)
class Sms:
    """One message. `id` is its idempotency key: the same id twice is the same message.

    `nonce` and `key_id` name the code without being it, for who must show it again later.
    """

    id: str
    mobile: str
    purpose: str
    code: str = field(repr=False)
    minutes: int
    text: str = field(repr=False)
    transaction: str
    nonce: str
    key_id: str
    locale: str


@dataclass(frozen=True, slots=True)
class SendResult:
    """The provider took it. `delivered` if it is known to have arrived already."""

    message_id: str
    delivered: bool = False


class SendFailed(Exception):
    """The provider did not take it; `kind` says what that means for a further try, `why` is for the operator."""

    def __init__(self, kind: FailureKind, why: str) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind


class SmsProvider(Protocol):
    """One vendor. Its options come from `SMS_<NAME>_*` and are judged when it is built."""

    name: str

    async def send(self, sms: Sms) -> SendResult:
        """Hand the message over; SendFailed if it was not taken."""

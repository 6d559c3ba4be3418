"""What every SMS provider promises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

# What an answer means for the next step (docs/delivery.md):
# config         our account, template or key is at fault: another provider may do better, and an operator must look
# limit_user     this number has had enough from this vendor: sent by no other either
# limit_service  our quota or balance is used up: another provider
# transient      the vendor is in trouble and did not take it: the same one again, then another
# permanent      the number cannot be reached, or must not be: nobody is asked again
# unknown        sent, and the answer got lost: it may have been taken
FailureKind = Literal["config", "limit_user", "limit_service", "transient", "permanent", "unknown"]


@dataclass(frozen=True, slots=True)
class Sms:
    """One message. `id` is its idempotency key: the same id twice is the same message. A notice has no code.

    `nonce` and `key_id` name the code without being it, for who must show it again later. `repeated`: the outcome of
    an earlier try with this id is not known.
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
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class SendResult:
    """The provider took it, under its own `message_id`. `delivered` if it is known to have arrived already."""

    message_id: str
    delivered: bool = False


class SendFailed(Exception):
    """The provider did not take it. `kind` says what that means; `why` and the vendor's `code` are for the operator
    and never hold a secret, a number or a text."""

    def __init__(self, kind: FailureKind, why: str, code: str = "") -> None:
        super().__init__(f"{kind}: {why}" + (f" ({code})" if code else ""))
        self.kind = kind
        self.code = code


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a vendor reports of one message later. `mobile` in its 11 digits; `code` is the vendor's word for why;
    `reference` is our `Sms.id`, where the vendor gives it back."""

    message_id: str
    mobile: str
    delivered: bool
    code: str = ""
    reference: str = ""


class ReceiptForged(Exception):
    """A receipt whose signature is wrong, missing or too old."""


class ReceiptReader(Protocol):
    """How a vendor reports."""

    reply: tuple[str, bytes]
    """Content type and body of our thanks, without which some vendors repeat a report."""

    def read(self, body: bytes, headers: Mapping[str, str]) -> list[Receipt]:
        """The receipts in a report; ReceiptForged, or ValueError for what cannot be read. Reports of other kinds,
        such as a reply by the person, are no receipts and no fault."""


class SmsProvider(Protocol):
    """One vendor. Its options come from `SMS_<NAME>_*` and are judged when it is built."""

    name: str
    receipts: ReceiptReader | None
    notices: bool
    """Whether it can send what has no code: with a vendor's template for that, or because it needs none."""

    async def send(self, sms: Sms) -> SendResult:
        """Hand the message over; SendFailed if it was not taken, or if nobody knows."""

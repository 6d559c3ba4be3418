"""The code itself: worked out when needed, never kept (RFC 4226 truncation over a keyed hash)."""

import hashlib
import hmac

from server.fixed_codes import FixedCodes
from server.keys import KeyRing
from server.stores.codes import CodeRecord


def derive_code(ring: KeyRing, key_id: str, *, purpose: str, mobile: str, transaction: str, nonce: str) -> str | None:
    """The six digits of one generation of a transaction; None if its key has left the ring.

    HMAC-SHA256 instead of RFC 4226's SHA-1; its dynamic truncation (section 5.3) to 31 bits, modulo 10^6.
    """
    key = ring.get(key_id)
    if key is None:
        return None
    message = "|".join((purpose, mobile, transaction, nonce)).encode()
    digest = hmac.new(key, message, hashlib.sha256).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def code_of(ring: KeyRing, fixed: FixedCodes, record: CodeRecord, mobile: str) -> str | None:
    """The six digits that a transaction stands for now, if it is this number's; None if its key has left the ring."""
    has = record.fields
    return fixed.code(mobile, record.now) or derive_code(
        ring,
        has["key"],
        purpose=has["purpose"],
        mobile=mobile,
        transaction=record.transaction,
        nonce=has["nonce"],
    )

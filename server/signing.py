"""Signatures of what we post to others, as Standard Webhooks 1.0.0 says: https://www.standardwebhooks.com"""

import base64
import hmac


def signature(key: bytes, name: str, timestamp: str, body: bytes) -> str:
    """`v1,…` over id, timestamp and the very bytes of the body."""
    signed = hmac.digest(key, f"{name}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(signed).decode()


def signed_headers(key: bytes, name: str, timestamp: str, body: bytes) -> dict[str, str]:
    """The headers of a message; `name` is its idempotency key."""
    return {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(key, name, timestamp, body),
    }


def read_secret(text: str) -> bytes:
    """The key in `whsec_…`; ValueError says what is wrong with it."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ and the base64 of 24 to 64 bytes, made at random")
    return key

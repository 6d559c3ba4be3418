"""Keyed names for numbers and addresses in Redis: a dump of it tells nobody whom it is about."""

import hmac
from dataclasses import dataclass
from functools import lru_cache


@dataclass(slots=True, unsafe_hash=True)
class Tag:
    """`slot` groups all keys of one subject on one Cluster node, `name` tells subjects apart."""

    slot: str
    name: str


class Tagger:
    """HMAC-SHA256 under a key that all processes share for good, so limits outlive restarts and key rotation."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cached = lru_cache(maxsize=20_000)(self._make)

    def tag(self, subject: str) -> Tag:
        """The tag of a canonical mobile or of an address group."""
        return self._cached(subject)

    def digest(self, text: str | bytes) -> str:
        """What tells one text from another and nothing else; not remembered, as it may be of a secret."""
        raw = text.encode() if isinstance(text, str) else text
        return hmac.digest(self._key, b"digest|" + raw, "sha256").hex()

    def _make(self, subject: str) -> Tag:
        digest = hmac.digest(self._key, subject.encode(), "sha256").hex()
        return Tag(slot=digest[:8], name=digest[8:40])

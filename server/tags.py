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
        # A copy of this is several times faster than a new one, and each new number needs one.
        self._mac = hmac.new(key, digestmod="sha256")
        self._cached = lru_cache(maxsize=20_000)(self._make)

    def tag(self, subject: str) -> Tag:
        """The tag of a canonical mobile or of an address group."""
        return self._cached(subject)

    def digest(self, text: str | bytes) -> str:
        """What tells one text from another and nothing else; not remembered, as it may be of a secret."""
        raw = text.encode() if isinstance(text, str) else text
        return self._digest(b"digest|" + raw)

    def _make(self, subject: str) -> Tag:
        digest = self._digest(subject.encode())
        return Tag(slot=digest[:8], name=digest[8:40])

    def _digest(self, message: bytes) -> str:
        mac = self._mac.copy()
        mac.update(message)
        return mac.hexdigest()

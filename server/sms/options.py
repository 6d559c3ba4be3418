"""A provider's options: `SMS_<NAME>_*` of the environment, judged when the provider is built."""

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")


class OptionFault(ValueError):
    """An option that cannot be used: one sentence that names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Common:
    """What every provider has: SMS per second, weight among its peers, and who may report to it."""

    rate: float
    weight: int
    receipt_secret: str = field(repr=False)
    receipt_from: Networks


class ProviderOptions:
    """The options of one provider. Whatever nobody has asked for at the end is refused: it is a typing error."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self._prefix = f"SMS_{name.upper()}_"
        self._given = {
            key.removeprefix(self._prefix): value.strip()
            for key, value in environ.items()
            if key.startswith(self._prefix) and value.strip()
        }
        self._known: set[str] = set()

    def require(self, key: str) -> str:
        """The option; OptionFault if it is not there."""
        self._known.add(key)
        if key not in self._given:
            raise OptionFault(f"{self._prefix}{key} is missing; SMS_PROVIDERS names {self.name}, which needs it.")
        return self._given[key]

    def get(self, key: str, default: str) -> str:
        """The option, or `default`."""
        self._known.add(key)
        return self._given.get(key, default)

    def one_of(self, key: str, *choices: str) -> str:
        """The option, which must be one of `choices`; the first is the default."""
        value = self.get(key, choices[0])
        if value not in choices:
            raise self.fault(key, f"must be one of {', '.join(choices)}")
        return value

    def names(self, key: str, default: str, *, among: tuple[str, ...]) -> tuple[str, ...]:
        """A list in its order, of words `among` which each may come once."""
        words = tuple(word.strip() for word in self.get(key, default).split(","))
        if len(set(words)) != len(words) or not set(words) <= set(among):
            raise self.fault(key, f"must be a list of {', '.join(among)}, each at most once")
        return words

    def url(self, key: str, default: str = "") -> str:
        """An address that keeps the message private on its way: https, or this very host."""
        url = self.get(key, default) if default else self.require(key)
        try:
            parts = urlsplit(url)
            private = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
            whole = bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise self.fault(key, "is no address") from None
        if not private or not whole:
            raise self.fault(key, "must begin with https:// (http:// only for this host itself)")
        if parts.username or parts.fragment or parts.query:
            raise self.fault(key, "must have no user, query or fragment")
        return url.rstrip("/") if parts.path == "/" else url

    def common(self) -> Common:
        """What every provider has."""
        return Common(
            rate=self._rate(),
            weight=self._weight(),
            receipt_secret=self._receipt_secret(),
            receipt_from=self._networks("RECEIPT_FROM"),
        )

    def finish(self) -> None:
        """Refuse what nobody has asked for."""
        unknown = sorted(self._given.keys() - self._known)
        if unknown:
            known = ", ".join(self._prefix + key for key in sorted(self._known))
            raise OptionFault(f"{self._prefix}{unknown[0]} is not an option of {self.name}; there are: {known}.")

    def fault(self, key: str, why: str) -> OptionFault:
        """What is wrong with an option, without its value: it may be a secret."""
        return OptionFault(f"{self._prefix}{key} {why}.")

    def _rate(self) -> float:
        try:
            rate = float(self.get("RATE", "50"))
        except ValueError:
            rate = math.nan
        if not 0 < rate < math.inf:
            raise self.fault("RATE", "must be a number of SMS per second, greater than 0")
        return rate

    def _weight(self) -> int:
        text = self.get("WEIGHT", "0")
        if not re.fullmatch("[0-9]{1,6}", text):
            raise self.fault("WEIGHT", "must be a whole number, 0 or more")
        return int(text)

    def _receipt_secret(self) -> str:
        secret = self.get("RECEIPT_SECRET", "")
        if secret and not _SECRET.fullmatch(secret):
            raise self.fault("RECEIPT_SECRET", "must be 16 to 128 letters, digits, - or _; make one at random")
        return secret

    def _networks(self, key: str) -> Networks:
        text = self.get(key, "")
        try:
            return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
        except ValueError:
            raise self.fault(key, "must be a list of addresses or networks, such as 203.0.113.0/24") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""NEXT_URLS: where `?next=` may take a person who has signed in. Whatever is not plainly allowed is not."""

import re
from dataclasses import dataclass

LONGEST = 2048
_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_PORTS = {"http": 80, "https": 443}
# Narrower than browsers read addresses: no user part, no backslash, no space, no control character, no letter outside
# ASCII. So there is nothing that they could read in another way than we do.
_ABSOLUTE = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?#][!-\[\]-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_RELATIVE = re.compile(r"/[!-\[\]-~]*", re.ASCII)
_ENCODED_SLASH = re.compile("%2f|%5c", re.ASCII | re.IGNORECASE)
_ENCODED_DOT = re.compile("%2e", re.ASCII | re.IGNORECASE)


class DestinationFault(ValueError):
    """An entry of NEXT_URLS that cannot be used."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One origin, and a path on it that is whole segments or empty."""

    origin: tuple[str, str, int]
    path: str

    def allows(self, other: "Destination") -> bool:
        """Whether `other` is this very address or lies below it."""
        return other.origin == self.origin and f"{other.path}/".startswith(f"{self.path}/")


@dataclass(frozen=True, slots=True)
class Destinations:
    """The allow-list."""

    entries: tuple[Destination, ...] = ()

    def judge(self, url: str) -> str:
        """`url` as it is if a person may be taken there, else ""."""
        if len(url) > LONGEST:
            return ""
        if _RELATIVE.fullmatch(url):
            return url if _path_of(url) is not None else ""
        found = _read(url)
        return url if found and any(entry.allows(found) for entry in self.entries) else ""


def parse_destinations(texts: tuple[str, ...], *, development: bool) -> Destinations:
    """Reads the entries; DestinationFault says which one will not do."""
    return Destinations(tuple(_parse(text.strip(), development) for text in texts))


def _parse(text: str, development: bool) -> Destination:
    found = _read(text)
    if found is None or "?" in text or "#" in text:
        raise DestinationFault(f"{text!r} is no https:// address, with or without a path (other letters as xn--…)")
    scheme, host, _ = found.origin
    if scheme != "https" and not (development and host in _LOCAL):
        raise DestinationFault(f"{text!r} must begin with https:// (in development also http://localhost)")
    return Destination(found.origin, found.path.rstrip("/"))


def _read(url: str) -> Destination | None:
    match = _ABSOLUTE.fullmatch(url)
    if match is None:
        return None
    scheme, path = match["scheme"].lower(), _path_of(match["rest"] or "/")
    port = int(match["port"]) if match["port"] else _PORTS[scheme]
    return None if path is None else Destination((scheme, match["host"].lower(), port), path)


def _path_of(rest: str) -> str | None:
    """The path, or None for one that a browser or a server behind it would read as another: `..`, `//`, `%2f`."""
    path = re.split("[?#]", rest)[0]
    dots = any(_ENCODED_DOT.sub(".", segment) in (".", "..") for segment in path.split("/"))
    return None if dots or "//" in path or _ENCODED_SLASH.search(path) else path

"""What the outside may look like: our hosts and origins, trusted proxies, and who the client really is."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from server.destinations import Destinations
from server.settings import Networks, Settings


@dataclass(frozen=True)
class Edge:
    """Judged once at the start, when the port is known."""

    hosts: frozenset[str]
    origins: frozenset[str]
    proxies: Networks
    secure: bool
    destinations: Destinations

    def knows_host(self, request: HTTPServerRequest) -> bool:
        """Whether the Host header is one of ours (a rebound DNS name is not)."""
        return request.host.lower() in self.hosts

    def knows_origin(self, origin: str) -> bool:
        """Whether a page of this origin may act here: scheme, host and port must all be ours."""
        return origin.lower() in self.origins

    def client_address(self, request: HTTPServerRequest) -> str:
        """The peer; behind trusted proxies the right-most address of X-Forwarded-For that is none of them."""
        address = _plain(request.remote_ip or "")
        forwarded = ",".join(request.headers.get_list("X-Forwarded-For")).split(",")
        while self._trusts(address) and forwarded:
            candidate = forwarded.pop().strip()
            if not _is_address(candidate):
                break
            address = _plain(candidate)
        return address

    def _trusts(self, address: str) -> bool:
        if not self.proxies or not _is_address(address):
            return False
        ip = ipaddress.ip_address(address)
        return any(ip in network for network in self.proxies)


def make_edge(settings: Settings, port: int) -> Edge:
    """The edge of a server bound to `port`."""
    site = _origin(settings.site_url)
    origins = {site, *map(_origin, settings.allowed_origins)} - {""}
    hosts = {host.lower() for host in settings.allowed_hosts} | {urlsplit(origin).netloc for origin in origins}
    if settings.development:
        local = {f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")}
        hosts |= local
        origins |= {f"http://{host}" for host in local}
    secure = site.startswith("https://")
    return Edge(frozenset(hosts), frozenset(origins), settings.trusted_proxies, secure, settings.destinations())


def _origin(url: str) -> str:
    """As a browser writes it (RFC 6454, 6.2): lower case, without the scheme's own port."""
    origin = url.rstrip("/").lower()
    scheme = origin.partition(":")[0]
    return origin.removesuffix({"https": ":443", "http": ":80"}.get(scheme, "\0"))


def _plain(address: str) -> str:
    """A socket that listens on IPv6 shows an IPv4 peer as `::ffff:192.0.2.1` (RFC 4291, 2.5.5.2); no list of
    proxies or vendors' addresses is written so."""
    mapped = ipaddress.IPv6Address(address).ipv4_mapped if address.lower().startswith("::ffff:") else None
    return str(mapped) if mapped else address


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

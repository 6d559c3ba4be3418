"""Who the client is, and which hosts and origins are ours."""

import ipaddress

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from server.destinations import Destinations
from server.edge import Edge, make_edge
from server.settings import Settings


class _Connection:
    def __init__(self, remote_ip: str) -> None:
        self.context = self
        self.remote_ip = remote_ip
        self.protocol = "http"


def _request(peer: str, **headers: str) -> HTTPServerRequest:
    given = HTTPHeaders({"Host": "haoma.example"} | {name.replace("_", "-"): v for name, v in headers.items()})
    line = RequestStartLine("GET", "/", "HTTP/1.1")
    return HTTPServerRequest(start_line=line, headers=given, connection=_Connection(peer))  # type: ignore[arg-type]


def _edge(*proxies: str) -> Edge:
    networks = tuple(ipaddress.ip_network(one) for one in proxies)
    return Edge(frozenset(), frozenset(), networks, secure=False, destinations=Destinations())


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ],
)
def test_rl_5_the_client_is_the_right_most_address_that_is_not_a_trusted_proxy(
    peer: str, forwarded: str, client: str
) -> None:
    """What a client writes to the left of it changes nothing."""
    assert _edge("10.0.0.0/8").client_address(_request(peer, X_Forwarded_For=forwarded)) == client


def test_rl_5_headers_of_an_untrusted_peer_change_nothing() -> None:
    """Neither X-Real-Ip nor X-Forwarded-For."""
    request = _request("203.0.113.9", X_Real_Ip="7.7.7.7", X_Forwarded_For="8.8.8.8")
    assert _edge().client_address(request) == "203.0.113.9"
    assert _edge("10.0.0.0/8").client_address(request) == "203.0.113.9"


def test_ws_1_an_origin_is_scheme_host_and_port() -> None:
    """Anything else that looks like it is somebody else's."""
    edge = make_edge(_settings(), 443)
    assert edge.knows_origin("https://haoma.example")
    for foreign in ("http://haoma.example", "https://haoma.example:8443", "https://evil.haoma.example", "null", ""):
        assert not edge.knows_origin(foreign)
    assert not edge.knows_origin("http://localhost:443"), "production has no local origins"


def test_ws_1_a_port_that_is_the_schemes_own_is_not_written() -> None:
    """`SITE_URL=https://haoma.example:443` is what a browser calls `https://haoma.example`."""
    edge = make_edge(Settings(env="production", site_url="https://Haoma.example:443"), 8888)
    assert edge.knows_origin("https://haoma.example")
    assert edge.knows_host(_request("203.0.113.9"))


def _settings() -> Settings:
    return Settings(env="production", site_url="https://haoma.example/")

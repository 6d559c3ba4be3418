"""Reads REDIS_URL: one server, the Sentinels that know where it is, or the nodes of a Cluster."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

SENTINEL, CLUSTER = "redis+sentinel", "redis+cluster"
_DEFAULT_PORT = {SENTINEL: 26379, CLUSTER: 6379}
_FORMS = {
    SENTINEL: "redis+sentinel://[user:password@]host:port,host:port/service[?db=0]",
    CLUSTER: "redis+cluster://[user:password@]host:port,host:port",
}


@dataclass(frozen=True, slots=True)
class Address:
    """`hosts` are Sentinels if there is a `service`, else nodes of a Cluster; without hosts `url` says it all."""

    url: str
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def read_address(url: str) -> Address:
    """ValueError, in words without the password, if it is of no form that we know."""
    scheme, _, rest = url.partition("://")
    if scheme not in _FORMS:
        return Address(url)
    try:
        return _read_many(scheme, url, rest)
    except ValueError as fault:
        raise ValueError(f"{fault}; its form is {_FORMS[scheme]}") from None


def _read_many(scheme: str, url: str, rest: str) -> Address:
    rest, _, query = rest.partition("?")
    place, _, service = rest.partition("/")
    login, _, hosts = place.rpartition("@")
    if bool(service) != (scheme == SENTINEL):
        raise ValueError("the name of the service is missing" if scheme == SENTINEL else "a Cluster has no databases")
    options = _read_login(login) | _read_query(query, allowed={"db"} if scheme == SENTINEL else set())
    found = tuple(_read_host(host, _DEFAULT_PORT[scheme]) for host in hosts.split(","))
    return Address(url, found, unquote(service), options)


def _read_login(login: str) -> dict[str, Any]:
    user, _, password = login.partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


def _read_query(query: str, allowed: set[str]) -> dict[str, Any]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(options.keys() - allowed):
        raise ValueError(f"it cannot have {unknown[0]!r}")
    if not all(value.isdecimal() for value in options.values()):
        raise ValueError("db is not a number")
    return {name: int(value) for name, value in options.items()}


def _read_host(text: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(default_port)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not a host and a port")
    return host.strip("[]"), int(port)

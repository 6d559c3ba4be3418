"""What both versions of GeeTest have in common: an answer in JSON, or none."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from server.errors import VendorUnavailable
from server.http import HttpClient, RequestFailed

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def fetch(http: HttpClient, url: str, query: Mapping[str, str]) -> dict[str, Any]:
    """The object that a GET is answered with; VendorUnavailable."""
    try:
        return _read(*await http.get(f"{url}?{urlencode(query)}"))
    except RequestFailed as fault:
        raise VendorUnavailable(str(fault)) from None


async def submit(http: HttpClient, url: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The object that a form is answered with; VendorUnavailable."""
    try:
        return _read(*await http.post(url, _FORM, urlencode(form).encode()))
    except RequestFailed as fault:
        raise VendorUnavailable(str(fault)) from None


def _read(status: int, body: bytes) -> dict[str, Any]:
    if status != 200:
        raise VendorUnavailable(f"status {status}")
    try:
        found = orjson.loads(body)
    except ValueError:
        raise VendorUnavailable("an answer that is no JSON") from None
    if not isinstance(found, dict):
        raise VendorUnavailable("an answer of another shape")
    return found

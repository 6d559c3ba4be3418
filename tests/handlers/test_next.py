"""`?next=` on pages: what the server allowed goes along, and nothing else does."""

import json
import re
from collections.abc import Callable, Coroutine
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.conftest import Stack

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]
SHOP = "https://shop.example/cart?id=7&lang=de#pay"


async def _page(stack: Stack, path: str) -> tuple[dict[str, Any], list[str]]:
    """Its config and all its links."""
    html = (await stack.rest().get(path)).body.decode()
    config = re.search(r'<script type="application/json" id="config">(.*?)</script>', html)
    assert config is not None
    return json.loads(config[1]), [unescape(link) for link in re.findall(r'href="([^"]*)"', html)]


@pytest.mark.parametrize("page", ["/login", "/register"])
async def test_what_is_allowed_goes_along_with_all_links(start: Start, page: str) -> None:
    """To the other page and to the other language, together with the language; not to the home page."""
    stack = await start(NEXT_URLS="https://shop.example")
    config, links = await _page(stack, f"{page}?lang=en&next={quote(SHOP, safe='')}")
    assert config["next"] == SHOP
    other = {"/login": "/register", "/register": "/login"}[page]
    assert f"{other}?{urlencode({'lang': 'en', 'next': SHOP})}" in links
    for lang in ("zh-CN", "en"):
        assert f"{page}?{urlencode({'lang': lang, 'next': SHOP})}" in links
    assert "/?lang=en" in links


@pytest.mark.parametrize(
    "raw",
    [
        quote("https://evil.example/", safe=""),
        quote("javascript:alert(1)", safe=""),
        "//evil.example",
        "%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "%2F%09%2Fevil.example",
        "%0A%2F%2Fevil.example",
        "%ff%fe",
        "https://shop.example@evil.example&next=https://shop.example",
        quote('/"><script>alert(1)</script>中', safe=""),
        "",
    ],
)
async def test_what_is_not_allowed_is_dropped_in_silence(start: Start, raw: str) -> None:
    """The page is as without it, also where the query cannot even be read."""
    stack = await start(NEXT_URLS="https://shop.example")
    config, links = await _page(stack, f"/login?next={raw}")
    assert config["next"] == ""
    assert "/register" in links
    assert not [link for link in links if "evil" in link or "next=" in link]


async def test_a_page_of_ours_cannot_break_out_of_the_page(stack: Stack) -> None:
    """What is allowed may still have quotes and brackets in it."""
    path = '/me?"><script>alert(1)</script>'
    config, links = await _page(stack, f"/login?next={quote(path, safe='')}")
    assert config["next"] == path
    assert path in links


async def test_the_old_addresses_take_it_along(stack: Stack) -> None:
    """As all of the query."""
    for old, new in (("/user/reg", "/register"), ("/user/login/", "/login"), ("/login/", "/login")):
        assert (await stack.rest().get(f"{old}?next=%2Fme")).headers["Location"] == f"{new}?next=%2Fme"

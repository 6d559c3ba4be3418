"""The documents as they are sent, and the pages over them."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.conftest import Stack
from tests.declared import asyncapi, openapi
from tests.helpers import RestClient

pytestmark = pytest.mark.gen_test(timeout=30)


async def test_the_documents_are_those_of_this_service(stack: Stack, rest: RestClient) -> None:
    """With what it is set to; the host under which its websocket is reached is its own."""
    assert (await rest.get("/openapi.json")).body == openapi()
    live = (await rest.get("/asyncapi.json")).body
    assert live["servers"]["here"]["host"] == f"127.0.0.1:{stack.port}"
    assert live | {"servers": {}} == asyncapi() | {"servers": {}}


async def test_a_kept_document_is_asked_after(rest: RestClient) -> None:
    """It is sent again only if it has changed."""
    for path in ("/openapi.json", "/asyncapi.json"):
        first = await rest.get(path)
        assert first.headers["Cache-Control"] == "no-cache"
        again = await rest.get(path, If_None_Match=first.headers["Etag"])
        assert (again.status, again.body) == (304, b"")
        assert (await rest.get(path, If_None_Match='"other"')).status == 200


async def test_a_document_tells_what_the_operator_has_set(start: Callable[..., Coroutine[Any, Any, Stack]]) -> None:
    """The name of the site, the lengths of passwords, the cookie's name behind HTTPS."""
    stack = await start(SITE_NAME="号码屋", PASSWORD_MIN="12", SITE_URL="https://haoma.example")
    document = (await stack.rest().get("/openapi.json", Host="haoma.example")).body
    assert document["info"]["title"].startswith("号码屋")
    assert document["components"]["schemas"]["UserRegister"]["properties"]["password"]["minLength"] == 12
    assert document["components"]["securitySchemes"]["refresh"]["name"] == "__Host-refresh"
    live = (await stack.rest().get("/asyncapi.json", Host="haoma.example")).body
    assert live["servers"]["here"] | {"security": []} == {"host": "haoma.example", "protocol": "wss", "security": []}


@pytest.mark.parametrize(("lang", "title"), [("zh-CN", "实时接口"), ("en", "The realtime interface")])
async def test_the_page_of_the_websocket_needs_no_script(rest: RestClient, lang: str, title: str) -> None:
    """All of it is in what is sent, in both languages."""
    answer = await rest.get(f"/docs/realtime?lang={lang}")
    page = answer.body.decode().partition("<main")[2]
    assert answer.status == 200
    assert f"<h1>{title}</h1>" in page
    for name in asyncapi()["operations"]:
        assert f'id="{name}"' in page
    for channel in asyncapi()["channels"].values():
        assert all(f"<code>{code}</code>" in page for code in channel["x-close-codes"])
    assert "%(" not in page

"""The sandbox's panel over websocket and REST. It exists in development only."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.websocket import websocket_connect

from server.app import make_app
from server.edge import make_edge
from tests.conftest import Stack
from tests.helpers import MOBILE, PageClient, RestClient, servers

pytestmark = pytest.mark.gen_test(timeout=60)


@asynccontextmanager
async def panel_at(port: int, lang: str = "") -> AsyncIterator[PageClient]:
    """An open panel."""
    url = f"ws://127.0.0.1:{port}/dev/inbox/ws" + (f"?lang={lang}" if lang else "")
    page = PageClient(await websocket_connect(HTTPRequest(url, headers={"Origin": f"http://127.0.0.1:{port}"})))
    yield page
    await page.close()


async def test_a_panel_is_told_what_is_played_and_what_was_sent(stack: Stack) -> None:
    """As it opens: messages, tries, faults."""
    async with panel_at(stack.port) as panel:
        assert (await panel.next_event())["type"] == "inbox.snapshot"
        assert (await panel.next_event())["type"] == "sandbox.tries"
        assert (await panel.next_event())["data"] == {"fault": "none", "left": None}


async def test_every_open_panel_sees_a_change(stack: Stack) -> None:
    """By whichever way it was made."""
    rest = stack.rest()
    async with panel_at(stack.port) as one, panel_at(stack.port) as other:
        for panel in (one, other):
            await panel.next_event("sandbox.state")
        answer = await one.ask("sandbox.set", fault="transient", count=3)
        assert answer["type"] == "sandbox.state"
        assert answer["data"] == {"fault": "transient", "left": 3}
        assert (await other.next_event("sandbox.state"))["data"] == answer["data"]
        posted = await rest.post("/dev/sandbox/", {"fault": "late"})
        assert posted.body == {"fault": "late", "left": None}
        assert (await other.next_event("sandbox.state"))["data"] == posted.body
        assert (await rest.get("/dev/sandbox/")).body == posted.body
        await rest.post("/dev/sandbox/", {"fault": "none", "count": None})
        assert (await other.next_event("sandbox.state"))["data"] == {"fault": "none", "left": None}


BAD: list[tuple[Any, str]] = [
    ({"fault": "fire"}, "validation_failed"),
    ({}, "validation_failed"),
    ({"fault": "late", "count": 0}, "validation_failed"),
    ({"fault": "late", "count": 1001}, "validation_failed"),
    ({"fault": "late", "count": "3"}, "validation_failed"),
    ({"fault": "late", "count": True}, "validation_failed"),
    ({"fault": "late", "more": 1}, "validation_failed"),
]


@pytest.mark.parametrize(("data", "code"), BAD)
async def test_what_cannot_be_played_is_refused_alike(stack: Stack, data: Any, code: str) -> None:
    """Over both ways, with the fields named, and nothing is changed."""
    answer = await stack.rest().post("/dev/sandbox/", data)
    assert answer.status == 400
    async with panel_at(stack.port, "en") as panel:
        frame = await panel.ask("sandbox.set", **data)
        assert frame["type"] == "error"
        for error in (frame["data"], answer.error):
            assert error["code"] == code
            assert error["params"]["fields"]
    assert (await stack.rest().get("/dev/sandbox/")).body == {"fault": "none", "left": None}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "json_invalid"),
        ('{"type": "sandbox.set"}', "request_invalid"),
        ('{"type": "sms.send", "id": 1, "data": {}}', "message_unknown"),
        (b"x", "json_invalid"),
    ],
)
async def test_a_bad_message_is_answered_and_the_panel_goes_on(stack: Stack, message: Any, code: str) -> None:
    """One error frame each; the next message is answered as ever."""
    async with panel_at(stack.port) as panel:
        await panel.send(message)
        assert (await panel.next_event("error"))["data"]["code"] == code
        assert (await panel.ask("sandbox.set", fault="none"))["type"] == "sandbox.state"


async def test_only_json_sets_faults(stack: Stack) -> None:
    """A form of a foreign page cannot."""
    answer = await stack.rest().post("/dev/sandbox/", '{"fault": "late"}', Content_Type="text/plain")
    assert answer.status == 415


async def test_a_fault_set_at_one_process_is_met_at_the_other(tmp_path: Path) -> None:
    """And both panels see it being used up."""
    async with (
        servers(tmp_path / "var", 2) as (one, other),
        panel_at(one.port) as here,
        panel_at(other.port) as there,
    ):
        await here.ask("sandbox.set", fault="permanent", count=1)
        page = await PageClient.open(other.port)
        await page.ask("sms.send", mobile=MOBILE, purpose="register")
        for panel in (here, there):
            tried = (await panel.next_event("sandbox.tried"))["data"]
            assert (tried["mobile"], tried["fault"], tried["outcome"]) == (MOBILE, "permanent", "permanent")
        assert (await RestClient(one.port).get("/dev/sandbox/")).body == {"fault": "none", "left": None}
        await page.close()


async def test_none_of_it_exists_in_production(stack: Stack) -> None:
    """404, for each of the addresses."""
    listener, port = bind_unused_port()
    edge, production = make_edge(stack.settings, port), dataclasses.replace(stack.settings, env="production")
    server = HTTPServer(make_app(stack.dispatcher, edge, production, stack.sockets))
    server.add_sockets([listener])
    rest = RestClient(port)
    for path in ("/dev/inbox", "/dev/inbox.json", "/dev/inbox/ws", "/dev/sandbox/"):
        assert (await rest.get(path)).status == 404
    assert (await rest.post("/dev/sandbox/", {"fault": "none"})).status == 404
    assert (await rest.get("/healthz")).status == 200
    rest.close()
    server.stop()
    await server.close_all_connections()

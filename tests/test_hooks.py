"""Events for a server of the operator's: signed, repeated until taken, never in the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.testing import bind_unused_port

from server.settings import Settings, SettingsFault
from tests.conftest import Stack
from tests.helpers import MOBILE
from tests.people import sign_up
from tests.vendors.webhook import SECRET, sign


class Receiver:
    """The operator's server, which verifies with code of its own and answers as the test says."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/events"
        self.statuses: list[int] = []
        self.got: list[tuple[str, dict[str, Any]]] = []
        self._arrived = asyncio.Condition()

    async def nth(self, number: int) -> tuple[str, dict[str, Any]]:
        async with self._arrived, asyncio.timeout(8):
            await self._arrived.wait_for(lambda: len(self.got) >= number)
        return self.got[number - 1]

    async def take(self, request: HTTPServerRequest) -> int:
        name, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        assert request.headers["webhook-signature"] == sign(name, timestamp, request.body)
        async with self._arrived:
            self.got.append((name, orjson.loads(request.body)))
            self._arrived.notify_all()
        return self.statuses.pop(0) if self.statuses else 204


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    listener, port = bind_unused_port()
    found = Receiver(port)

    async def answer(request: HTTPServerRequest) -> None:
        status = await found.take(request)
        assert request.connection is not None
        line, headers = ResponseStartLine("HTTP/1.1", status, ""), HTTPHeaders({"Content-Length": "0"})
        request.connection.write_headers(line, headers)
        request.connection.finish()

    server = HTTPServer(lambda request: asyncio.ensure_future(answer(request)))  # type: ignore[arg-type]
    server.add_sockets([listener])
    yield found
    server.stop()
    await server.close_all_connections()


@pytest.mark.gen_test(timeout=40)
async def test_a_registration_is_told_once_signed_and_masked(start: Callable[..., Any]) -> None:
    """With the account's id and name; the number only as others may see it."""
    async with receiver() as theirs:
        stack: Stack = await start(NOTIFY_URL=theirs.url, NOTIFY_SECRET=SECRET)
        made = await sign_up(stack)
        _, event = await theirs.nth(1)
        assert event["type"] == "user.registered"
        assert event["data"] == {
            "id": made.body["id"],
            "username": made.body["username"],
            "mobile": "154****0001",
        }
        await sign_up(stack, "15400000002")
        _, second = await theirs.nth(2)
        assert second["data"]["mobile"] == "154****0002"
        assert len(theirs.got) == 2


@pytest.mark.gen_test(timeout=40)
async def test_what_is_not_taken_is_told_again_under_the_same_name(start: Callable[..., Any]) -> None:
    """Later each time, so that a receiver that was away has it all the same; nobody's registration waits for it."""
    async with receiver() as theirs:
        theirs.statuses = [500, 302]
        stack: Stack = await start(NOTIFY_URL=theirs.url, NOTIFY_SECRET=SECRET)
        await sign_up(stack)
        for number, wait_s in ((1, 5), (2, 30)):
            await theirs.nth(number)
            await _until_delayed(stack)
            stack.clock.advance(wait_s + 1)
        names = {(await theirs.nth(3))[0], *(name for name, _ in theirs.got)}
        assert len(names) == 1


async def _until_delayed(stack: Stack) -> None:
    """In line for later: the worker has to look before the clock is moved."""
    async with asyncio.timeout(8):
        while not await stack.redis.call("ZCARD", "jobs:{hooks}:delayed"):
            await asyncio.sleep(0.01)


@pytest.mark.gen_test(timeout=40)
async def test_an_alert_is_told_when_it_comes_and_when_it_goes(start: Callable[..., Any]) -> None:
    """Once each, though every process sees it."""
    async with receiver() as theirs:
        stack: Stack = await start(NOTIFY_URL=theirs.url, NOTIFY_SECRET=SECRET)
        stack.services.monitor._alerts.stands_s = 0.5
        for _ in range(20):
            await stack.breakers.note("none", "scripted", "bad")
        _, raised = await theirs.nth(1)
        await stack.breakers.note("none", "scripted", "ok")
        _, cleared = await theirs.nth(2)
        assert [(one["type"], one["data"]) for one in (raised, cleared)] == [
            ("alert.raised", {"alert": "breaker_scripted"}),
            ("alert.cleared", {"alert": "breaker_scripted"}),
        ]


@pytest.mark.gen_test(timeout=40)
async def test_without_an_address_nothing_is_kept(stack: Stack) -> None:
    """No queue grows for a server that nobody named."""
    await sign_up(stack, MOBILE)
    assert await stack.redis.each("KEYS", "jobs:{hooks}*") == [[]]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"NOTIFY_URL": "ftp://x.example"}, "NOTIFY_URL"),
        ({"NOTIFY_URL": "https://x.example"}, "NOTIFY_SECRET"),
        ({"NOTIFY_URL": "https://x.example", "NOTIFY_SECRET": "secret"}, "NOTIFY_SECRET"),
    ],
)
def test_half_an_address_stops_the_start(given: dict[str, str], named: str, tmp_path: Any) -> None:
    """In one line that names the setting and not its value."""
    with pytest.raises(SettingsFault, match=named) as caught:
        Settings.from_env({"VAR_DIR": str(tmp_path)} | given)
    assert "secret." not in str(caught.value)

"""A real Redis stops, sleeps, is full, refuses writes, is busy, or forgets its scripts."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis as plain_redis

from server.errors import StoreUnavailable
from server.stores.redis import Redis
from tests.conftest import Stack
from tests.helpers import MOBILE, FakeClock, PageClient
from tests.rigs import Server, StandaloneRig, session, until
from tests.stores.test_faults import LIMITED

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]


@contextmanager
def _stopped(server: Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _asleep(server: Server) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def _full(server: Server) -> Iterator[None]:
    server.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        yield
    finally:
        server.ask("CONFIG", "SET", "maxmemory", 0)


@contextmanager
def _read_only(server: Server) -> Iterator[None]:
    server.ask("REPLICAOF", "127.0.0.1", 1)
    try:
        yield
    finally:
        server.ask("REPLICAOF", "NO", "ONE")


@contextmanager
def _busy(server: Server) -> Iterator[None]:
    server.ask("CONFIG", "SET", "lua-time-limit", 50)
    client = plain_redis.Redis(port=server.port, retry=None)
    endless = threading.Thread(target=_run_endlessly, args=(client,))
    endless.start()
    until(lambda: _is_busy(server), "Redis is busy")
    try:
        yield
    finally:
        server.ask("SCRIPT", "KILL")
        endless.join()
        client.close()


def _run_endlessly(client: "plain_redis.Redis[bytes]") -> None:
    with pytest.raises(plain_redis.ResponseError, match="killed"):
        client.eval("while true do end", 0)


def _is_busy(server: Server) -> bool:
    try:
        server.ask("PING")
    except plain_redis.ResponseError:
        return True
    return False


FAULTS = [_stopped, _asleep, _full, _read_only, _busy]


@pytest.mark.parametrize("fault", FAULTS)
async def test_st_1_st_2_st_3_metered_operations_are_refused_and_come_back(
    standalone_rig: StandaloneRig, start: Start, fault: Any
) -> None:
    """503 on all of them, in bounded time, no SMS; afterwards the same service works, without a restart."""
    stack = await start(REDIS_URL=standalone_rig.url)
    page = await stack.page()
    await page.ask("ping")
    with fault(standalone_rig.servers[0]):
        for kind, data in LIMITED:
            async with asyncio.timeout(3):
                answer = await page.ask(kind, **data)
            assert answer["data"]["code"] == "unavailable", (kind, answer)
        assert stack.provider.sent == []
    await _until_delivered(page)


async def test_st_3_a_redis_that_forgot_its_scripts_is_taught_again_unseen(
    standalone_rig: StandaloneRig, start: Start
) -> None:
    """SCRIPT FLUSH before each operation; none fails."""
    stack = await start(REDIS_URL=standalone_rig.url)
    page = await stack.page()
    for kind, data in LIMITED:
        standalone_rig.servers[0].ask("SCRIPT", "FLUSH")
        answer = await page.ask(kind, **data)
        assert answer["data"].get("code") in (None, "credentials_invalid"), (kind, answer)


async def test_a_server_that_refuses_writes_is_left(standalone_rig: StandaloneRig) -> None:
    """It was a master when the connections were made; the next ones are made anew, where the address leads then."""
    server = standalone_rig.servers[0]
    redis = Redis(standalone_rig.url, clock=FakeClock())
    writes = (
        lambda: redis.call("SET", "x", 1),
        lambda: redis.run("open_session", *session("session:{a}"), "hash", 60_000, 60_000, 10, 1, "id", "1"),
    )
    for write in writes:
        await write()
        before = await redis.call("CLIENT", "ID")
        with _read_only(server), pytest.raises(StoreUnavailable, match="READONLY"):
            await write()
        assert await redis.call("CLIENT", "ID") != before
    await redis.aclose()


async def _until_delivered(page: PageClient) -> None:
    async with asyncio.timeout(20):
        while (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["type"] != "sms.queued":
            await asyncio.sleep(0.1)
    await page.state("delivered")

"""Steps of one turn of the loop share a write, and all share a connection, and nothing else."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest

from server.embedded import Urls
from server.errors import StoreUnavailable
from server.stores.redis import MOST_ROWS, Redis
from server.stores.redis_nodes import LONGEST_BATCH
from tests.helpers import FakeClock
from tests.rigs import StandaloneRig, session

pytestmark = pytest.mark.gen_test(timeout=30)
_HOUR_US = 3_600_000_000


@asynccontextmanager
async def opened(url: str, replicas: int = 0) -> AsyncIterator[Redis]:
    redis = Redis(url, clock=FakeClock(), replicas=replicas)
    try:
        yield redis
    finally:
        await redis.aclose()


class Eavesdropper:
    """Stands before Redis, hears what is asked, and can keep the answers to itself and hang up."""

    def __init__(self, port: int) -> None:
        self._far_port = port
        self.asked: list[bytes] = []
        self.connections = 0
        self.hung_up = asyncio.Event()
        self.losing = self.silent = False
        self.slow_by_s = 0.0
        self._answered: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Eavesdropper":
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._tasks)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._answered.append(writer)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._far_port)
        for work in (self._ask(reader, far_writer), self._answer(far_reader, writer)):
            self._tasks.add(asyncio.create_task(work))

    async def _ask(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):  # left in the middle of an answer
            while data := await reader.read(1 << 20):
                self.asked.append(data)
                far.write(data)
        far.close()
        self.hung_up.set()

    def say(self, data: bytes) -> None:
        """On the newest connection, though nobody asked."""
        self._answered[-1].write(data)

    def end(self) -> None:
        """Say no more, as a Redis that takes a connection for idle; `hung_up` is set when the other side hangs up."""
        self._answered[-1].write_eof()

    async def _answer(self, far: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (data := await far.read(1 << 20)) and not self.losing:
            await asyncio.sleep(self.slow_by_s)
            if not self.silent:
                writer.write(data)
        if data:
            writer.write(data[: len(data) // 2])  # half of the answers, the last one torn
        writer.close()

    def deafen(self) -> Any:
        """Take nothing more from the newest connection, until what is returned is told to `resume_reading`."""
        self._answered[-1].transport.pause_reading()  # type: ignore[attr-defined]
        return self._answered[-1].transport


def row(name: str) -> tuple[list[str], Any]:
    """One that leaves a trace each time it runs."""
    return [f"limit:{{{name}}}"], (False, "")


def limit(most: int = 1000) -> tuple[str, str]:
    """What rows share: so many an hour."""
    return "enforce", orjson.dumps([(1, "rate", False, _HOUR_US, (most - 1) * _HOUR_US, "hour")]).decode()


async def charge(redis: Redis, name: str, *, durable: bool = False) -> Any:
    """A step that leaves a trace each time it runs."""
    keys, value = row(name)
    return (await redis.run("limit", keys, orjson.dumps([value]).decode(), *limit(), durable=durable))[0]


async def charges(redis: Redis, name: str) -> int:
    """How often it ran."""
    free_at_us = float(await redis.call("HGET", f"limit:{{{name}}}", "hour") or time.time() * 1e6)
    return round((free_at_us / 1e6 - time.time()) / 3600)


async def test_steps_of_one_turn_go_out_in_one_write_on_one_connection(standalone_rig: StandaloneRig) -> None:
    """And each gets its own answer."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        await charge(redis, "warm")
        between.asked.clear()
        keys = [f"session:{{{number}}}" for number in range(50)]
        successor = ("next", 60_000, 60_000, 0, "")
        await asyncio.gather(
            *(redis.run("open_session", *session(k), k, 60_000, 60_000, 10, 1, "id", k) for k in keys)
        )
        await asyncio.gather(*(redis.run("rotate_session", *session(k), k, *successor) for k in keys))
        between.asked.clear()
        found = await asyncio.gather(*(redis.run("rotate_session", *session(k), k, *successor) for k in keys))
        assert [dict(zip(flat[::2], flat[1::2], strict=True))["id"] for flat in found] == keys
        assert (len(between.asked), between.connections) == (1, 1)


async def test_steps_of_many_turns_share_the_connection_and_each_gets_its_own_answer(
    standalone_rig: StandaloneRig,
) -> None:
    """Whoever asks does not wait for the answers of those before."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        await charge(redis, "warm")
        asked = []
        for number in range(300):
            asked.append(asyncio.create_task(redis.call("ECHO", str(number))))
            await asyncio.sleep(0)
        assert await asyncio.gather(*asked) == [str(number) for number in range(300)]
        assert between.connections == 1


async def test_a_connection_that_redis_closed_is_not_written_to(standalone_rig: StandaloneRig) -> None:
    """No step pays for an idle connection's end."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        await charge(redis, "warm")
        between.end()
        await between.hung_up.wait()
        assert (await charge(redis, "after"))[0] == "ok"
        assert between.connections == 2


async def test_after_a_reply_that_nobody_asked_for_nothing_is_believed(standalone_rig: StandaloneRig) -> None:
    """Every reply after it would be taken for another step's."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        await charge(redis, "warm")
        between.say(b"+stray\r\n")
        await between.hung_up.wait()
        assert await redis.call("ECHO", "mine") == "mine"
        assert between.connections == 2


@pytest.mark.parametrize("warm", [False, True])
async def test_closing_waits_for_what_was_asked(standalone_rig: StandaloneRig, warm: bool) -> None:
    """Also where the connection is still to be made."""
    redis = Redis(standalone_rig.url, clock=FakeClock())
    if warm:
        await charge(redis, "warm")
    asked = asyncio.create_task(charge(redis, "last"))
    await asyncio.sleep(0)
    await redis.aclose()
    assert (await asked)[0] == "ok"


@pytest.mark.parametrize("durable", [False, True])
async def test_a_reply_that_is_no_text_is_a_fault_and_not_a_silence(
    standalone_rig: StandaloneRig, durable: bool
) -> None:
    """Whoever waits is told."""
    source = "return string.char(255)"
    async with opened(standalone_rig.url, replicas=1) as redis:
        redis._scripts["bits"] = (hashlib.sha1(source.encode()).hexdigest(), source)
        with pytest.raises(StoreUnavailable, match="UnicodeDecodeError"):
            await redis.run("bits", ["session:{a}"], durable=durable)
        assert await redis.call("ECHO", "after") == "after"


async def test_a_step_that_fails_does_not_harm_its_neighbours(stack_redis: Redis) -> None:
    """A key of the wrong kind, in the middle of a batch."""
    await stack_redis.call("SET", "session:{bad}", "text")
    steps = [
        charge(stack_redis, "a"),
        stack_redis.run("end_session", *session("session:{bad}"), "reason", "x"),
        charge(stack_redis, "b"),
    ]
    first, failed, last = await asyncio.gather(*steps, return_exceptions=True)
    assert (first[0], last[0]) == ("ok", "ok")
    assert isinstance(failed, StoreUnavailable)
    assert str(failed) == "redis: WRONGTYPE"


async def test_rows_are_one_call_and_each_gets_its_own_answer(standalone_rig: StandaloneRig) -> None:
    """Ten, of two limits with room for three each: it is as if they had come in a row."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        await charge(redis, "warm")
        between.asked.clear()
        found = await redis.run_rows("limit", [row(name) for name in ("rows:a", "rows:b") * 5], *limit(3))
        assert [outcome for outcome, *_ in found] == ["ok"] * 6 + ["refused"] * 4
        assert b"".join(between.asked).count(b"EVALSHA") == 1
        assert [await charges(redis, name) for name in ("rows:a", "rows:b")] == [3, 3]


async def test_more_rows_than_redis_should_be_held_for_are_several_calls(standalone_rig: StandaloneRig) -> None:
    """And none is forgotten."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        await charge(redis, "warm")
        between.asked.clear()
        count = 2 * MOST_ROWS + 1
        found = await redis.run_rows("limit", [row("many")] * count, *limit())
        assert [outcome for outcome, *_ in found] == ["ok"] * count
        assert b"".join(between.asked).count(b"EVALSHA") == 3
        assert await charges(redis, "many") == count


async def test_a_fault_of_rows_stands_in_the_place_of_each(stack_redis: Redis) -> None:
    """Nobody takes it for an answer."""
    await stack_redis.call("RPUSH", "free:{list}", "x")
    found = await stack_redis.run_rows("read_free", [(["free:{sound}"], 1), (["free:{list}"], 1)])
    assert [str(answer) for answer in found] == ["redis: WRONGTYPE"] * 2


async def test_redis_6_2_that_has_become_read_only_is_left(standalone_rig: StandaloneRig) -> None:
    """It says so inside another error; the next step has a new connection, which may find the new master, and not one
    that lies about from before."""
    source = (
        "return redis.error_reply('ERR Error running script (call to f_1): @user_script:9: @user_script: 9: "
        "-READONLY You can\\'t write against a read only replica.')"
    )
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url, replicas=1) as redis:
        redis._scripts["wrapped"] = (hashlib.sha1(source.encode()).hexdigest(), source)
        await charge(redis, "warm")
        with pytest.raises(StoreUnavailable, match="not replicated"):
            await charge(redis, "warm", durable=True)
        assert between.connections == 2
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await redis.run("wrapped", ["session:{a}"])
        await charge(redis, "after")
        assert between.connections == 3


async def test_a_caller_that_goes_away_harms_nobody(stack_redis: Redis) -> None:
    """Before the batch is sent its step is left out; after that only its answer is."""
    before, after, stays = (asyncio.create_task(charge(stack_redis, name)) for name in "xyz")
    await asyncio.sleep(0)
    before.cancel()
    await asyncio.sleep(0)
    after.cancel()
    assert (await stays)[0] == "ok"
    assert await charges(stack_redis, "x") == 0
    assert (await charge(stack_redis, "y"))[0] == "ok"


async def test_when_the_connection_breaks_all_fail_once_and_none_runs_twice(standalone_rig: StandaloneRig) -> None:
    """What was asked may have happened; what comes next gets a fresh connection and its own answers."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        await redis.each("FLUSHALL")
        await charge(redis, "warm")
        between.losing = True
        names = [f"n{number}" for number in range(60)]
        lost = await asyncio.gather(*(charge(redis, name) for name in names), return_exceptions=True)
        assert any(isinstance(one, StoreUnavailable) for one in lost)
        assert all(isinstance(one, StoreUnavailable) or one[0] == "ok" for one in lost)
        between.losing = False
        assert {await charges(redis, name) for name in names} == {1}
        answers = await asyncio.gather(
            *(redis.run("end_session", *session(f"session:{{{n}}}"), "reason", "x") for n in names)
        )
        assert answers == [0] * 60


async def test_a_flushed_script_is_sent_with_its_source_and_runs_once(stack_redis: Redis) -> None:
    """Alone or among others."""
    await charge(stack_redis, "f")
    await stack_redis.each("SCRIPT", "FLUSH")
    await asyncio.gather(*(charge(stack_redis, name) for name in ("f", "g", "h")))
    assert [await charges(stack_redis, name) for name in ("f", "g", "h")] == [2, 1, 1]


async def test_a_crowd_is_split_and_all_are_served(stack_redis: Redis) -> None:
    """No batch is longer than it may be."""
    crowd = [charge(stack_redis, f"c{number}") for number in range(3 * LONGEST_BATCH + 1)]
    assert {answer[0] for answer in await asyncio.gather(*crowd)} == {"ok"}


@pytest.mark.parametrize("durable", [False, True])
async def test_st_2_a_silent_redis_refuses_all_in_time(standalone_rig: StandaloneRig, durable: bool) -> None:
    """However many wait, and for a connection of their own as well; and then all is well again."""
    server = standalone_rig.servers[0]
    async with opened(standalone_rig.url, replicas=1) as redis:
        await charge(redis, "warm")
        server.pause()
        waiting = []
        for _ in range(150):  # one batch a turn, more than there are connections
            waiting.append(asyncio.create_task(charge(redis, "w", durable=durable)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        async with asyncio.timeout(1.5):
            done = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in done} == {StoreUnavailable}
        server.resume()
        assert (await charge(redis, "v"))[0] == "ok"


async def test_after_a_silence_a_slow_connection_is_made_though_everybody_asks_at_once(
    standalone_rig: StandaloneRig,
) -> None:
    """Its making is nobody's own, so it does not end with the patience of whoever asked first."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        between.silent = True
        with pytest.raises(StoreUnavailable):
            await charge(redis, "warm")
        between.silent, between.slow_by_s = False, 0.05
        asked: list[asyncio.Task[Any]] = []
        async with asyncio.timeout(5):
            while not any(one.done() and not one.exception() for one in asked):
                asked.append(asyncio.create_task(charge(redis, "all")))
                await asyncio.sleep(0.005)
        await asyncio.gather(*asked, return_exceptions=True)


async def test_a_redis_that_reads_no_more_is_left_and_nobody_waits_for_it(standalone_rig: StandaloneRig) -> None:
    """Neither those who asked, nor those who ask then, nor whoever closes."""
    async with Eavesdropper(standalone_rig.servers[0].port) as between, opened(between.url) as redis:
        await charge(redis, "warm")
        deaf = between.deafen()
        much = (redis.call("ECHO", "x" * 100_000) for _ in range(200))
        assert {type(one) for one in await asyncio.gather(*much, return_exceptions=True)} == {StoreUnavailable}
        assert (await charge(redis, "after"))[0] == "ok"
        await redis.aclose()
        deaf.resume_reading()
        await between.hung_up.wait()


async def test_one_connection_in_the_pool_is_enough(standalone_rig: StandaloneRig) -> None:
    """The kept one is beside it."""
    async with opened(f"{standalone_rig.url}?max_connections=1") as redis:
        await charge(redis, "first")
        await redis.require_usable()


@pytest.fixture
def stack_redis(io_loop: Any, store_urls: Urls) -> Any:
    """A client of the run's own Redis, emptied."""
    assert store_urls.redis_url
    redis = Redis(store_urls.redis_url, clock=FakeClock())
    io_loop.run_sync(lambda: redis.each("FLUSHALL"))
    yield redis
    io_loop.run_sync(redis.aclose)

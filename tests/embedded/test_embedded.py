"""The embedded stores: started, shared, kept over a crash, and stopped by the last who leaves."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from redis import asyncio as aioredis

from server.embedded import EmbeddedStoreError, EmbeddedStores, Urls, mongo_child, redis_child
from server.embedded.files import LOG_LIMIT, open_log
from server.embedded.process import StoreProcess

ROOT = Path(__file__).resolve().parents[2]

# Joins the stores, says so, and stays until it is killed or its input ends.
OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from server.embedded import EmbeddedStores

async def main():
    stores = EmbeddedStores(Path(sys.argv[1]), redis=True, mongo=True)
    print(await stores.start(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await stores.aclose()

asyncio.run(main())
"""


@pytest.fixture
def var_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory for stores; nothing that was started there outlives the test."""
    directory = tmp_path / "var"
    yield directory
    for store in processes(directory):
        asyncio.run(store.stop())
        store.close()


def processes(var_dir: Path) -> list[StoreProcess]:
    return [redis_child.RedisChild(var_dir), mongo_child.MongoChild(var_dir)]


def running(var_dir: Path) -> list[bool]:
    """Whether Redis and Mongo run there, as a stranger sees it."""
    states = []
    for store in processes(var_dir):
        states.append(store.alive())
        store.close()
    return states


def pid_of(var_dir: Path, name: str) -> int:
    return int((var_dir / name / "pid").read_text())


def both(var_dir: Path) -> EmbeddedStores:
    return EmbeddedStores(var_dir, redis=True, mongo=True)


async def write(urls: Urls) -> None:
    assert urls.redis_url
    assert urls.mongo_url
    async with (
        aioredis.Redis.from_url(urls.redis_url) as redis,
        AsyncMongoClient[dict[str, Any]](urls.mongo_url) as mongo,
    ):
        await redis.set("greeting", "好吗")
        await mongo.get_default_database()["greetings"].insert_one({"_id": 1, "text": "好吗"})


async def assert_written(urls: Urls) -> None:
    assert urls.redis_url
    assert urls.mongo_url
    async with (
        aioredis.Redis.from_url(urls.redis_url) as redis,
        AsyncMongoClient[dict[str, Any]](urls.mongo_url) as mongo,
    ):
        assert await redis.get("greeting") == "好吗".encode()
        found = await mongo.get_default_database()["greetings"].find_one({"_id": 1})
        assert found == {"_id": 1, "text": "好吗"}


def start_other(var_dir: Path) -> subprocess.Popen[str]:
    """A second process that uses the stores; returns once it has them."""
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(var_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout
    assert other.stdout.readline().startswith("Urls(")
    return other


def end_other(other: subprocess.Popen[str]) -> None:
    with other:
        other.kill()


def test_start_runs_both_and_close_stops_them(var_dir: Path) -> None:
    """Both stores answer after start() and are gone after aclose()."""

    async def story() -> None:
        stores = both(var_dir)
        urls = await stores.start()
        await write(urls)
        await assert_written(urls)
        assert running(var_dir) == [True, True]
        await stores.aclose()
        await stores.aclose()

    asyncio.run(story())
    assert running(var_dir) == [False, False]


def test_only_what_was_asked_for_runs(var_dir: Path) -> None:
    """A store that has an address elsewhere is not started here."""

    async def story() -> None:
        stores = EmbeddedStores(var_dir, redis=True, mongo=False)
        urls = await stores.start()
        assert urls.redis_url
        assert urls.mongo_url is None
        assert running(var_dir) == [True, False]
        await stores.aclose()

    asyncio.run(story())


def test_data_survives_a_restart(var_dir: Path) -> None:
    """What was written is there after the stores were stopped and started."""

    async def story() -> None:
        for touch in (write, assert_written):
            stores = both(var_dir)
            await touch(await stores.start())
            await stores.aclose()

    asyncio.run(story())


def test_second_user_joins_and_the_last_to_leave_stops(var_dir: Path) -> None:
    """A second process gets the same stores, and they run until the later of both has left."""

    async def story() -> None:
        stores = both(var_dir)
        await write(await stores.start())
        pids = pid_of(var_dir, "redis"), pid_of(var_dir, "mongo")
        other = start_other(var_dir)
        assert (pid_of(var_dir, "redis"), pid_of(var_dir, "mongo")) == pids
        await stores.aclose()
        assert running(var_dir) == [True, True]
        with other:
            other.communicate()
        assert other.returncode == 0

    asyncio.run(story())
    assert running(var_dir) == [False, False]


def test_many_start_at_once_and_share(var_dir: Path) -> None:
    """Users who start in the same moment all get the same stores."""

    async def story() -> None:
        users = [both(var_dir) for _ in range(4)]
        urls = await asyncio.gather(*(user.start() for user in users))
        assert len(set(urls)) == 1
        await asyncio.gather(*(user.aclose() for user in users))

    asyncio.run(story())
    assert running(var_dir) == [False, False]


def test_stores_of_a_killed_process_are_used_again(var_dir: Path) -> None:
    """kill -9 of their owner leaves the stores running; the next start joins them, and stops them at last."""

    async def story() -> None:
        other = start_other(var_dir)
        end_other(other)
        assert running(var_dir) == [True, True]
        pids = pid_of(var_dir, "redis"), pid_of(var_dir, "mongo")
        stores = both(var_dir)
        await write(await stores.start())
        assert (pid_of(var_dir, "redis"), pid_of(var_dir, "mongo")) == pids
        await stores.aclose()

    asyncio.run(story())
    assert running(var_dir) == [False, False]


@pytest.mark.parametrize("name", ["redis", "mongo"])
def test_death_of_a_store_is_noticed_by_all(var_dir: Path, name: str) -> None:
    """The one that started a store and the one that joined it both learn within a second that it died."""

    async def story() -> None:
        owner, joined = both(var_dir), both(var_dir)
        await owner.start()
        await joined.start()
        waiting = asyncio.gather(owner.wait_died(), joined.wait_died())
        os.kill(pid_of(var_dir, name), signal.SIGKILL)
        told = await asyncio.wait_for(waiting, 1)
        assert all(f"{name}.log" in text and "stopped unexpectedly" in text for text in told)
        await joined.aclose()
        await owner.aclose()

    asyncio.run(story())


def test_data_survives_the_death_of_the_stores(var_dir: Path) -> None:
    """After kill -9 of both stores the next start makes new ones, with all that was acknowledged."""

    async def story() -> None:
        async with AsyncExitStack() as stack:
            first, second = both(var_dir), both(var_dir)
            stack.push_async_callback(first.aclose)
            await write(await first.start())
            dead = asyncio.create_task(first.wait_died())
            for name in ("redis", "mongo"):
                os.kill(pid_of(var_dir, name), signal.SIGKILL)
            await dead
            stack.push_async_callback(second.aclose)
            await assert_written(await second.start())
            assert "unexpectedly" in await first.wait_died()

    asyncio.run(story())
    assert running(var_dir) == [False, False]


def test_stores_stop_although_their_directory_was_deleted(var_dir: Path) -> None:
    """Deleting var/ under a running service leaves no process behind once it ends."""

    async def story() -> None:
        stores = both(var_dir)
        await stores.start()
        watched = processes(var_dir)
        assert all(store.alive() for store in watched)
        shutil.rmtree(var_dir)
        await stores.aclose()
        assert not any(store.alive() for store in watched)
        for store in watched:
            store.close()

    asyncio.run(story())


def test_everything_is_private(var_dir: Path) -> None:
    """No directory, file or socket of the stores can be opened by another user."""

    async def story() -> None:
        stores = both(var_dir)
        await write(await stores.start())
        for path in (var_dir, *var_dir.rglob("*")):
            assert not stat.S_IMODE(path.lstat().st_mode) & 0o077, path
        await stores.aclose()

    before = os.umask(0)
    try:
        asyncio.run(story())
    finally:
        os.umask(before)


def test_mongo_wants_the_password(var_dir: Path) -> None:
    """A local stranger who finds the port can read nothing."""

    async def story() -> None:
        stores = EmbeddedStores(var_dir, redis=False, mongo=True)
        await stores.start()
        port = (var_dir / "mongo" / "port").read_text()
        async with AsyncMongoClient[dict[str, Any]](f"mongodb://127.0.0.1:{port}/?directConnection=true") as mongo:
            with pytest.raises(Exception, match="requires authentication"):
                await mongo["haoma"]["greetings"].find_one()
        await stores.aclose()

    asyncio.run(story())


def test_first_start_that_was_cut_short_is_made_good(var_dir: Path) -> None:
    """A Mongo without its password yet, left behind by a killed first start, is not taken as it is."""

    async def story() -> None:
        stores = both(var_dir)
        await stores.start()
        (var_dir / "mongo" / "password").unlink()
        later = both(var_dir)
        await write(await later.start())
        await later.aclose()
        await stores.aclose()

    asyncio.run(story())


def test_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    """A directory too deep for a unix socket still works, and its short stand-in goes with the stores."""
    deep = tmp_path / ("d" * 100)

    async def story() -> Path:
        first, second = (EmbeddedStores(deep, redis=True, mongo=False) for _ in range(2))
        urls = await first.start()
        assert urls == await second.start()
        assert urls.redis_url
        socket = Path(urls.redis_url.removeprefix("unix://"))
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        await first.aclose()
        await second.aclose()
        return socket

    assert not asyncio.run(story()).parent.exists()


def test_no_redis_is_said_in_one_sentence(var_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any Redis, start() says what to do and leaves no Mongo behind."""
    monkeypatch.setattr(redis_child, "candidates", lambda: iter(()))
    with pytest.raises(EmbeddedStoreError, match=r"There is no Redis here: .*REDIS_URL\.$"):
        asyncio.run(both(var_dir).start())
    assert running(var_dir) == [False, False]


def test_no_mongo_is_said_in_one_sentence(var_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SecantusDB, start() says what to do and leaves no Redis behind."""
    monkeypatch.setattr(mongo_child, "COMMAND", "no-such-command")
    with pytest.raises(EmbeddedStoreError, match=r"no no-such-command here: .*MONGO_URL\.$"):
        asyncio.run(both(var_dir).start())
    assert running(var_dir) == [False, False]


def fake_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A redis-server that runs `script`, first on PATH, and nothing bundled."""
    program = tmp_path / "bin" / "redis-server"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(redis_child, "candidates", lambda: iter([program]))


def test_old_redis_is_refused(var_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis older than 6.2 is not used when there is no other."""
    fake_redis(tmp_path, monkeypatch, "echo Redis server v=6.0.16 sha=0")
    with pytest.raises(EmbeddedStoreError, match=r"redis-server is version 6\.0: install"):
        asyncio.run(EmbeddedStores(var_dir, redis=True, mongo=False).start())


def test_newer_redis_goes_before_an_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first server that is new enough is taken."""
    versions = {Path("/a/redis-server"): (6, 0), Path("/b/redis-server"): (), Path("/c/valkey-server"): (8, 1)}
    monkeypatch.setattr(redis_child, "candidates", lambda: iter(versions))
    monkeypatch.setattr(redis_child, "server_version", versions.__getitem__)
    assert redis_child.find_server() == Path("/c/valkey-server")


@pytest.mark.parametrize(
    ("last_words", "sentence"),
    [
        ("Can't write: No space left on device", r"The disk of .* is full: free some space"),
        ("Fatal error", r"The embedded Redis did not start: see the end of .*redis\.log\.$"),
    ],
)
def test_store_that_does_not_start_is_explained(
    var_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last_words: str, sentence: str
) -> None:
    """A store that ends at its start is told with where to look, a full disk by its name."""
    script = f"""[ "$1" = --version ] && echo v=7.2.0 && exit; echo "{last_words}"; exit 1"""
    fake_redis(tmp_path, monkeypatch, script)
    with pytest.raises(EmbeddedStoreError, match=sentence):
        asyncio.run(EmbeddedStores(var_dir, redis=True, mongo=False).start())


def test_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """A VAR_DIR that cannot be written is named together with the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedStoreError, match="set VAR_DIR to a directory you can write"):
        asyncio.run(both(tmp_path / "file" / "var").start())


def test_shared_directory_is_refused(tmp_path: Path) -> None:
    """A VAR_DIR that others use keeps its mode; we do not shut them out."""
    tmp_path.chmod(0o755)
    (tmp_path / "theirs").touch()
    with pytest.raises(EmbeddedStoreError, match=r"shared with others: set VAR_DIR"):
        asyncio.run(both(tmp_path).start())
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_log_that_has_grown_begins_again(tmp_path: Path) -> None:
    """A log over the limit is emptied at the next start, a smaller one is added to."""
    log = tmp_path / "store.log"
    log.write_bytes(b"x")
    os.close(open_log(log))
    assert log.stat().st_size == 1
    log.write_bytes(bytes(LOG_LIMIT + 1))
    os.close(open_log(log))
    assert log.stat().st_size == 0

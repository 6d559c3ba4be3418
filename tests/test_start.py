"""What stands against starting is said in one sentence, and nothing is left running."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers import ROOT

pytestmark = pytest.mark.gen_test(timeout=40)


async def start_in_vain(
    tmp_path: Path, python: tuple[str, ...] = (sys.executable,), **settings: str
) -> tuple[int, str]:
    """Exit status and what was said, of a `run.py` that should not start."""
    process = await asyncio.create_subprocess_exec(
        *python,
        "run.py",
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "VAR_DIR": str(tmp_path / "var"), "PORT": "0"} | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@contextlib.asynccontextmanager
async def _redis_that_says(info: str) -> AsyncIterator[int]:
    """Speaks just enough of the protocol to be asked for its version."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = [await _word(reader) for _ in range(int(line[1:]))]
            reply = f"${len(info)}\r\n{info}\r\n" if words[0] == "INFO" else "+OK\r\n"
            writer.write(reply.encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _word(reader: asyncio.StreamReader) -> str:
    length = int((await reader.readline())[1:])
    return (await reader.readexactly(length + 2))[:-2].decode().upper()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"PORT": "many"}, "PORT"),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, "REDIS_URL"),
        ({"REDIS_URL": "nonsense"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+sentinel://127.0.0.1:1"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+sentinel://127.0.0.1:1/main"}, "REDIS_URL"),
        ({"REDIS_URL": "redis+cluster://127.0.0.1:1"}, "REDIS_URL"),
        ({"MONGO_URL": "mongodb://127.0.0.1:1/haoma"}, "MONGO_URL"),
        ({"MONGO_URL": "mongodb://127.0.0.1:99999/haoma"}, "MONGO_URL"),
        ({"SMS_PROVIDERS": "pigeon"}, "SMS_PROVIDERS"),
        ({"SMS_PROVIDER": "aliyun"}, "SMS_PROVIDER is no setting"),
        ({"ENV": "production"}, "CODE_KEYS"),
        ({"HOST": "192.0.2.1"}, "HOST"),
    ],
    ids=str,
)
async def test_a_setting_that_will_not_do_is_one_sentence(
    tmp_path: Path, settings: dict[str, str], named: str
) -> None:
    """It names the setting; there is no traceback, and the exit status is 1."""
    status, said = await start_in_vain(tmp_path, **settings)
    assert status == 1
    assert said.startswith("Haoma cannot start: ")
    assert named in said
    assert said.count("\n") == 1


async def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    """Before any store is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = await start_in_vain(tmp_path, PORT=str(port))
    assert (status, said.count("\n")) == (1, 1)
    assert f"port {port}" in said
    assert not (tmp_path / "var" / "redis").exists()


async def test_a_redis_that_is_too_old_is_one_sentence(tmp_path: Path) -> None:
    """With the version it has and the one it needs."""
    async with _redis_that_says("redis_version:5.0.14\r\n") as port:
        status, said = await start_in_vain(tmp_path, REDIS_URL=f"redis://127.0.0.1:{port}")
    assert status == 1
    assert said == "Haoma cannot start: Redis 5.0.14 is too old; 6.2 or newer is needed.\n"


async def test_a_missing_library_is_one_sentence(tmp_path: Path) -> None:
    """Whoever starts run.py by another Python is told what to do."""
    status, said = await start_in_vain(tmp_path, (sys.executable, "-S", "-E"))
    assert status == 1
    assert "is missing; `make run`" in said
    assert said.count("\n") == 1

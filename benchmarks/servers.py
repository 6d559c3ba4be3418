"""Servers that are measured: ours and its peers, each with stores of its own on the other cores."""

import os
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.processes import ROOT, Server, helper, pin
from server.embedded import EmbeddedStores

_SETTINGS = {"PORT": "0", "LIMITS": "observe", "CAPTCHA_PROVIDER": "none", "LOG_FORMAT": "json"}


@asynccontextmanager
async def haoma(
    core: set[int], *, root: Path = ROOT, program: str = "run.py", **settings: str
) -> AsyncIterator[Server]:
    """`run.py`. Its stores stay on the other cores, beside the load."""
    # A short path: it holds a unix socket, whose address may have 100 bytes.
    with tempfile.TemporaryDirectory(prefix="haoma-bench-") as var_dir:
        environ = _SETTINGS | {"VAR_DIR": var_dir} | settings
        async with _started(program, core, environ, root) as server:
            yield server


@asynccontextmanager
async def two(core: set[int]) -> AsyncIterator[tuple[list[Server], dict[str, str]]]:
    """Two processes of one service, on one core, and the settings that a tool beside them needs."""
    with tempfile.TemporaryDirectory(prefix="haoma-bench-") as var_dir:
        settings = _SETTINGS | {"VAR_DIR": var_dir}
        async with _started("run.py", core, settings) as one, _started("run.py", core, settings) as other:
            yield [one, other], settings


@asynccontextmanager
async def bare_tornado(core: set[int]) -> AsyncIterator[Server]:
    """Without any store."""
    async with _started("benchmarks/peers/bare_tornado.py", core, {}) as server:
        yield server


@asynccontextmanager
async def bare_wire(core: set[int]) -> AsyncIterator[Server]:
    """Without any store."""
    async with _started("benchmarks/peers/bare_wire.py", core, {}) as server:
        yield server


@asynccontextmanager
async def fastapi_redis(core: set[int]) -> AsyncIterator[Server]:
    """With a Redis of its own, on the other cores as ours is."""
    async with _redis() as url, _started("benchmarks/peers/fastapi_redis.py", core, {"REDIS_URL": url}) as server:
        yield server


@asynccontextmanager
async def django_drf(core: set[int]) -> AsyncIterator[Server]:
    """With a Redis of its own; its database is a file. What works is the child of what was started."""
    with tempfile.TemporaryDirectory(prefix="haoma-bench-") as folder:
        async with _redis() as url:
            environ = {"REDIS_URL": url, "SQLITE": f"{folder}/db.sqlite3"}
            async with _started("benchmarks/peers/django_drf.py", core, environ) as server:
                worker = int(subprocess.check_output(["pgrep", "-P", str(server.pid)]))
                pin(worker, core)
                yield replace(server, pid=worker)


@asynccontextmanager
async def _redis() -> AsyncIterator[str]:
    """The one that is given for ours too, or one like that which ours starts."""
    with tempfile.TemporaryDirectory(prefix="haoma-bench-") as var_dir:
        given = os.environ.get("REDIS_URL")
        stores = EmbeddedStores(Path(var_dir), redis=not given, mongo=False)
        url = given or (await stores.start()).redis_url
        assert url
        try:
            yield url
        finally:
            await stores.aclose()


@asynccontextmanager
async def _started(
    program: str, core: set[int], settings: dict[str, str], root: Path = ROOT
) -> AsyncIterator[Server]:
    async with helper(program, core, environ=settings, root=root) as process:
        yield Server(int(process.ready.rsplit(":", 1)[1].split("/")[0]), process.pid)

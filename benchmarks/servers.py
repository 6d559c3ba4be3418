"""Servers under test: whole processes on a core of their own, and what the system knows of them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "MONGO_URL", "MONGO_DRIVER", "REDIS_URL")
_SETTINGS = {"PORT": "0", "LIMITS": "observe", "CAPTCHA_PROVIDER": "none", "LOG_FORMAT": "json"}
START_S = 60


@dataclass(frozen=True)
class Server:
    """One running server."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds of this process so far, without its stores; 0 where there is no /proc."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self) -> int:
        """Resident memory of this process, without its stores."""
        return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(self.pid)]))

    def descriptors(self) -> int:
        """Files and sockets that this process has open; 0 where there is no /proc."""
        try:
            return len([*Path(f"/proc/{self.pid}/fd").iterdir()])
        except OSError:
            return 0


def cores() -> tuple[set[int], set[int]]:
    """Where the server runs and where all else does; both empty where a process cannot be put on a core."""
    if not hasattr(os, "sched_setaffinity"):
        return set(), set()
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others)


@asynccontextmanager
async def haoma(core: set[int], **settings: str) -> AsyncIterator[Server]:
    """`run.py`. Its stores stay on the other cores, beside the load."""
    # A short path: it holds a unix socket, whose address may have 100 bytes.
    with tempfile.TemporaryDirectory(prefix="haoma-bench-") as var_dir:
        async with _started("run.py", core, _SETTINGS | {"VAR_DIR": var_dir} | settings) as server:
            yield server


@asynccontextmanager
async def two(core: set[int]) -> AsyncIterator[tuple[list[Server], dict[str, str]]]:
    """Two processes of one service, on one core, and the settings that a tool beside them needs."""
    with tempfile.TemporaryDirectory(prefix="haoma-bench-") as var_dir:
        settings = _SETTINGS | {"VAR_DIR": var_dir}
        async with _started("run.py", core, settings) as one, _started("run.py", core, settings) as other:
            yield [one, other], settings


@asynccontextmanager
async def bare(core: set[int]) -> AsyncIterator[Server]:
    """`benchmarks/bare.py`."""
    async with _started("benchmarks/bare.py", core, {}) as server:
        yield server


@asynccontextmanager
async def _started(program: str, core: set[int], settings: dict[str, str]) -> AsyncIterator[Server]:
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ} | settings
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            line = (await process.stdout.readline()).decode()
        if "ready" not in line:
            raise RuntimeError(f"{program} did not start; run it by hand to see why")
        _pin(process.pid, core)
        yield Server(int(line.rsplit(":", 1)[1].split("/")[0]), process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _pin(pid: int, core: set[int]) -> None:
    """All threads of a process; those that come later inherit it."""
    if core:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), core)


async def figures(module: str) -> dict[str, float]:
    """What a measurement that is a process of its own prints; it finds its own core."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
    if before:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    if before:
        os.sched_setaffinity(0, before)
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    return dict(json.loads(printed))

"""Processes that are measured: on a core of their own, and what the system knows of them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parent.parent
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "MONGO_URL", "MONGO_DRIVER", "REDIS_URL")
START_S, REST_S = 60, 300
_RESTS, _LOOK_S = 0.1, 0.5  # of a core; the clock of /proc goes in steps of 10 ms


@dataclass(frozen=True)
class Server:
    """One running server."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds of this process so far, without its stores; 0 where there is no /proc."""
        return _cpu_s(Path(f"/proc/{self.pid}/stat"))

    def loop_cpu_s(self) -> float:
        """Those of its main thread."""
        return _cpu_s(Path(f"/proc/{self.pid}/task/{self.pid}/stat"))

    async def rests(self) -> None:
        """Returns when it has done what was left to do, so that a peer on its core is not in its way."""
        async with asyncio.timeout(REST_S):
            before = -_LOOK_S
            while (now := self.cpu_s()) - before > _RESTS * _LOOK_S:
                before = now
                await asyncio.sleep(_LOOK_S)

    def rss_kib(self) -> int:
        """Resident memory of this process, without its stores."""
        return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(self.pid)]))

    def descriptors(self) -> int:
        """Files and sockets that this process has open; 0 where there is no /proc."""
        try:
            return len([*Path(f"/proc/{self.pid}/fd").iterdir()])
        except OSError:
            return 0


def _cpu_s(stat: Path) -> float:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Helper:
    """A program that runs, what it said first, and how to speak with it."""

    pid: int
    ready: str
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader

    async def ask(self, line: str) -> str:
        """A line for a line."""
        self.stdin.write(f"{line}\n".encode())
        return (await self.stdout.readline()).decode()


def cores() -> tuple[set[int], set[int]]:
    """Where the server runs and where all else does; both empty where a process cannot be put on a core."""
    if not hasattr(os, "sched_setaffinity"):
        return set(), set()
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others)


@asynccontextmanager
async def helper(
    program: str,
    core: set[int],
    *arguments: str,
    environ: Mapping[str, str] = MappingProxyType({}),
    root: Path = ROOT,
) -> AsyncIterator[Helper]:
    """A program of ours on its core, once it has said that it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        *arguments,
        cwd=root,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin
    assert process.stdout
    try:
        async with asyncio.timeout(START_S):
            line = (await process.stdout.readline()).decode()
        if "ready" not in line:
            raise RuntimeError(f"{program} did not start; run it by hand to see why")
        pin(process.pid, core)
        yield Helper(process.pid, line, process.stdin, process.stdout)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def pin(pid: int, core: set[int]) -> None:
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

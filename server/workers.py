"""PROCESSES=n: a parent that owns the port and the embedded stores, and workers that it starts, restarts and ends.

Tornado's own forking waits in the parent, which could then look after nothing; and it cannot replace one worker.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from server.clock import Clock
from server.logs import get_log
from server.tasks import Tasks

_log = get_log(__name__)
LISTEN_FDS = "HAOMA_LISTEN_FDS"
METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"
START_S = 60
STOP_S = 40  # a worker ends its drain by itself long before
_PAUSES_S = (0.2, 1, 5, 10)
_SOUND_S = 30  # who has lived so long did not die of its start


class WorkerFailed(Exception):
    """A worker could not start; what it said stands above."""


class Workers:
    """One task a place. A worker that dies is replaced, a little later each time if it dies at once."""

    def __init__(self, count: int, sockets: Sequence[socket.socket], *, metrics_dir: Path, clock: Clock) -> None:
        self._sockets = sockets
        self._metrics_dir = metrics_dir
        self._places: list[_Place] = [_Place(number) for number in range(count)]
        self._tasks = Tasks(clock)
        self._ending = self._replacing = False

    async def start(self) -> None:
        """All of them; WorkerFailed if one does not become ready, and then none is left."""
        self._metrics_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            async with asyncio.TaskGroup() as starting:
                for place in self._places:
                    starting.create_task(self._run(place))
        except* WorkerFailed:
            await self.aclose()
            raise WorkerFailed from None
        for place in self._places:
            self._tasks.start(self._keep(place))

    async def aclose(self) -> None:
        """Ask all to end, wait for it, and make those end that do not."""
        self._ending = True
        await asyncio.gather(*(place.stop() for place in self._places))
        await self._tasks.aclose()
        shutil.rmtree(self._metrics_dir, ignore_errors=True)

    async def replace_all(self) -> None:
        """One after the other, so that there is always somebody to answer. It is not begun anew while it goes on."""
        if self._replacing or self._ending:
            return
        self._replacing = True
        _log.info("workers.replacing")
        for place in self._places:
            place.ready.clear()
            await place.stop()
            await place.ready.wait()
        self._replacing = False
        _log.info("workers.replaced")

    async def _keep(self, place: "_Place") -> None:
        loop, failed = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            status = await place.ended()
            mark_process_dead(place.pid, str(self._metrics_dir))  # type: ignore[no-untyped-call]
            if self._ending:
                return
            failed = 0 if loop.time() - began > _SOUND_S or status == 0 else failed + 1
            _log.warning("worker.ended", worker=place.number, status=status)
            await self._restart(place, failed)

    async def _restart(self, place: "_Place", failed: int) -> None:
        while not self._ending:
            if failed:
                await asyncio.sleep(_PAUSES_S[min(failed, len(_PAUSES_S)) - 1])
            try:
                await self._run(place)
                return
            except WorkerFailed:
                failed += 1

    async def _run(self, place: "_Place") -> None:
        fds = [each.fileno() for each in self._sockets]
        environ = os.environ | {LISTEN_FDS: ",".join(map(str, fds)), METRICS_DIR: str(self._metrics_dir)}
        await place.start(environ | {"PROCESSES": "1"}, fds)
        _log.info("worker.ready", worker=place.number, pid=place.pid)


class _Place:
    """Where one worker stands, and after it the next."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0
        self.ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, environ: dict[str, str], fds: list[int]) -> None:
        """Returns when it serves; WorkerFailed."""
        # It ends when its standard input does, which we hold open for as long as we live.
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "run.py"),
                cwd=Path(__file__).parent.parent,
                env=environ,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=fds,
            )
        except OSError as fault:  # no room for a process now; there may be later
            _log.warning("worker.not_started", worker=self.number, why=repr(fault))
            raise WorkerFailed from None
        self.pid = self._process.pid
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        if b"ready" not in line:
            await self.stop()
            raise WorkerFailed
        self.ready.set()

    async def ended(self) -> int:
        """Wait for its end; its status."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end; kill it if it does not."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def inherited_sockets() -> list[socket.socket]:
    """The listening sockets that a parent handed to this process; none if it has no parent."""
    given = os.environ.get(LISTEN_FDS, "")
    found = [socket.socket(fileno=int(fd)) for fd in given.split(",") if fd]
    for each in found:
        each.setblocking(False)
    return found


def on_parent_end(stop: asyncio.Event) -> None:
    """A worker does not outlive its parent: nobody would end it, and the next parent could not bind the port. And it
    leaves a hangup to its parent."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def read() -> None:
        if not os.read(stdin, 1024):
            loop.remove_reader(stdin)
            stop.set()

    loop.add_reader(stdin, read)

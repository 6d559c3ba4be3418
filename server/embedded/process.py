"""A store process that outlives the one that started it: started, seen to be alive, stopped.

It holds a flock on `alive.lock`, inherited at its start and kept by the kernel until it ends. So whoever
looks knows whether it runs, and that the pid written beside it is still its own.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeVar

from server.embedded.files import EmbeddedStoreError, open_log, open_private, private_dir
from server.embedded.presence import try_lock

START_S = 120
STOP_S = 10
RESEND_S = 0.5
LEAST_FREE = 1024 * 1024
POLL_S = 0.01

# The outer shell ends at once, so the store is nobody's child and needs no reaping; the inner one writes
# its pid and becomes the store, so a store without a pid on disk cannot be.
DETACH = '"$@" &'
WRITE_PID = 'echo "$$" >"$0" && exec "$@"'

# Our own environment holds secrets that a store has no use for.
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


T = TypeVar("T")


class StoreProcess(ABC):
    """One store of one directory. `ensure()` and `stop()` belong inside `Presence.alone()`."""

    name: ClassVar[str]
    label: ClassVar[str]

    def __init__(self, var_dir: Path) -> None:
        self.home = var_dir / self.name
        self.log = var_dir / f"{self.name}.log"
        self._pid_file = self.home / "pid"
        self._pid: int | None = None
        self._alive_fd: int | None = None
        self._log_start = 0

    @abstractmethod
    async def start(self) -> None:
        """Start the process anew."""

    @abstractmethod
    async def url(self) -> str:
        """Its address, once it answers."""

    async def ensure(self) -> str:
        """Start it, or join the one that runs; the answer is its address."""
        private_dir(self.home)
        try:
            async with asyncio.timeout(START_S):
                url = await self._join()
                if url is None:
                    await self.start()
                    url = await self._while_alive(self.url())
        except TimeoutError:
            text = f"The embedded {self.label} does not answer after {START_S} s"
            raise EmbeddedStoreError(f"{text}: see the end of {self.log}.") from None
        self._pid = self._read_pid()
        return url

    async def _join(self) -> str | None:
        try:
            return await self._while_alive(self.url()) if self.alive() else None
        except EmbeddedStoreError:
            if self.alive():
                raise
            return None  # it was just about to end

    def alive(self) -> bool:
        """True while the process runs, whoever started it."""
        # Kept open, so that the answer is right even when the directory was deleted meanwhile.
        if self._alive_fd is None:
            if not self.home.exists():
                return False
            self._alive_fd = open_private(self.home / "alive.lock", os.O_RDWR)
        if not try_lock(self._alive_fd, fcntl.LOCK_SH):
            return True
        fcntl.flock(self._alive_fd, fcntl.LOCK_UN)
        return False

    def died(self) -> bool:
        """True once the process that `ensure()` answered for has ended, even if another took its place."""
        return not self.alive() or self._read_pid() != self._pid

    async def stop(self) -> None:
        """Ask it to end, and after STOP_S make it."""
        if not await self._ended(signal.SIGTERM, STOP_S):
            await self._ended(signal.SIGKILL, STOP_S)

    def close(self) -> None:
        """Forget the process, whether it runs or not."""
        if self._alive_fd is not None:
            os.close(self._alive_fd)
            self._alive_fd = None

    async def _while_alive(self, work: Coroutine[None, None, T]) -> T:
        """Await something that only a running process can answer."""
        task = asyncio.create_task(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=POLL_S)
                if not self.alive():
                    raise self._explain_end()
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _explain_end(self) -> EmbeddedStoreError:
        # On a full disk there may be no room for the log either.
        full = shutil.disk_usage(self.home).free < LEAST_FREE or "No space left on device" in self._said()
        if full:
            return EmbeddedStoreError(f"The disk of {self.home} is full: free some space and start again.")
        return EmbeddedStoreError(f"The embedded {self.label} did not start: see the end of {self.log}.")

    def _said(self) -> str:
        """What it has written to its log since `_spawn()`."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read(1_000_000).decode(errors="replace")

    def _spawn(self, command: Sequence[str]) -> None:
        self._pid_file.unlink(missing_ok=True)
        lock, log = open_private(self.home / "alive.lock", os.O_RDWR), open_log(self.log)
        self._log_start = os.fstat(log).st_size
        inner = ["/bin/sh", "-c", WRITE_PID, str(self._pid_file), *command]
        env = {key: os.environ[key] for key in ENVIRONMENT if key in os.environ}
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # A session of its own: Ctrl-C in a terminal must not reach it before we have finished.
            subprocess.run(
                ["/bin/sh", "-c", DETACH, "sh", *inner],
                check=True, cwd=self.home, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=(lock,), start_new_session=True, umask=0o077,
            )  # fmt: skip
        finally:
            os.close(lock)
            os.close(log)

    def _read_pid(self) -> int | None:
        # In a deleted directory's place there may be another, with a process of somebody else's.
        if self._alive_fd is not None and not os.fstat(self._alive_fd).st_nlink:
            return self._pid
        try:
            return int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):  # its shell has not yet written it
            return None

    async def _ended(self, how: signal.Signals, patience_s: float) -> bool:
        begin, sent = time.monotonic(), 0
        while self.alive() and (waited_s := time.monotonic() - begin) < patience_s:
            deaf = await self._deaf()
            if waited_s >= sent * RESEND_S and (deaf or not sent):
                sent += self._send(how)
            await asyncio.sleep(POLL_S)
        return not self.alive()

    def _send(self, how: signal.Signals) -> bool:
        pid = self._read_pid()
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        return True

    async def _deaf(self) -> bool:
        """True while the signal to stop seems lost, for a store that can lose it."""
        return False

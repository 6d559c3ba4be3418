"""The default MongoDB: SecantusDB, a small server of the same protocol, for trying and developing.

It is run by its command only and never imported, as its licence is not ours.
"""

import asyncio
import secrets
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from server.embedded.files import EmbeddedStoreError, write_private
from server.embedded.process import POLL_S, StoreProcess

COMMAND = "secantusd-py"
USER = "haoma"
# Without --sync-on-commit it loses acknowledged writes when it is killed.
OPTIONS = ("--host", "127.0.0.1", "--sync-on-commit", "--cache-size", "128M", "--log-level", "WARNING")
PORT_TRIES = 3
ANSWER_MS = 5000


class MongoChild(StoreProcess):
    """A MongoDB on a random local port, with a password that only its owner can read."""

    name = "mongo"
    label = "MongoDB (SecantusDB)"
    _last_port = 0

    async def ensure(self) -> str:
        """Start it, or join the one that runs; the answer is its address."""
        # One that runs and has no password was left by a first start that never finished: anybody may use it.
        if self.alive() and self._password() is None:
            await self.stop()
        return await super().ensure()

    async def start(self) -> None:
        """Start the process anew."""
        if self._password() is None:
            await self._make_user()
        await self._launch("--auth")

    async def url(self) -> str:
        """Its address, once it answers."""
        await self._listening()
        query = "authSource=admin&w=majority&journal=true&directConnection=true"
        url = f"mongodb://{USER}:{self._password()}@127.0.0.1:{self._port()}/haoma?{query}"
        try:
            async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=ANSWER_MS) as client:
                await refuse_strangers(client)
        except PyMongoError as error:
            text = f"The embedded {self.label} refuses us: see {self.log}, or move {self.home} away."
            raise EmbeddedStoreError(text) from error
        return url

    async def _make_user(self) -> None:
        password = secrets.token_urlsafe(32)
        await self._launch()
        open_url = f"mongodb://127.0.0.1:{self._port()}/?directConnection=true"
        async with AsyncMongoClient[dict[str, Any]](open_url) as client:
            with suppress(OperationFailure):  # there is one if an earlier first start was cut short
                await client.admin.command("dropUser", USER)
            await client.admin.command("createUser", USER, pwd=password, roles=["root"])
        await self.stop()
        write_private(self.home / "password", password)

    async def _launch(self, *options: str) -> None:
        config = self.home / "secantusd.toml"
        write_private(config, "")  # its own, or it would look for one in the user's home
        data = self.home / "data"
        command = [find_command(), "--config", str(config), "--storage-path", str(data), *OPTIONS]
        for tries_left in reversed(range(PORT_TRIES)):
            port = free_port()
            write_private(self.home / "port", str(port))
            self._spawn([*command, "--port", str(port), *options])
            try:
                await self._while_alive(self._listening())
                break
            except EmbeddedStoreError:
                # Somebody else may have taken the port between our look and its start.
                if not tries_left or "Address already in use" not in self._said():
                    raise

    async def _listening(self) -> None:
        port = self._port()
        while not await connects(port):
            await asyncio.sleep(POLL_S)

    async def _deaf(self) -> bool:
        # A signal does not always wake its main thread. To stop it also needs one more connection.
        return await connects(self._port())

    def _port(self) -> int:
        with suppress(FileNotFoundError):  # its directory was deleted: as we knew it
            self._last_port = int((self.home / "port").read_text())
        return self._last_port

    def _password(self) -> str | None:
        try:
            return (self.home / "password").read_text()
        except FileNotFoundError:
            return None


async def refuse_strangers(client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Raise if somebody used the moment before the password to make an account there."""
    users = (await client.admin.command("usersInfo", 1))["users"]
    if [user["user"] for user in users] != [USER]:
        raise EmbeddedStoreError("The embedded MongoDB has accounts of strangers: start on a new VAR_DIR.")


async def connects(port: int) -> bool:
    """True when something listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A local port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_command() -> str:
    """The server's command: beside our Python, else on PATH."""
    beside = Path(sys.executable).with_name(COMMAND)
    if found := shutil.which(beside) or shutil.which(COMMAND):
        return found
    raise EmbeddedStoreError(f"There is no {COMMAND} here: run `make run`, which brings it, or set MONGO_URL.")

"""What all parts stand on: stores that outlive every server, servers that come and go, vendors, and a table."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.embedded import EmbeddedStores
from tests.helpers import ROOT, RestClient, ServerProcess
from tests.vendors import STAND_INS

FINAL = {"accepted", "delivered", "failed"}
Settings = Mapping[str, str]
_COMMON = {"LIMITS": "observe", "CAPTCHA_PROVIDER": "none", "LOG_FORMAT": "json"}


def vendor_settings(ports: Mapping[str, int], *, rate: float) -> dict[str, str]:
    """These stand-ins, in this order, each asked for `rate` SMS per second at most."""
    found = {"SMS_PROVIDERS": ",".join(ports)}
    for name, port in ports.items():
        found |= STAND_INS[name](port=port).environ() | {f"SMS_{name.upper()}_RATE": str(rate)}
    return found


@asynccontextmanager
async def open_stores(directory: Path) -> AsyncIterator[dict[str, str]]:
    """Stores of which this script is a user, so that they stay when the last server is killed; where they are."""
    directory.mkdir(exist_ok=True)
    stores = EmbeddedStores(directory / "stores", redis=True, mongo=True)
    urls = await stores.start()
    try:
        yield {"REDIS_URL": urls.redis_url or "", "MONGO_URL": urls.mongo_url or ""}
    finally:
        await stores.aclose()


class Server:
    """A `run.py` with a REST client of its own; its log is kept."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.port = process.port
        self.rest = RestClient(process.port)

    @classmethod
    async def start(cls, directory: Path, settings: Settings) -> "Server":
        log = directory / "servers.log"
        return cls(await ServerProcess.start(directory / "var", log=log, **{**_COMMON, **settings}))

    async def kill(self) -> None:
        """The client stays open, for a request that the kill meets."""
        await self.process.kill()

    async def stop(self) -> int:
        status = await self.process.stop()
        self.rest.close()
        return status

    async def metric(self, name: str) -> float | None:
        """One sample of `/metrics`, by its name with its labels."""
        text = (await self.rest.get("/metrics")).body.decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None


@asynccontextmanager
async def open_servers(directory: Path, count: int, settings: Settings) -> AsyncIterator[list[Server]]:
    """`count` servers beside each other."""
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(count):
            servers.append(await Server.start(directory, settings))
            stack.push_async_callback(servers[-1].stop)
        yield servers


class VendorProcess:
    """A stand-in with a process of its own, so that what happens to the servers does not reach it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self.ports = {name: int(url.rsplit(":", 1)[1])}
        self._rest = RestClient(self.ports[name])

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str) -> AsyncIterator["VendorProcess"]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.vendors", name, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            yield cls(name, process, (await process.stdout.readline()).decode().strip())
        finally:
            process.kill()
            await process.wait()

    async def behave(self, **how: Any) -> None:
        """Answer so from now on (tests/vendors)."""
        assert (await self._rest.post("/_behave", how)).status == 200

    async def sent(self) -> list[dict[str, Any]]:
        """All orders that it took."""
        return list((await self._rest.get("/_sent")).body)


@dataclass
class Table:
    """Counts, and which of them break a promise."""

    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        """A count."""
        text = f"{value:.2f}" if isinstance(value, float) else str(value)
        self.rows.append((name, text))

    def require(self, name: str, value: object, *, holds: bool) -> None:
        """A count that a promise is about."""
        self.add(name, value)
        if not holds:
            self.broken.append(f"{name}: {value}")

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        lines = [f"{name:<{width}}  {value:>8}" for name, value in self.rows]
        verdict = "BROKEN: " + "; ".join(self.broken) if self.broken else "every promise held"
        return "\n".join([self.title, "-" * (width + 10), *lines, verdict, ""])


def number(count: int) -> str:
    """A mobile number of a range that nobody has."""
    return f"154{count:08d}"


def new_seed() -> int:
    """To be printed, so that a failure can be repeated."""
    return int.from_bytes(os.urandom(4))

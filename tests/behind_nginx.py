"""`make try-nginx`: two servers behind a real nginx with docs/examples/nginx.conf, and what must hold there. It needs
an nginx, which not every machine has, so it is no part of the tests."""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from tests.chaos.world import Server
from tests.helpers import MOBILE, PASSWORD, ROOT, PageClient
from tests.rigs import free_port

FREE = "15400000003"
PAGES = 40
HANDSHAKE_S = 5
_TLS = ("listen 443 ssl;", "ssl_certificate ", "ssl_certificate_key ", "ssl_protocols ")


def config(port: int, upstreams: list[int], folder: Path) -> str:
    """The example with our ports, without TLS."""
    text = (ROOT / "docs/examples/nginx.conf").read_text(encoding="utf-8")
    text = text[: text.index("    server {\n        listen 80;")] + "}\n"
    for given, ours in (
        *((f"10.0.0.{11 + number}:8000", f"127.0.0.1:{upstream}") for number, upstream in enumerate(upstreams)),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("/var/log/nginx/haoma.log", str(folder / "access.log")),
        ("haoma.example", "127.0.0.1"),
    ):
        assert given in text, given
        text = text.replace(given, ours)
    lines = [line for line in text.splitlines() if not line.strip().startswith(_TLS[1:])]
    return f"pid {folder}/pid;\nerror_log {folder}/error.log;\n" + "\n".join(lines)


@asynccontextmanager
async def nginx(port: int, upstreams: list[int], folder: Path) -> AsyncIterator[None]:
    """One that runs."""
    file = folder / "nginx.conf"
    file.write_text(config(port, upstreams, folder), encoding="utf-8")
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        sys.exit("There is no nginx here: apt-get install nginx-light")
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(file), "-g", "daemon off;"])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


class Visitor:
    """A page that comes back, as ours do: after a moment, or when the server asked it to."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.gaps: list[tuple[float, float]] = []
        self.opened = 0

    async def stay(self, transaction: str) -> None:
        """Until cancelled. Each gap is noted beside the pause that was agreed."""
        left = pause_s = 0.0
        while True:
            try:
                self.page = await PageClient.open(self._port)
                shown = await self.page.ask("sms.watch", transaction=transaction)
            except (HTTPClientError, OSError, TimeoutError):
                await asyncio.sleep(0.2)
                continue
            assert shown["data"]["transaction"] == transaction, shown
            assert (await self.page.ask("mobile.check", mobile=MOBILE))["type"] == "mobile.checked"
            if left:
                self.gaps.append((perf_counter() - left, pause_s))
            self.opened += 1
            await asyncio.wait([self.page.closed])
            left = perf_counter()
            closing = [event for event in self.page.unasked if event["type"] == "server.closing"]
            pause_s = closing[-1]["data"]["retry_after"] if closing else 1.0
            await asyncio.sleep(pause_s)


class Trial:
    """Two servers, their nginx, and a line for each promise."""

    def __init__(self, port: int, servers: list[Server], log: Path) -> None:
        self.port = port
        self.servers = servers
        self.failed = 0
        self._log = log
        self._http = AsyncHTTPClient(force_instance=True)

    def say(self, promise: str, held: bool, seen: Any = "") -> None:
        self.failed += not held
        sys.stdout.write(f"{'ok    ' if held else 'BROKEN'} {promise}{f' ({seen})' if seen else ''}\n")
        sys.stdout.flush()

    async def get(self, path: str, **headers: str) -> int:
        request = HTTPRequest(f"http://127.0.0.1:{self.port}{path}", headers=headers, request_timeout=10)
        return (await self._http.fetch(request, raise_error=False)).code

    def addresses(self) -> set[str]:
        """Of whom the servers' log tells."""
        lines = (json.loads(line) for line in self._log.read_text().splitlines())
        return {line["address"] for line in lines if line.get("event") == "http.request"}

    async def pages(self) -> list[float | None]:
        return [await server.metric("haoma_pages_open") for server in self.servers]

    async def register(self) -> None:
        """An account, through the first server alone."""
        rest = self.servers[0].rest
        sent = (await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"})).body["transaction"]
        codes: list[str] = []
        while not codes:
            codes = [one["code"] for one in (await rest.get("/dev/inbox.json")).body if one["mobile"] == MOBILE]
        form = {"mobile": MOBILE, "password": PASSWORD, "sms_code": codes[0], "transaction": sent}
        made = await rest.post("/user/", form)
        assert made.status == 201, made.body


async def until(true: Any, patience_s: float) -> bool:
    """Whether it came true in that time."""
    try:
        async with asyncio.timeout(patience_s):
            while not await true():
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True


async def check_addresses(trial: Trial) -> None:
    """Whoever asks is who the log and the limits take for it."""
    hop = ["curl", "-s", "-o", "/dev/null", "--interface", "127.0.0.77"]
    for claim in ("198.51.100.7", "127.0.0.1", "198.51.100.7, 127.0.0.1"):
        subprocess.run(
            [*hop, "-H", f"X-Forwarded-For: {claim}", f"http://127.0.0.1:{trial.port}/user/mobile/{MOBILE}/"],
            check=True,
        )
    seen = trial.addresses()
    trial.say("the true address of a client is known, whatever it claims", "127.0.0.77" in seen)
    trial.say("what it claims is not believed", not any(one.startswith("198.51") for one in seen))


async def check_restart(trial: Trial, visitors: list[Visitor], stop: Any, what: str) -> None:
    """One server goes: nobody is refused meanwhile, and its pages are back in their time."""
    before = sum(len(visitor.gaps) for visitor in visitors)
    _, theirs = await trial.pages()
    statuses: list[int] = []

    async def ask() -> None:
        while True:
            statuses.append(await trial.get(f"/user/mobile/{FREE}/"))

    asking = asyncio.create_task(ask())
    await stop()

    async def back() -> bool:
        return sum(len(visitor.gaps) for visitor in visitors) - before >= (theirs or 0)

    returned = await until(back, 40)
    asking.cancel()
    gaps = [gap for visitor in visitors for gap in visitor.gaps]
    late = max((gap - pause for gap, pause in gaps), default=0.0)
    trial.say(f"{what}: all of its pages come back", returned and bool(theirs), f"{theirs:.0f}")
    trial.say(f"{what}: no later than agreed and a handshake", late < HANDSHAKE_S, f"{late * 1000:.0f} ms at most")
    trial.say(f"{what}: nobody is refused meanwhile", {*statuses} == {200}, dict(Counter(statuses)))


async def run(trial: Trial, start: Any) -> None:
    """All of it."""
    for path in ("/metrics", "/healthz", "/readyz"):
        trial.say(f"{path} is not for the outside", await trial.get(path) == 404)
    await check_addresses(trial)
    sms = await trial.servers[0].rest.post("/user/sms/", {"mobile": "15400000002", "purpose": "register"})
    visitors = [Visitor(trial.port) for _ in range(PAGES)]
    staying = [asyncio.create_task(visitor.stay(sms.body["transaction"])) for visitor in visitors]
    await until(lambda: asyncio.sleep(0, all(visitor.opened for visitor in visitors)), 20)
    shares = await trial.pages()
    trial.say(
        "websockets pass, and are shared out",
        sum(s or 0 for s in shares) == PAGES and min(s or 0 for s in shares) > 5,
        shares,
    )
    await trial.register()
    heard = [(await visitor.page.next_event("mobile.taken"))["data"]["mobile"] for visitor in visitors]
    trial.say("a push of one process reaches the pages of both", heard == [MOBILE] * PAGES)
    dying = trial.servers[1]
    await check_restart(trial, visitors, dying.kill, "kill -9")
    trial.servers[1] = await start(dying.port)
    trial.servers.reverse()
    await check_restart(trial, visitors, trial.servers[1].stop, "SIGTERM")
    for task in staying:
        task.cancel()
    ended = await asyncio.gather(*staying, return_exceptions=True)
    trial.say("each page found its SMS again", all(isinstance(end, asyncio.CancelledError) for end in ended))


async def main() -> int:
    with tempfile.TemporaryDirectory(prefix="haoma-nginx-") as name:
        folder = Path(name)
        port, ports = free_port(), [free_port(), free_port()]
        site = f"http://127.0.0.1:{port}"
        settings = {"TRUSTED_PROXIES": "127.0.0.1", "ALLOWED_ORIGINS": site, "SMS_BUDGET_MINUTE": "1000"}

        async def start(own: int) -> Server:
            return await Server.start(folder, settings | {"PORT": str(own)})

        servers = [await start(own) for own in ports]
        trial = Trial(port, servers, folder / "servers.log")
        try:
            async with nginx(port, ports, folder):
                await until(lambda: _listens(port), 10)
                await run(trial, start)
        finally:
            for server in trial.servers:
                await server.stop()
    return 1 if trial.failed else 0


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

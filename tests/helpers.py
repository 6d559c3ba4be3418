"""What tests use to speak with the service: a clock of their own, a page, a REST client, whole processes."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tornado.websocket
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse

from server.clock import Clock
from server.sms.provider import ReceiptReader, SendFailed, SendResult, Sms

ROOT = Path(__file__).parent.parent
MOBILE = "15400000001"
PASSWORD = "correct horse battery"


on_both_drivers = pytest.mark.parametrize("mongo_driver", ["motor", "pymongo"])


class FakeClock(Clock):
    """Time moves when the test says so; every Lua step moves with it."""

    def advance(self, seconds: float) -> None:
        self.offset_ms += round(seconds * 1000)


class ScriptedProvider:
    """A provider at the vendor's edge that does what the test says and remembers what it got."""

    receipts: ReceiptReader | None = None
    notices = True

    def __init__(self, name: str = "scripted", *, delivers: bool = True) -> None:
        self.name = name
        self.delivers = delivers
        self.sent: list[Sms] = []
        self.times: list[float] = []
        self.faults: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()  # that somebody stands before the gate, or did
        self._arrived = asyncio.Condition()

    async def send(self, sms: Sms) -> SendResult:
        self.asked.set()
        await self.gate.wait()
        async with self._arrived:
            self.sent.append(sms)
            self.times.append(asyncio.get_running_loop().time())
            self._arrived.notify_all()
        if self.faults:
            raise self.faults.pop(0)
        return SendResult(message_id=f"{self.name}-{len(self.sent)}", delivered=self.delivers)

    async def nth(self, number: int) -> Sms:
        """The `number`-th SMS, counted from 1, as soon as it has been handed over."""
        async with self._arrived, asyncio.timeout(8):
            await self._arrived.wait_for(lambda: len(self.sent) >= number)
        return self.sent[number - 1]

    def refuse(self, *kinds: str) -> None:
        self.faults += [SendFailed(kind, "scripted") for kind in kinds]  # type: ignore[arg-type]


@dataclass
class Answer:
    """A REST answer."""

    status: int
    body: Any
    headers: Any

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.body["error"])


class RestClient:
    """What `curl` would do, against one server."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self._client = AsyncHTTPClient(force_instance=True, max_clients=200)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        raw = body if isinstance(body, str | bytes | None) else json.dumps(body)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if method in ("POST", "PUT", "PATCH") and "Content-Type" not in given:
            given["Content-Type"] = "application/json"
        answer: HTTPResponse = await self._client.fetch(
            HTTPRequest(
                self.base + path,
                method=method,
                body=raw,
                headers=given,
                follow_redirects=False,
                allow_nonstandard_methods=True,
                request_timeout=20,
            ),
            raise_error=False,
        )
        kind = answer.headers.get("Content-Type", "")
        parsed = json.loads(answer.body) if answer.body and "json" in kind else answer.body
        return Answer(answer.code, parsed, answer.headers)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        return await self.ask("POST", path, body, **headers)

    def close(self) -> None:
        self._client.close()


class PageClient:
    """A page on a websocket: `ask` and see the answer, `next_event` and see what is pushed."""

    def __init__(self, socket: tornado.websocket.WebSocketClientConnection) -> None:
        self.socket = socket
        self._next_id = 0
        self._answers: dict[Any, asyncio.Future[dict[str, Any]]] = {}
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.unasked: list[dict[str, Any]] = []
        self.closed: asyncio.Future[tuple[int | None, str | None]] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, port: int, lang: str = "", path: str = "/ws", **headers: str) -> "PageClient":
        origin = {"Origin": f"http://127.0.0.1:{port}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        url = f"ws://127.0.0.1:{port}{path}" + (f"?lang={lang}" if lang else "")
        return cls(await tornado.websocket.websocket_connect(HTTPRequest(url, headers=origin)))

    async def ask(self, kind: str, /, **data: Any) -> dict[str, Any]:
        """The answer's frame, whether it is a reply or an error."""
        self._next_id += 1
        answer = self._answers[self._next_id] = asyncio.get_running_loop().create_future()
        await self.send({"type": kind, "id": self._next_id, "data": data})
        async with asyncio.timeout(20):
            return await answer

    async def send(self, message: Any) -> None:
        """Any message, also one that is none."""
        raw = message if isinstance(message, str | bytes) else json.dumps(message)
        await self.socket.write_message(raw, binary=isinstance(raw, bytes))

    async def next_event(self, kind: str = "", timeout_s: float = 8) -> dict[str, Any]:
        """The next push (of that kind, others are skipped)."""
        async with asyncio.timeout(timeout_s):
            while True:
                event = await self._events.get()
                if not kind or event["type"] == kind:
                    return event

    async def state(self, status: str) -> dict[str, Any]:
        """Wait until the SMS has come so far."""
        while True:
            event = await self.next_event("sms.state")
            if event["data"]["status"] == status:
                return dict(event["data"])

    async def close(self) -> None:
        self.socket.close()
        await self.closed

    async def _read(self) -> None:
        try:
            while (raw := await self.socket.read_message()) is not None:
                self._sort(json.loads(raw))
        finally:
            self.socket.close()
            self.closed.set_result((self.socket.close_code, self.socket.close_reason))

    def _sort(self, frame: dict[str, Any]) -> None:
        waiting = self._answers.pop(frame["id"], None)
        if waiting is None:
            self._events.put_nowait(frame)
            self.unasked.append(frame)
        elif not waiting.done():
            waiting.set_result(frame)


class ServerProcess:
    """A whole `run.py`, as an operator would start it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.port = 0
        self._tasks = AsyncExitStack()

    @classmethod
    async def start(cls, var_dir: Path, *, log: Path = Path(os.devnull), **settings: str) -> "ServerProcess":
        """Start one and wait for its line; its log is added to `log`, `settings` go into its environment."""
        environ = {
            name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "SYSTEMROOT")
        } | {"VAR_DIR": str(var_dir), "PORT": "0", "BCRYPT_COST": "10", "CAPTCHA_PROVIDER": "none"}
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "run.py",
                cwd=ROOT,
                env=environ | settings,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        started = cls(process)
        assert process.stdout is not None
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        assert "ready" in line, f"run.py said {line!r}"
        started.port = int(line.rsplit(":", 1)[1].split("/")[0])
        return started

    async def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> int:
        """As an operator would; the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def servers(var_dir: Path, count: int, **settings: str) -> AsyncIterator[list[ServerProcess]]:
    """`count` processes on the same stores."""
    async with AsyncExitStack() as stack:
        started = []
        for _ in range(count):
            started.append(await ServerProcess.start(var_dir, **settings))
            stack.push_async_callback(started[-1].stop)
        yield started


class Relay:
    """Stands between the service and a store, and fails as networks do: `cut` refuses, `hang` is silent."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._streams: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse and drop all connections."""
        self._server.close()
        for stream in [*self._streams]:
            stream.transport.abort()
        await self._server.wait_closed()

    def hang(self) -> None:
        """Keep connections but pass nothing on."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass everything on again."""
        self._flowing.set()

    async def aclose(self) -> None:
        self.flow()
        await self.cut()
        for pump in [*self._pumps]:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target.startswith("/"):
            far_reader, far_writer = await asyncio.open_unix_connection(self._target)
        else:
            host, _, port = self._target.partition(":")
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self._streams.add(sink)
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        except (ConnectionError, OSError):
            pass
        finally:
            self._streams.discard(sink)
            sink.close()

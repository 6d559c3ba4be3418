"""The life of one process: open the port, serve, drain, stop."""

import asyncio
import gc
import os
import signal
import socket
import sys
from typing import Any

import uvloop
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from server.app import make_app
from server.clock import Clock
from server.container import StartFault, open_services, open_stores
from server.edge import make_edge
from server.embedded import EmbeddedStoreError, EmbeddedStores
from server.errors import StoreUnavailable
from server.handlers.page_socket import OpenSockets
from server.i18n import load_texts
from server.logs import get_log, set_up_logs
from server.operations import Dispatcher
from server.schemas.base import Rules
from server.settings import Settings, SettingsFault
from server.tasks import Tasks
from server.workers import WorkerFailed, Workers, inherited_sockets, on_parent_end

_log = get_log(__name__)
# Handlers refuse with an answer what is too large, long before the server cuts the connection at these.
SERVER_OPTIONS: dict[str, Any] = {
    "max_header_size": 128 * 1024,
    "max_body_size": 1024 * 1024 * 1024,
    "body_timeout": 10,
    "idle_connection_timeout": 75,
}
DRAIN_S = 20
LINGER_S = 0.5


def run() -> int:
    """The exit status: 0 after a clean stop, 1 if something stood against starting or running."""
    try:
        settings = Settings.from_env()
        return uvloop.run(serve(settings) if settings.processes == 1 else serve_with_workers(settings))
    except WorkerFailed:
        print("Haoma cannot start: a worker ended before it was ready; see above.", file=sys.stderr)
    except (SettingsFault, StartFault, EmbeddedStoreError) as fault:
        print(f"Haoma cannot start: {fault}", file=sys.stderr)
    except StoreUnavailable as fault:
        print(f"Haoma cannot start: {fault.store} stopped answering or refused us ({fault}).", file=sys.stderr)
    except KeyboardInterrupt:
        pass  # Before our own handlers were in place.
    return 1


def rules_of(settings: Settings) -> Rules:
    """What the operator has set about shapes."""
    return Rules(settings.password_min, settings.password_max, settings.password_rule())


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C (0), or until a store of ours dies (1)."""
    set_up_logs(settings.log_format)
    load_texts()
    clock = Clock()
    stop = _on_signals()
    sockets = inherited_sockets()
    if sockets:
        on_parent_end(stop)
    sockets = sockets or _bind(settings)
    port = sockets[0].getsockname()[1]
    async with (
        open_stores(settings, clock) as (mongo, redis, embedded),
        open_services(settings, mongo=mongo, redis=redis, clock=clock) as services,
    ):
        pages = OpenSockets()
        services.health.on_change(pages.broadcast)
        services.monitor.on_drain(stop.set)
        dispatcher = Dispatcher(services, rules_of(settings))
        app = make_app(dispatcher, make_edge(settings, port), settings, pages)
        server = HTTPServer(app, **SERVER_OPTIONS)
        server.add_sockets(sockets)
        _spare_the_collector()
        _announce(settings, port)
        died = await _wait(stop, embedded)
        await _drain(server, dispatcher, pages)
    _log.info("server.stopped")
    return 1 if died else 0


async def serve_with_workers(settings: Settings) -> int:
    """PROCESSES workers on one port, until SIGTERM or Ctrl-C (0), or until a store of ours dies (1). SIGHUP replaces
    them one by one."""
    set_up_logs(settings.log_format)
    clock = Clock()
    stop = _on_signals()
    sockets = _bind(settings)
    async with open_stores(settings, clock) as (_, _, embedded):
        metrics_dir = settings.var_dir / f"metrics-{os.getpid()}"
        workers = Workers(settings.processes, sockets, metrics_dir=metrics_dir, clock=clock)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # There is nobody to replace yet.
        await workers.start()
        tasks = Tasks(clock)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: tasks.start(workers.replace_all()))
        _announce(settings, sockets[0].getsockname()[1])
        died = await _wait(stop, embedded)
        await tasks.aclose()
        await workers.aclose()
    return 1 if died else 0


def _spare_the_collector() -> None:
    """What is there after the start stays for good, and answers leave few cycles: to look for those every 700 objects
    costs more than all limits of a check."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _bind(settings: Settings) -> list[socket.socket]:
    try:
        return bind_sockets(settings.port, settings.host)
    except OSError as fault:
        raise StartFault(
            f"port {settings.port} on {settings.host} cannot be used ({fault.strerror}); set PORT or HOST."
        ) from None


def _announce(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if not settings.mongo_url:
        _log.warning("stores.embedded", note="SecantusDB is beta, for trying and developing; else set MONGO_URL")
    print(f"Haoma is ready: {settings.site_url or f'http://{host}:{port}'}/register", flush=True)


async def _wait(stop: asyncio.Event, embedded: EmbeddedStores) -> bool:
    """True if a store died. Half alive is worse than stopped."""
    stopping = asyncio.create_task(stop.wait())
    dying = asyncio.create_task(embedded.wait_died())
    await asyncio.wait({stopping, dying}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not dying.done():
        dying.cancel()
        return False
    print(f"Haoma stops: {dying.result()}", file=sys.stderr)
    return True


async def _drain(server: HTTPServer, dispatcher: Dispatcher, pages: OpenSockets) -> None:
    """Not ready, no new connections, pages sent away, polls answered, running requests finished."""
    _log.info("server.draining", at_most_s=DRAIN_S)
    dispatcher.services.health.draining = True
    server.stop()
    dispatcher.services.polls.end()
    await pages.announce_end()
    dispatcher.services.monitor.end()
    try:
        async with asyncio.timeout(DRAIN_S):
            await dispatcher.idle()
            # What is no operation, and whoever was let in a moment ago, is answered too.
            await asyncio.sleep(LINGER_S)
            await dispatcher.idle()
            await pages.close_all()
            await server.close_all_connections()
    except TimeoutError:
        _log.warning("drain.cut_short", after_s=DRAIN_S)

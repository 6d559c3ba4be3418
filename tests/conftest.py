"""Embedded stores once per run; for each test a fresh database, and services over it that live in its loop."""

import asyncio
import base64
import io
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port

from server.app import App, make_app
from server.captcha.altcha import Altcha
from server.container import open_services
from server.edge import make_edge
from server.embedded import EmbeddedStores, Urls
from server.handlers.page_socket import OpenSockets
from server.i18n import load_texts
from server.logs import set_up_logs
from server.main import SERVER_OPTIONS, rules_of
from server.operations import Dispatcher
from server.services import Services
from server.settings import Settings
from server.sms.router import Route
from server.stores.jobs import JobStore
from server.stores.mongo import Mongo
from server.stores.providers import ProviderStore
from server.stores.redis import Redis
from server.stores.users import UserStore
from tests.declared import DeclaredPage, DeclaredRest
from tests.helpers import FakeClock, PageClient, RestClient, ScriptedProvider
from tests.rigs import ClusterRig, SentinelRig, StandaloneRig

load_texts()
_KEY = base64.b64encode(bytes(range(1, 200, 5))[:32]).decode()


@pytest.fixture(scope="session", autouse=True)
def _a_loop_to_return_to() -> Iterator[None]:
    """Tornado's test loop puts back the loop that was current before; without one it would make and leak it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="session")
def store_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Urls]:
    """Where the run's own stores are."""
    stores = EmbeddedStores(tmp_path_factory.mktemp("stores"), redis=True, mongo=True)
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete(stores.start())
    loop.run_until_complete(stores.aclose())
    loop.close()


@pytest.fixture
def mongo_driver() -> str:
    """MONGO_DRIVER; `on_both_drivers` runs a test with each."""
    return "motor"


@pytest.fixture
def settings_of(store_urls: Urls, tmp_path: Path, mongo_driver: str) -> Callable[..., Settings]:
    """Settings on a database that no other test has."""

    def make(**given: str) -> Settings:
        assert store_urls.mongo_url is not None
        assert store_urls.redis_url is not None
        database = "test_" + os.urandom(6).hex()
        environ = {
            "MONGO_URL": store_urls.mongo_url.replace("/haoma?", f"/{database}?"),
            "MONGO_DRIVER": mongo_driver,
            "REDIS_URL": store_urls.redis_url,
            "VAR_DIR": str(tmp_path / "var"),
            "CODE_KEYS": f"t1:{_KEY}",
            "TOKEN_KEYS": f"t1:{_KEY}",
            "PASSWORD_PEPPERS": f"t1:{_KEY}",
            "BCRYPT_COST": "10",
            "CAPTCHA_PROVIDER": "none",
        }
        return Settings.from_env(environ | given)

    return make


@dataclass
class Stack:
    """Everything of one running service."""

    settings: Settings
    services: Services
    clock: FakeClock
    redis: Redis
    mongo: Mongo
    provider: ScriptedProvider
    dispatcher: Dispatcher
    sockets: OpenSockets
    app: App
    port: int
    clients: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def queue(self) -> JobStore:
        """The service's own queue, seen from outside."""
        return JobStore(self.redis)

    @property
    def users(self) -> UserStore:
        """The service's own store of accounts."""
        return self.services.accounts._users

    @property
    def breakers(self) -> ProviderStore:
        """What all processes know of the providers."""
        return ProviderStore(self.redis)

    async def page(self, lang: str = "", **headers: str) -> PageClient:
        """A page on a websocket."""
        page = await DeclaredPage.open(self.port, lang, **headers)
        self.clients.push_async_callback(page.close)
        return page

    def rest(self) -> RestClient:
        """A REST client."""
        client = DeclaredRest(self.port)
        self.clients.callback(client.close)
        return client


@asynccontextmanager
async def open_stack(
    settings: Settings, *, sandbox: bool = False, routes: Sequence[Route] = ()
) -> AsyncIterator[Stack]:
    """A service that listens on a port of its own. `sandbox`: with its own providers instead of a scripted one."""
    async with AsyncExitStack() as stack:
        clock, provider = FakeClock(), ScriptedProvider()
        redis = Redis(settings.redis_url, clock=clock, replicas=settings.redis_wait_replicas)
        stack.push_async_callback(redis.aclose)
        await redis.each("FLUSHALL")
        mongo = Mongo(settings.mongo_url, settings.mongo_driver)
        stack.push_async_callback(mongo.aclose)
        services = await stack.enter_async_context(
            open_services(
                settings,
                mongo=mongo,
                redis=redis,
                clock=clock,
                routes=() if sandbox else routes or [Route(provider, rate=1000)],
                captcha=Altcha([b"k" * 32], cost=10, tries=(5, 9)),
            )
        )
        sockets = OpenSockets()
        services.health.on_change(sockets.broadcast)
        dispatcher = Dispatcher(services, rules_of(settings))
        listener, port = bind_unused_port()
        app = make_app(dispatcher, make_edge(settings, port), settings, sockets)
        server = HTTPServer(app, **SERVER_OPTIONS)
        server.add_sockets([listener])
        running = Stack(settings, services, clock, redis, mongo, provider, dispatcher, sockets, app, port)
        yield running
        await running.clients.aclose()
        server.stop()
        services.polls.end()
        await dispatcher.idle()
        await server.close_all_connections()


@pytest.fixture
def start(
    io_loop: IOLoop, settings_of: Callable[..., Settings]
) -> Iterator[Callable[..., Coroutine[Any, Any, Stack]]]:
    """`await start(SMS_INTERVAL_S="3")`: a service with these settings; all are stopped after the test."""
    opened = AsyncExitStack()

    async def run(*, sandbox: bool = False, routes: Sequence[Route] = (), **given: str) -> Stack:
        return await opened.enter_async_context(open_stack(settings_of(**given), sandbox=sandbox, routes=routes))

    yield run
    io_loop.run_sync(opened.aclose, timeout=30)


@pytest.fixture
def stack(io_loop: IOLoop, start: Callable[..., Coroutine[Any, Any, Stack]]) -> Stack:
    """A service with default settings, no captcha and a scripted provider."""
    running: Stack = io_loop.run_sync(start)
    return running


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a running server would write to its log, as JSON lines."""
    root = logging.getLogger()
    handlers, level, before = [*root.handlers], root.level, structlog.get_config()
    stream = io.StringIO()
    set_up_logs("json", stream)
    structlog.configure(cache_logger_on_first_use=False)  # or the next test would write into this stream
    yield stream
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(params=["websockets", "tornado"])
def protocol(request: pytest.FixtureRequest) -> str:
    """WEBSOCKET_PROTOCOL."""
    return str(request.param)


@pytest.fixture
def wired(io_loop: IOLoop, start: Callable[..., Coroutine[Any, Any, Stack]], protocol: str) -> Stack:
    """A service on that protocol, which counts and refuses nothing for its rate."""
    running: Stack = io_loop.run_sync(lambda: start(WEBSOCKET_PROTOCOL=protocol, LIMITS="observe"))
    return running


@pytest.fixture
def unhandled(logged: io.StringIO, io_loop: IOLoop) -> Callable[[], list[str]]:
    """What went wrong that nobody expected: lines of the log at `error`, and what the loop was told."""
    told: list[str] = []
    io_loop.asyncio_loop.set_exception_handler(lambda _, context: told.append(str(context)))  # type: ignore[attr-defined]
    return lambda: told + [line for line in logged.getvalue().splitlines() if '"level":"error"' in line]


@pytest.fixture
def services(stack: Stack) -> Services:
    return stack.services


@pytest.fixture
def rest(stack: Stack) -> RestClient:
    return stack.rest()


@pytest.fixture(scope="session")
def _standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneRig]:
    rig = StandaloneRig(tmp_path_factory.mktemp("standalone"))
    yield rig
    rig.close()


@pytest.fixture(scope="session")
def _sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelRig]:
    rig = SentinelRig(tmp_path_factory.mktemp("sentinel"))
    yield rig
    rig.close()


@pytest.fixture(scope="session")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterRig]:
    rig = ClusterRig(tmp_path_factory.mktemp("cluster"))
    yield rig
    rig.close()


@pytest.fixture
def standalone_rig(_standalone: StandaloneRig) -> Iterator[StandaloneRig]:
    """A Redis of its own that a test may stop, starve or break."""
    yield _standalone
    _standalone.heal()


@pytest.fixture
def sentinel_rig(_sentinel: SentinelRig) -> Iterator[SentinelRig]:
    """A master, a replica and three Sentinels, whole again after the test."""
    yield _sentinel
    _sentinel.heal()


@pytest.fixture
def cluster_rig(_cluster: ClusterRig) -> Iterator[ClusterRig]:
    """Three masters with a replica each, whole again after the test."""
    yield _cluster
    _cluster.heal()


@pytest.fixture(params=["sentinel", "cluster"])
def rig(request: pytest.FixtureRequest) -> SentinelRig | ClusterRig:
    """Each of the two that outlive their master."""
    found: SentinelRig | ClusterRig = request.getfixturevalue(f"{request.param}_rig")
    return found

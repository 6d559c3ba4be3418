"""One Redis server and its connections, and where it is: at an address, or where the Sentinels say."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError

from server.errors import StoreUnavailable
from server.stores.redis_batch import CALL_TIMEOUT_S, Command, Step, exchange_durably, unavailable
from server.stores.redis_line import Line
from server.stores.redis_url import Address

# All steps share one connection, but for those that replicas have to have: a batch of them, as long as this at most,
# has one for itself while it waits.
CONNECTIONS, LONGEST_BATCH = 64, 200
SENTINEL_TIMEOUT_S = 0.15  # two that are silent, and there is still time to ask a third


class Nodes(Protocol):
    """A way of having Redis: one server, or many."""

    clustered: bool

    async def run(self, key: str, step: Step) -> Any:
        """Run a step where `key` is."""

    async def call(self, key: str | None, command: tuple[Any, ...], reading: dict[str, bool]) -> Any:
        """Run a command where `key` is, or anywhere."""

    async def masters(self) -> list["Node"]:
        """All servers that hold data of their own."""

    def dedicated(self, longest_wait_s: float | None, key: str | None) -> aioredis.Redis:
        """A client of its own for the server where `key` is, or for any."""

    async def aclose(self) -> None:
        """Close all connections."""


class Node:
    """One server. Steps that are submitted in one turn of the loop share a write."""

    def __init__(self, pool: aioredis.ConnectionPool, replicas: int) -> None:
        self.client = aioredis.Redis.from_pool(pool)  # which closes the pool with itself
        self.suspect = False  # whether it failed when last asked
        self._closed = False
        self._pool = pool
        self._replicas = replicas
        self._line: Line | None = None
        self._durable: list[Step] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, step: Step, *, asking: bool = False) -> asyncio.Future[Any]:
        """Its `done`, sure to be settled within CALL_TIMEOUT_S. `asking`: the slot is just moving to this node."""
        if self._closed:
            raise StoreUnavailable("redis", "closed")
        loop = asyncio.get_running_loop()
        step.done, step.asking, step.due = loop.create_future(), asking, loop.time() + CALL_TIMEOUT_S
        if step.durable and self._replicas:
            if not self._durable:
                self._start(self._send_durable())
            self._durable.append(step)
        else:
            self._open_line().take(step)
        return step.done

    async def call(self, command: tuple[Any, ...], reading: dict[str, bool], *, asking: bool = False) -> Any:
        """Run one command, with the steps of its turn; its reply as redis-py reads it."""
        reply = await self.submit(Command(command), asking=asking)
        read = self.client.response_callbacks.get(command[0])
        return read(reply, **reading) if read else reply

    async def aclose(self) -> None:
        """Close all connections once what is under way has ended."""
        self._closed = True
        if self._line and self._line.open:
            self._line.leave()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self.client.aclose()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _open_line(self) -> Line:
        """That of now, or a new one."""
        if self._line is None or not self._line.open:
            self._line = Line(self._pool, self._hear)
            self._start(self._line.run())
        return self._line

    def _hear(self, line: Line, answering: bool) -> None:
        if line is self._line:  # and not one that was left
            self.suspect = not answering

    async def _send_durable(self) -> None:
        steps, self._durable = [step for step in self._durable if not step.done.done()], []
        batches = [steps[start : start + LONGEST_BATCH] for start in range(0, len(steps), LONGEST_BATCH)]
        await asyncio.gather(*(self._run_durable(batch) for batch in batches))

    async def _run_durable(self, steps: list[Step]) -> None:
        """Whatever happens, every step is settled, and none is sent a second time."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._exchange(steps)
        except Exception as fault:
            for step in steps:
                step.settle(unavailable(fault))

    async def _exchange(self, steps: list[Step]) -> None:
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await exchange_durably(connection, steps, self._replicas)
        except BaseException as fault:
            await connection.disconnect(nowait=True)
            if isinstance(fault, ReadOnlyError):  # A master no more; the next connection may find the new one.
                await self._pool.disconnect(inuse_connections=False)
                return
            raise
        finally:
            await self._pool.release(connection)


class OneServer:
    """All keys are on one server."""

    clustered = False

    def __init__(self, address: Address, replicas: int) -> None:
        self._address = address
        self._sentinel = _open_sentinel(address) if address.service else None
        self.node = Node(self._open_pool(CONNECTIONS, None), replicas)

    async def run(self, key: str, step: Step) -> Any:
        return await self.node.submit(step)

    async def call(self, key: str | None, command: tuple[Any, ...], reading: dict[str, bool]) -> Any:
        return await self.node.call(command, reading)

    async def masters(self) -> list[Node]:
        return [self.node]

    def dedicated(self, longest_wait_s: float | None, key: str | None) -> aioredis.Redis:
        return aioredis.Redis.from_pool(self._open_pool(2, longest_wait_s))

    async def aclose(self) -> None:
        await self.node.aclose()
        if self._sentinel:
            await self._sentinel.aclose()

    def _open_pool(self, connections: int, longest_wait_s: float | None) -> aioredis.ConnectionPool:
        if self._sentinel:
            options = pool_options(connections, longest_wait_s) | self._address.options
            return _SentinelPool(self._address.service, self._sentinel, **options)  # type: ignore[no-untyped-call]
        return open_pool(self._address.url, connections, longest_wait_s)


class _SentinelPool(SentinelConnectionPool, aioredis.BlockingConnectionPool):
    """Connects to the master of the moment; who finds all connections taken waits for one, for a time."""


class _Sentinels(Sentinel):
    """Searches one at a time: redis-py moves the one that answered to the front of its list after an await, and two
    searches that do so together drop a Sentinel from the list without closing it."""

    def __init__(self, hosts: Any, **options: Any) -> None:
        super().__init__(hosts, **options)  # type: ignore[no-untyped-call]
        self._searching = asyncio.Lock()

    async def discover_master(self, service_name: str) -> Any:
        async with self._searching:
            return await super().discover_master(service_name)


def _open_sentinel(address: Address) -> Sentinel:
    options = pool_options(2, SENTINEL_TIMEOUT_S) | {"socket_connect_timeout": SENTINEL_TIMEOUT_S}
    del options["timeout"]
    return _Sentinels(address.hosts, sentinel_kwargs=options)


def open_pool(url: str, connections: int, longest_wait_s: float | None) -> aioredis.ConnectionPool:
    """A pool for one address."""
    options = pool_options(connections, longest_wait_s)
    if url.startswith("unix:"):
        del options["socket_keepalive"]
    return aioredis.BlockingConnectionPool.from_url(url, **options)


def pool_options(connections: int, longest_wait_s: float | None) -> dict[str, Any]:
    """Without a limit of the connection's own it is the caller's that counts, and no timer runs for each reply."""
    return {
        "max_connections": connections,
        "timeout": CALL_TIMEOUT_S,
        "socket_timeout": longest_wait_s,
        "socket_connect_timeout": CALL_TIMEOUT_S,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),  # a step whose reply was lost must not run twice
        "decode_responses": True,
        "protocol": 2,  # one shape of replies from 6.2 to the newest
    }

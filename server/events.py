"""What happened, told to every process: publish and subscribe over Redis. A message may get lost;
whoever listens must also look for itself now and then, and at once when `on_gap` calls."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import orjson
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from server.clock import Clock
from server.errors import StoreUnavailable
from server.logs import get_log
from server.slices import Pace
from server.stores.redis import CALL_TIMEOUT_S, Redis
from server.tasks import Tasks

_log = get_log(__name__)
_PING_S = 5
START_PATIENCE_S = 5
Listener = Callable[[str, dict[str, Any]], None]


class topics:  # noqa: N801 (a namespace)
    """Names of all topics."""

    MOBILES = "events:mobiles"
    INBOX = "events:inbox"
    SANDBOX = "events:sandbox"
    SESSIONS = "events:sessions"
    CLAIMS = "events:claims"
    ADMINS = "events:admins"
    CONTROLS = "events:controls"
    FEED = "events:feed"
    PROCESSES = "events:processes"

    @staticmethod
    def sms(transaction: str) -> str:
        """Everything about the SMS of one number: all its transactions share the first part of their id."""
        return f"events:sms:{transaction[:8]}"


def encode(data: dict[str, Any]) -> str:
    """What is published, for steps that publish it themselves."""
    return orjson.dumps(data).decode()


class EventBus:
    """One subscription connection per process; listeners are called in the loop and must not block."""

    def __init__(self, redis: Redis, *, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._tasks = Tasks(clock)
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._confirmed: dict[str, asyncio.Future[None]] = {}
        self._wanted: set[str] = set()
        self._unwanted: set[str] = set()
        self._asking = False
        self._gap_listeners: list[Callable[[], object]] = []
        self._pubsub: PubSub | None = None

    async def start(self) -> None:
        """Begin to listen; returns when the connection stands."""
        try:
            await self._connect()
        except (RedisError, OSError) as fault:
            raise StoreUnavailable("redis", type(fault).__name__) from fault
        self._tasks.start(self._listen())

    async def aclose(self) -> None:
        """Stop listening."""
        await self._tasks.aclose()
        await self._disconnect()

    async def publish(self, topic: str, **data: Any) -> None:
        """Tell every process. Never raises: a lost message is mended by whoever looks for itself."""
        try:
            await self._redis.call("PUBLISH", topic, encode(data))
        except StoreUnavailable as fault:
            _log.warning("event.lost", topic=topic.rpartition(":")[0], why=str(fault))

    async def subscribe(self, topic: str, listener: Listener, *, patience_s: float = CALL_TIMEOUT_S) -> None:
        """Call `listener(topic, data)` from now on; StoreUnavailable if that cannot be promised in `patience_s`."""
        self._listeners[topic].append(listener)
        try:
            async with asyncio.timeout(patience_s):
                await self._require_subscribed(topic)
        except BaseException as fault:
            self.unsubscribe(topic, listener)
            if isinstance(fault, RedisError | OSError | TimeoutError):
                raise StoreUnavailable("redis", type(fault).__name__) from fault
            raise

    async def _require_subscribed(self, topic: str) -> None:
        """All who ask wait for the one confirmation, each with a patience of its own."""
        confirmed = self._confirmed.get(topic)
        if confirmed is None:
            if self._pubsub is None:
                raise ConnectionError("not connected")
            confirmed = self._confirmed[topic] = asyncio.get_running_loop().create_future()
            self._wanted.add(topic)
            self._ask_soon()
        if not confirmed.done():
            await asyncio.shield(confirmed)

    def unsubscribe(self, topic: str, listener: Listener) -> None:
        """End what `subscribe` began."""
        self._remove(topic, listener)
        if topic not in self._listeners:
            self._unwanted.add(topic)
            self._ask_soon()

    def _ask_soon(self) -> None:
        """A topic is some SMS's, so they come and go by the hundred: those of one turn in one command."""
        if not self._asking:
            self._asking = True
            self._tasks.start(self._ask())

    async def _ask(self) -> None:
        try:
            while self._wanted or self._unwanted:
                wanted, self._wanted = [topic for topic in self._wanted if topic in self._listeners], set()
                unwanted, self._unwanted = [topic for topic in self._unwanted if topic not in self._listeners], set()
                await self._change(wanted, unwanted)
        finally:
            self._asking = False

    async def _change(self, wanted: list[str], unwanted: list[str]) -> None:
        """Without a connection nothing has to be asked: the next one begins with all that somebody listens to."""
        try:
            if self._pubsub is not None and unwanted:
                await self._pubsub.unsubscribe(*unwanted)
            if self._pubsub is not None and wanted:
                await self._pubsub.subscribe(*wanted)
        except (RedisError, OSError) as fault:
            self._refuse(wanted, fault)  # the reader sees the same fault, and connects afresh

    def _refuse(self, wanted: list[str], fault: Exception) -> None:
        for topic in wanted:
            confirmed = self._confirmed.pop(topic, None)
            if confirmed is not None and not confirmed.done():
                confirmed.set_exception(fault)
                confirmed.exception()  # heard by whoever still waits; if nobody does, that is no fault

    def _remove(self, topic: str, listener: Listener) -> None:
        if listener in self._listeners[topic]:
            self._listeners[topic].remove(listener)
        if not self._listeners[topic]:
            del self._listeners[topic]
            self._confirmed.pop(topic, None)

    def on_gap(self, listener: Callable[[], object]) -> None:
        """Call `listener` whenever messages may have been lost."""
        self._gap_listeners.append(listener)

    async def _connect(self) -> None:
        client, topics = self._redis.dedicated(None), [*self._listeners]
        pubsub = client.pubsub()
        try:
            # Without any topic the reader would end at once.
            await pubsub.subscribe("events:none", *topics)
        except BaseException:
            await pubsub.aclose()  # type: ignore[no-untyped-call]
            await client.aclose()
            raise
        # Only now: redis-py lets two who find it unconnected each connect it, and reads one of the two.
        self._client, self._pubsub = client, pubsub
        self._unwanted.update(topics)  # whose listeners left meanwhile
        self._wanted.update({*self._listeners} - {*topics})
        self._ask_soon()

    async def _disconnect(self) -> None:
        if self._pubsub is None:
            return
        pubsub, self._pubsub = self._pubsub, None
        try:
            await pubsub.aclose()  # type: ignore[no-untyped-call]
            await self._client.aclose()
        except Exception as fault:
            _log.warning("events.close_failed", why=repr(fault))

    async def _listen(self) -> None:
        """For the life of the process: whatever goes wrong, connect afresh and say that something may be missing."""
        while True:
            try:
                if self._pubsub is None:
                    await self._connect()
                    self._tell_gap()
                await self._read()
            except Exception as fault:
                _log.warning("events.disconnected", why=repr(fault))
            await self._disconnect()
            await self._clock.sleep(0.5)

    async def _read(self) -> None:
        assert self._pubsub is not None
        heard_at, pace = self._clock.monotonic(), Pace()
        while True:
            message = await self._pubsub.get_message(timeout=_PING_S)
            if message is not None:
                heard_at = self._clock.monotonic()
                self._sort(message)
                await pace.rest()  # What has arrived already is read without waiting.
            elif self._clock.monotonic() - heard_at > 2 * _PING_S:
                raise ConnectionError("silent")
            else:
                await self._pubsub.ping()

    def _sort(self, message: dict[str, Any]) -> None:
        topic = message["channel"]
        if message["type"] == "subscribe" and topic in self._confirmed:
            confirmed = self._confirmed[topic]
            if not confirmed.done():
                confirmed.set_result(None)
        elif message["type"] == "message":
            self._tell(topic, orjson.loads(message["data"]))

    def _tell(self, topic: str, data: dict[str, Any]) -> None:
        for listener in [*self._listeners.get(topic, ())]:
            try:
                listener(topic, data)
            except Exception:
                _log.exception("event.listener_failed", topic=topic.rpartition(":")[0])

    def _tell_gap(self) -> None:
        for listener in self._gap_listeners:
            listener()

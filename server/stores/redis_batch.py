"""Atomic steps as they go to Redis and come back, and the exchange of those that replicas have to have."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, NoScriptError, ReadOnlyError, RedisError, ResponseError

from server.errors import StoreUnavailable

CALL_TIMEOUT_S = 0.5
FAULTS = (RedisError, OSError, TimeoutError)
# Below the limit of a call, so that "too few replicas" is heard as an answer and the connection lives on.
WAIT_MS = 350
_ASKING = hiredis.pack_command(("ASKING",))


class Step:
    """One run of a script; `done` will have its answer, StoreUnavailable, or AskError: not run, ask another node."""

    __slots__ = ("_arguments", "_command", "_key", "_source", "asking", "by_source", "done", "due", "durable")

    def __init__(self, script: tuple[str, str], keys: list[str], values: tuple[Any, ...], *, durable: bool) -> None:
        sha, self._source = script
        self._key = keys[0]
        self._arguments = (len(keys), *keys, *values)
        self._command: bytes = hiredis.pack_command(("EVALSHA", sha, *self._arguments))
        self.durable = durable
        self.by_source = self.asking = False
        self.done: asyncio.Future[Any]
        self.due: float  # by the loop's clock

    @property
    def packed(self) -> bytes:
        """What to send. If it is `asking`, two replies come, of which the second counts."""
        return _ASKING + self._command if self.asking else self._command

    @property
    def wait_key(self) -> str:
        """A key of no meaning in the slot of the step."""
        return f"wait:{{{tag_of(self._key)}}}"

    def settle(self, reply: Any) -> None:
        """Pass on what Redis said. A script that it does not know stays unsettled, to be sent as source."""
        if self.done.done():
            return  # The caller went away.
        if isinstance(reply, NoScriptError) and not self.by_source:
            self.by_source = True
            self._command = hiredis.pack_command(("EVAL", self._source, *self._arguments))
        elif isinstance(reply, AskError | StoreUnavailable):
            self.done.set_exception(reply)
        elif isinstance(reply, Exception):
            self.done.set_exception(unavailable(reply))
        else:
            self.done.set_result(reply)


class Command(Step):
    """One command that is no script; `done` will have its reply as Redis gives it."""

    __slots__ = ()

    def __init__(self, command: tuple[Any, ...]) -> None:
        self._command = hiredis.pack_command(command)
        self.durable = self.asking = False
        self.by_source = True  # there is nothing to send again


def tag_of(key: str) -> str:
    """What is hashed of a key: all keys with the same are always on one node (Redis Cluster specification)."""
    tag = re.search(r"\{([^}]+)\}", key)
    return tag[1] if tag else key


def unavailable(fault: Exception) -> StoreUnavailable:
    """The one exception for every fault."""
    made = StoreUnavailable("redis", why(fault))
    made.__cause__ = fault
    return made


def why(fault: Exception) -> str:
    """A word for a log. Of what Redis said only its code is kept; the rest may quote values."""
    if isinstance(fault, ResponseError):
        return fault.status_code or str(fault).partition(" ")[0]
    return type(fault).__name__


@asynccontextmanager
async def redis_faults() -> AsyncIterator[None]:
    """A single command stands in here: it is timed, and a fault is one exception."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            yield
    except FAULTS as fault:
        raise unavailable(fault) from fault


async def exchange_durably(connection: AbstractConnection, steps: list[Step], replicas: int) -> None:
    """Run durable `steps` and settle each: it counts only when `replicas` replicas have it.

    Whatever is raised may leave replies unread or come from a server that takes no writes: drop the connection.
    """
    sent = [*(step.packed for step in steps), _pack_wait(steps[0], replicas)]
    await connection.send_packed_command(b"".join(sent))
    replies = [await _read_reply_of(connection, step) for step in steps]
    written = await _read_reply_of(connection, steps[0])
    copies = await read_reply(connection)
    enough = written == "OK" and isinstance(copies, int) and copies >= replicas
    for step, reply in zip(steps, replies, strict=True):
        failed = isinstance(reply, Exception)
        step.settle(reply if enough or failed else StoreUnavailable("redis", "not replicated"))
    if again := [step for step in steps if not step.done.done()]:
        await exchange_durably(connection, again, replicas)
    for reply in (*replies, written):
        if isinstance(reply, ReadOnlyError):
            raise reply


def _pack_wait(step: Step, replicas: int) -> bytes:
    """WAIT counts from the last write of its own connection. So there has to be one: the steps may have found their
    work done: by a try that was not acknowledged, on another connection."""
    write: bytes = hiredis.pack_command(("SET", step.wait_key, 1, "PX", 1000))  # type: ignore[arg-type]
    wait: bytes = hiredis.pack_command(("WAIT", replicas, WAIT_MS))  # type: ignore[arg-type]
    return (_ASKING if step.asking else b"") + write + wait


async def _read_reply_of(connection: AbstractConnection, step: Step) -> Any:
    if step.asking:
        await read_reply(connection)
    return await read_reply(connection)


async def read_reply(connection: AbstractConnection, wait_s: float | None = None) -> Any:
    """The next reply, an error as a value."""
    try:
        # Not the connection's own method: that of Sentinels' hangs up at READONLY, before the replies behind it.
        return await AbstractConnection.read_response(connection, timeout=wait_s, disconnect_on_error=False)
    except ResponseError as refusal:
        # Redis 6.2 wraps what a command inside a step met: "ERR Error running script (…): -READONLY …".
        return ReadOnlyError("READONLY") if "-READONLY " in str(refusal) else refusal

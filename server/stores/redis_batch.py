"""Atomic steps on one connection: what a turn of the loop asks for goes out in one write and comes back in order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import orjson
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, NoScriptError, ReadOnlyError, RedisError, ResponseError

from server.errors import StoreUnavailable

CALL_TIMEOUT_S = 0.5
FAULTS = (RedisError, OSError, TimeoutError)
# Below the limit of a call, so that "too few replicas" is heard as an answer and the connection lives on.
WAIT_MS = 350
# A call holds Redis for as long as it runs.
MOST_TOGETHER = 64
Script = tuple[str, str]  # its hash, its source
_ASKING = hiredis.pack_command(("ASKING",))


class Step:
    """One run of a script; `done` will have its answer, StoreUnavailable, or AskError: not run, ask another node.

    One with a `row` may run together with others of its script: that takes their keys one after the other and the
    rows as a JSON list in ARGV[2], and answers with a list."""

    __slots__ = ("asking", "by_source", "done", "durable", "keys", "row", "script", "values")

    def __init__(
        self, script: Script, keys: list[str], values: tuple[Any, ...], *, durable: bool = False, row: Any = None
    ) -> None:
        self.script, self.keys, self.values = script, keys, values
        self.durable, self.row = durable, row
        self.by_source = self.asking = False
        self.done: asyncio.Future[Any]

    @property
    def open(self) -> bool:
        """Whether anybody waits for an answer still."""
        return not self.done.done()

    @property
    def tag(self) -> str:
        """What is hashed of its key: steps with the same are always on the same node."""
        _, opened, rest = self.keys[0].partition("{")
        return rest.partition("}")[0] if opened else self.keys[0]

    @property
    def wait_key(self) -> str:
        """A key of no meaning in the slot of the step."""
        return f"wait:{{{self.tag}}}"

    def pack(self) -> bytes:
        """As Redis reads it."""
        values = self.values if self.row is None else (*self.values, orjson.dumps([self.row]))
        packed = _pack(self.script, self.by_source, self.keys, values)
        return _ASKING + packed if self.asking else packed

    def settle(self, reply: Any) -> None:
        """Pass on what Redis said. A script that it does not know stays unsettled, to be sent as source."""
        if self.done.done():
            return  # The caller went away.
        if isinstance(reply, NoScriptError) and not self.by_source:
            self.by_source = True
        elif isinstance(reply, AskError | StoreUnavailable):
            self.done.set_exception(reply)
        elif isinstance(reply, Exception):
            self.done.set_exception(unavailable(reply))
        else:
            self.done.set_result(reply if self.row is None else reply[0])


class Turn:
    """Steps that run together: one call, and for each its part of the answer."""

    asking = durable = False

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._by_source = False

    @property
    def open(self) -> bool:
        """Whether anybody waits for an answer still."""
        return any(step.open for step in self._steps)

    def pack(self) -> bytes:
        """As Redis reads it."""
        keys = [key for step in self._steps for key in step.keys]
        values = (*self._steps[0].values, orjson.dumps([step.row for step in self._steps]))
        return _pack(self._steps[0].script, self._by_source, keys, values)

    def settle(self, reply: Any) -> None:
        """Pass on to each what Redis said."""
        if isinstance(reply, NoScriptError) and not self._by_source:
            self._by_source = True
            return
        failed = isinstance(reply, Exception)
        for step, part in zip(self._steps, [reply] * len(self._steps) if failed else reply, strict=True):
            step.settle(part if failed else [part])


def gather(steps: list[Step], *, clustered: bool) -> list[Step | Turn]:
    """What is to be sent for `steps`: one call for those that run together. On a Cluster they share a tag."""
    sending: list[Step | Turn] = []
    groups: dict[Any, list[Step]] = {}
    for step in steps:
        if step.row is None or step.asking:
            sending.append(step)
            continue
        groups.setdefault((step.script[0], step.tag if clustered else ""), []).append(step)
    for group in groups.values():
        for start in range(0, len(group), MOST_TOGETHER):
            some = group[start : start + MOST_TOGETHER]
            sending.append(Turn(some) if len(some) > 1 else some[0])
    return sending


def _pack(script: Script, by_source: bool, keys: Sequence[str], values: Sequence[Any]) -> bytes:
    command = ("EVAL", script[1]) if by_source else ("EVALSHA", script[0])
    packed: bytes = hiredis.pack_command((*command, len(keys), *keys, *values))
    return packed


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


async def exchange(connection: AbstractConnection, steps: Sequence[Step | Turn], replicas: int) -> None:
    """Run `steps` and settle each; a durable one counts only when `replicas` replicas have it.

    Whatever is raised may leave replies unread or come from a server that takes no writes: drop the connection.
    """
    durable = [step for step in steps if isinstance(step, Step) and step.durable and replicas]
    sent = [step.pack() for step in steps]
    if durable:
        sent.append(_pack_wait(durable[0], replicas))
    await connection.send_packed_command(b"".join(sent))
    held, read_only = [], None
    for step in steps:
        reply = await _read(connection, skip=step.asking)
        if isinstance(reply, ReadOnlyError):
            read_only = reply
        if step.durable and replicas:
            held.append((step, reply))
        else:
            step.settle(reply)
    if durable:
        written = await _read(connection, skip=durable[0].asking)
        copies = await _read(connection)
        _confirm(held, enough=written == "OK" and isinstance(copies, int) and copies >= replicas)
    if again := [step for step in steps if step.open]:
        await exchange(connection, again, replicas)
    if read_only:
        raise read_only


def _pack_wait(step: Step, replicas: int) -> bytes:
    """WAIT counts from the last write of its own connection. So there has to be one: the steps may have found their
    work done: by a try that was not acknowledged, on another connection."""
    write: bytes = hiredis.pack_command(("SET", step.wait_key, 1, "PX", 1000))  # type: ignore[arg-type]
    wait: bytes = hiredis.pack_command(("WAIT", replicas, WAIT_MS))  # type: ignore[arg-type]
    return (_ASKING if step.asking else b"") + write + wait


def _confirm(held: list[tuple[Step | Turn, Any]], *, enough: bool) -> None:
    for step, reply in held:
        failed = isinstance(reply, Exception)
        step.settle(reply if enough or failed else StoreUnavailable("redis", "not replicated"))


async def _read(connection: AbstractConnection, *, skip: bool = False) -> Any:
    """The next reply, an error as a value; `skip` passes over one before it."""
    if skip:
        await _read(connection)
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        # Redis 6.2 wraps what a command inside a step met: "ERR Error running script (…): -READONLY …".
        return ReadOnlyError("READONLY") if "-READONLY " in str(refusal) else refusal

"""One kept connection to Redis: steps go out as they come, and their replies are read in the same order."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

from redis import asyncio as aioredis
from redis.exceptions import ConnectionError as ConnectionFault
from redis.exceptions import ReadOnlyError

from server.stores.redis_batch import CALL_TIMEOUT_S, Step, read_reply, unavailable

_SPARE_S = 0.05  # one that has less time left, as the connection was long in the making, is not sent any more


class Line:
    """Settles every step that it takes, with its reply or StoreUnavailable, and sends none a second time.

    One that has no reply when it is due ends the line, and all that wait are told: Redis answers in order, so theirs
    would be late as well, and Redis is spared the work that nobody waits for.
    """

    def __init__(self, pool: aioredis.ConnectionPool, told: Callable[["Line", bool], None]) -> None:
        """A connection like those of `pool`, but not one of them: it is never given to others.

        `told` hears True at the first reply, False if a step had none."""
        self.open = True  # takes steps
        self._connection = pool.make_connection()  # type: ignore[no-untyped-call]
        self._told = told
        self._heard = False
        self._unsent: list[Step] = []
        self._unread: deque[Step] = deque()
        self._awake = asyncio.Event()
        self._look_at: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def take(self, step: Step) -> None:
        """Send it with all others of this turn of the loop. Only while the line is open."""
        self._unsent.append(step)
        self._awake.set()

    def leave(self) -> None:
        """Take nothing more, and hang up when all is answered."""
        self.open = False
        self._end_if_left()

    async def run(self) -> None:
        """Connect, and carry until the connection breaks or is left."""
        fault: Exception = ConnectionFault("left")
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._connection.connect()
            async with asyncio.TaskGroup() as group:
                for work in (self._write(), self._read(), self._wait_for_end()):
                    group.create_task(self._close_after(work))
        except* Exception as met:
            fault = met.exceptions[0]
        finally:
            self.open = False
            if self._look_at:
                self._look_at.cancel()
            self._tell_all(fault)
            await self._connection.disconnect(nowait=True)

    async def _close_after(self, work: Coroutine[Any, Any, None]) -> None:
        """Nobody shall come in while the others are being stopped."""
        try:
            await work
        finally:
            self.open = False

    def _tell_all(self, fault: Exception) -> None:
        """What waits may have happened or not."""
        if waiting := [*self._unread, *self._unsent]:
            self._told(self, False)
        for step in waiting:
            step.settle(unavailable(fault))

    async def _write(self) -> None:
        """The only one that writes, so what does not leave waits here, and no longer than till it is due."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            steps, self._unsent = self._in_time(self._unsent), []
            if steps:
                self._unread.extend(steps)
                self._watch()
                packed = b"".join([step.packed for step in steps])
                # Its own check of health would read replies that are not its own.
                await self._connection.send_packed_command(packed, check_health=False)
            self._end_if_left()

    def _in_time(self, steps: list[Step]) -> list[Step]:
        soon = asyncio.get_running_loop().time() + _SPARE_S
        for step in steps:
            if step.due < soon:
                step.settle(unavailable(TimeoutError()))
        return [step for step in steps if not step.done.done()]

    async def _read(self) -> None:
        while True:
            reply = await read_reply(self._connection, wait_s=inf)
            if not self._unread:
                raise ConnectionFault("a reply that nobody asked for")
            step = self._unread[0]
            if step.asking:  # that reply was to the permission to ask
                reply = await read_reply(self._connection, wait_s=inf)
            self._unread.popleft()
            self._settle(step, reply)

    def _settle(self, step: Step, reply: Any) -> None:
        if not self._heard:
            self._heard = True
            self._told(self, True)
        step.settle(reply)
        if not step.done.done():  # A script that it does not know: sent again, as source.
            self.take(step)
        if isinstance(reply, ReadOnlyError):  # A master no more; the next connection may find the new one.
            self.open = False
        self._end_if_left()

    async def _wait_for_end(self) -> None:
        raise await self._over

    def _end(self, fault: Exception) -> None:
        self.open = False
        if not self._over.done():
            self._over.set_result(fault)

    def _end_if_left(self) -> None:
        if not (self.open or self._unread or self._unsent):
            self._end(ConnectionFault("left"))

    def _watch(self) -> None:
        """One timer serves all that wait, and runs on when they are answered: cheaper than one for each."""
        if self._look_at is None and self._unread:
            self._look_at = asyncio.get_running_loop().call_at(self._unread[0].due, self._look)

    def _look(self) -> None:
        self._look_at = None
        if self._unread and self._unread[0].due <= asyncio.get_running_loop().time():
            self._end(TimeoutError())
        else:
            self._watch()

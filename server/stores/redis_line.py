"""One kept connection to Redis: steps go out as they come, and their replies are read in the same order."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

from redis import asyncio as aioredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as ConnectionFault
from redis.exceptions import ReadOnlyError

from server.stores.redis_batch import FAULTS, Step, read_reply, unavailable

Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Line:
    """Settles every step that it takes, with its reply or StoreUnavailable, and sends none a second time.

    One that stays without its reply until it is due ends the line, and with it all that wait: Redis answers in order.
    """

    def __init__(self, pool: aioredis.ConnectionPool, connection: AbstractConnection, start: Start) -> None:
        """Takes over a connection of `pool`; it goes back closed. `start` keeps the tasks and sees them end."""
        self.open = True  # takes steps
        self.answering: bool | None = None  # not known before the first reply
        self._over = False
        self._pool, self._connection = pool, connection
        self._unread: deque[Step] = deque()
        self._look_at: asyncio.TimerHandle | None = None
        self._start = start
        self._reading = start(self._read())

    async def send(self, steps: list[Step]) -> None:
        """Write `steps` at once. Only while the line is open."""
        self._unread.extend(steps)
        if self._look_at is None:
            self._watch()
        try:
            # Its own check of health would read replies that are not its own.
            await self._connection.send_packed_command(b"".join([step.packed for step in steps]), check_health=False)
        except FAULTS as fault:
            self.break_off(fault)

    def leave(self) -> None:
        """Take nothing more, and hang up when all is answered."""
        self.open = False
        if not self._unread:
            self.break_off(ConnectionFault("left"))

    def break_off(self, fault: Exception) -> None:
        """Hang up at once. What waits may have happened or not."""
        if self._over:
            return
        self.open, self._over = False, True
        if self._look_at:
            self._look_at.cancel()
        if self._unread:
            self.answering = False
        for step in self._unread:
            step.settle(unavailable(fault))
        self._start(self._hang_up())

    async def _read(self) -> None:
        fault: Exception = ConnectionFault("left")
        try:
            while self.open or self._unread:
                await self._take(await read_reply(self._connection, wait_s=inf))
        except (*FAULTS, UnicodeError) as met:
            fault = met
        finally:
            self.break_off(fault)

    async def _take(self, reply: Any) -> None:
        if not self._unread:
            raise ConnectionFault("a reply that nobody asked for")
        self.answering = True
        step = self._unread[0]
        if step.asking:  # that reply was to the permission to ask
            reply = await read_reply(self._connection, wait_s=inf)
        self._unread.popleft()
        step.settle(reply)
        if isinstance(reply, ReadOnlyError):  # A master no more; the next connection may find the new one.
            self.open = False
        if not step.done.done():  # A script that it does not know: sent again, as source.
            await self.send([step])

    def _watch(self) -> None:
        """One timer serves all that wait, and runs on when they are answered: cheaper than one for each."""
        due = min(step.due for step in self._unread)
        self._look_at = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        self._look_at = None
        if not self._unread:
            return
        if min(step.due for step in self._unread) <= asyncio.get_running_loop().time():
            self.break_off(TimeoutError())
        else:
            self._watch()

    async def _hang_up(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._connection.disconnect(nowait=True)
        await self._pool.release(self._connection)

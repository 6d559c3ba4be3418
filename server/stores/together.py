"""Group commit: what is asked for while a call is under way goes out in the next one, all of it together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from server.errors import StoreUnavailable
from server.logs import get_log

_log = get_log(__name__)
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Together(Generic[Item, Answer]):
    """One call at a time, so the busier it is the more each call does; who asks alone waits for nobody.

    `work` answers to each item in its place, `most` at once, or raises for all of them; `give_back` undoes what was
    done for those who did not wait for it. Both have timeouts of their own.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        give_back: Callable[[Sequence[tuple[Item, Answer]]], Awaitable[None]],
        most: int = 50,
    ) -> None:
        self._work = work
        self._give_back = give_back
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._going: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Answer:
        """What `work` answers to this one, or raises. Who is cancelled before its call began has asked nothing."""
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._going is None:
            # In nobody's context: a deadline that whoever asked first has set for the driver is not the others'.
            self._going = asyncio.get_running_loop().create_task(self._go(), context=Context())
        return await done

    async def _go(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._call([(item, done) for item, done in some if not done.done()])
        finally:
            self._going = None

    async def _call(self, some: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        if not some:
            return
        try:
            answers = await self._work([item for item, _ in some])
        except Exception as fault:
            for _, done in some:
                if not done.done():
                    done.set_exception(fault)
            return
        for (_, done), answer in zip(some, answers, strict=True):
            if not done.done():
                done.set_result(answer)
        await self._return(
            [(item, answer) for (item, done), answer in zip(some, answers, strict=True) if done.cancelled()]
        )

    async def _return(self, unheard: list[tuple[Item, Answer]]) -> None:
        """Whoever gave up while the call was under way has been refused, and would pay for nothing."""
        if not unheard:
            return
        try:
            await self._give_back(unheard)
        except StoreUnavailable as fault:
            _log.warning("together.not_given_back", count=len(unheard), why=str(fault))

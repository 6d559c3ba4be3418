"""Work that holds the processor: a small pool of threads, and a queue before it that has an end."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from server.errors import AppError

T = TypeVar("T")
_RETRY_AFTER_S = 2


class BoundedPool:
    """As many threads as there are processors; more than `waiting_max` calls at once are refused."""

    def __init__(self, name: str, *, waiting_max: int, told: Callable[[int], object] = lambda waiting: None) -> None:
        """`told` hears how many calls are running or waiting."""
        self._pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 2, thread_name_prefix=name)
        self._waiting_max = waiting_max
        self._waiting = 0
        self._told = told

    async def run(self, work: Callable[[], T]) -> T:
        """The outcome of `work` in a thread; AppError `busy` if too many are waiting."""
        if self._waiting >= self._waiting_max:
            raise AppError("busy", retry_after=_RETRY_AFTER_S)
        self._count(1)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._count(-1)

    def aclose(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _count(self, more: int) -> None:
        self._waiting += more
        self._told(self._waiting)

"""Time limits for very many short tasks: one timer looks at all of them, as a timer for each costs more than many of
them do. A limit is kept to within LOOK_S."""

import asyncio
from types import TracebackType

LOOK_S = 0.1


class Deadlines:
    """All limits of one loop."""

    def __init__(self) -> None:
        self._running: set[_Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> "_Deadline":
        """A context whose body is cancelled after `seconds`: then it raises TimeoutError, as asyncio.timeout does."""
        return _Deadline(self, seconds)

    def add(self, deadline: "_Deadline") -> None:
        """Look after one more."""
        self._running.add(deadline)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def discard(self, deadline: "_Deadline") -> None:
        """It has ended."""
        self._running.discard(deadline)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in self._running:
            if deadline.at <= now:
                deadline.expire()
        self._timer = loop.call_later(LOOK_S, self._look) if self._running else None


class _Deadline:
    """One limit, around what the current task does."""

    __slots__ = ("_before", "_deadlines", "_expired", "_seconds", "_task", "at")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._before = task, task.cancelling()
        self.at = asyncio.get_running_loop().time() + self._seconds
        self._deadlines.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        self._deadlines.discard(self)
        if self._expired and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from fault

    def expire(self) -> None:
        """Cancel the body, once."""
        if not self._expired:
            self._expired = True
            self._task.cancel()

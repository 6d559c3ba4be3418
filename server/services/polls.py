"""News of an SMS for those without a websocket: a request that is answered when there is some."""

import asyncio
from typing import Any

from server.metrics import Metrics
from server.services.codes import CodeService
from server.services.countdowns import CountdownService

POLLS_MAX = 10_000


class _Poll:
    """One request that waits. To the countdowns it is a page like any other."""

    def __init__(self, after: int, over: asyncio.Event) -> None:
        self._after = after
        self.over = over

    def push(self, kind: str, data: dict[str, Any]) -> None:
        """Only a newer state is worth an answer: the page draws its countdown by itself."""
        if kind == "sms.state" and data["seq"] > self._after:
            self.over.set()

    def charge_check(self) -> None:
        """A poll checks no numbers."""

    def forgotten(self, transaction: str) -> None:
        """The SMS is no more, which is news too."""
        self.over.set()


class PollService:
    """Holds requests back, up to POLLS_MAX; beyond, and once `end` was called, each is answered at once."""

    def __init__(self, *, codes: CodeService, countdowns: CountdownService, metrics: Metrics) -> None:
        self._codes = codes
        self._countdowns = countdowns
        self._waiting: set[_Poll] = set()
        metrics.polls.set_function(lambda: len(self._waiting))
        self._room = POLLS_MAX

    async def state(self, transaction: str, *, after: int, wait: int, over: asyncio.Event) -> dict[str, Any]:
        """The state as soon as its `seq` is greater than `after`; as it is after `wait` s, or when `over` is set.

        AppError `transaction_unknown`; StoreUnavailable if the state cannot be read.
        """
        if wait and len(self._waiting) < self._room:
            await self._wait(transaction, _Poll(after, over), wait)
        # Read afresh: a page counts down from the times in the answer.
        return await self._codes.require_state(transaction)

    async def _wait(self, transaction: str, poll: _Poll, wait_s: float) -> None:
        self._waiting.add(poll)
        try:
            poll.push("sms.state", await self._countdowns.watch(poll, transaction))
            async with asyncio.timeout(wait_s):
                await poll.over.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(poll)
            self._countdowns.forget(poll)

    def end(self) -> None:
        """The process is going away: all that wait are answered now."""
        self._room = 0
        for poll in self._waiting:
            poll.over.set()

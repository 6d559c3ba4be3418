"""The SMS that a page watches: each change of its state, and the countdown that runs until the next may be sent."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

from server.caller import Watcher
from server.clock import Clock
from server.errors import StoreUnavailable
from server.events import EventBus, topics
from server.services.codes import CodeService
from server.slices import SLICE_S, Rounds, parts
from server.tasks import Tasks

RESYNC_S = 8
_PER_WATCHER = 4
# A timer may fire a little early or late; within this the second it was meant for is still the one to tell.
_SLACK_S = 0.02
# Ticks go out on the beat: of thousands of countdowns many share a timer and a waking of the loop, which together
# cost as much as the tick itself.
_BEAT_S = 0.02
# Our loop's clock and Redis's may part by so much before the countdown is corrected.
_DRIFT_S = 0.25


class _Watch:
    """One transaction that pages of this process watch: there may be thousands, so it is small."""

    __slots__ = (
        "beat",
        "deadline",
        "hear",
        "lock",
        "missed",
        "state",
        "subscribed",
        "tick",
        "transaction",
        "watchers",
    )

    def __init__(self, transaction: str, hear: Callable[[str, dict[str, Any]], None]) -> None:
        self.transaction = transaction
        self.hear = hear
        self.state: dict[str, Any] = {}
        self.tick: dict[str, Any] = {}
        self.missed = False  # something was told that has to be read
        self.watchers: set[Watcher] = set()
        self.deadline = 0.0
        self.beat = 0  # the one at which it ticks next
        self.subscribed = False
        self.lock = asyncio.Lock()

    def listener(self, _topic: str, news: dict[str, Any]) -> None:
        """What the event bus calls."""
        self.hear(self.transaction, news)

    def tell(self, watcher: Watcher, kind: str) -> None:
        """Push the newest to it, unless it has ceased to watch."""
        if watcher in self.watchers:
            watcher.push(kind, self.state if kind == "sms.state" else self.tick)


class CountdownService:
    """Learns of each change once per process, and pushes it and the ticks to every page that watches."""

    def __init__(self, *, codes: CodeService, events: EventBus, clock: Clock) -> None:
        self._codes = codes
        self._events = events
        self._tasks = Tasks(clock)
        self._watches: dict[str, _Watch] = {}
        self._watched: dict[Watcher, list[str]] = defaultdict(list)
        self._stale: set[str] = set()
        self._beats: dict[int, list[_Watch]] = {}
        self._rounds = Rounds()

    async def start(self) -> None:
        """Begin to look after watched transactions by ourselves, in case a message gets lost."""
        self._events.on_gap(lambda: self._tasks.start(self._resync()))
        self._tasks.keep("countdowns.resync", self._resync, every_s=RESYNC_S)

    async def aclose(self) -> None:
        """Stop all countdowns."""
        self._beats.clear()
        await self._tasks.aclose()

    async def watch(
        self, watcher: Watcher, transaction: str, known: Callable[[], dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Tell `watcher` all that happens to this SMS from now on; answers its state. `known()` is its state if
        nobody has told us of a step of it.

        AppError `transaction_unknown`; StoreUnavailable if the state cannot be read and none is `known`.
        """
        watch = self._watch(transaction)
        watch.watchers.add(watcher)
        if transaction not in self._watched[watcher]:
            self._watched[watcher].append(transaction)
        try:
            listened = watch.subscribed
            # Before the reading, so that nothing falls between.
            await self._subscribe(transaction, watch)
            fresh = listened and not watch.missed
            state = known() if known and fresh else await self._read(transaction, known)
            if known and state["seq"] < watch.state.get("seq", 0):  # it has been overtaken, and could not be read
                state = watch.state
        except BaseException:
            self._drop(watcher, transaction)
            raise
        self._take_in(transaction, watch, state, told=watcher)
        if len(self._watched.get(watcher, ())) > _PER_WATCHER:
            self._drop(watcher, self._watched[watcher][0])
        # In the next turn of the loop, so that the answer to the page's own request goes first.
        asyncio.get_running_loop().call_soon(self._show_one, watch, watcher)
        return watch.state

    async def listen(self, transaction: str) -> None:
        """Before a new SMS is in line: then no step of it is missed, and `watch` has nothing to read."""
        await self._subscribe(transaction, self._watch(transaction))

    def unlisten(self, transaction: str) -> None:
        """It came to nothing."""
        watch = self._watches.get(transaction)
        if watch is not None and not watch.watchers:
            self._end(transaction)

    def _watch(self, transaction: str) -> _Watch:
        watch = self._watches.get(transaction)
        if watch is None:
            watch = self._watches[transaction] = _Watch(transaction, self._hear)
        return watch

    async def _read(self, transaction: str, known: Callable[[], dict[str, Any]] | None) -> dict[str, Any]:
        try:
            return await self._codes.require_state(transaction)
        except StoreUnavailable:
            if known is None:
                raise
            return known()

    async def _subscribe(self, transaction: str, watch: _Watch) -> None:
        """Hear of changes at once. Where that cannot be had now, the next look tries again."""
        async with watch.lock:
            if watch.subscribed:
                return
            try:
                await self._events.subscribe(topics.sms(transaction), watch.listener)
            except StoreUnavailable:
                return
            watch.subscribed = True
        if self._watches.get(transaction) is not watch:  # All who watched left meanwhile.
            self._events.unsubscribe(topics.sms(transaction), watch.listener)

    def forget(self, watcher: Watcher) -> None:
        """End all that this page watches."""
        for transaction in [*self._watched.get(watcher, ())]:
            self._drop(watcher, transaction)

    def _drop(self, watcher: Watcher, transaction: str) -> None:
        mine = self._watched[watcher]
        if transaction in mine:
            mine.remove(transaction)
        if not mine:
            del self._watched[watcher]
        watch = self._watches.get(transaction)
        if watch is None:
            return
        watch.watchers.discard(watcher)
        if not watch.watchers:
            self._end(transaction)

    def _end(self, transaction: str) -> None:
        watch = self._watches.pop(transaction, None)
        if watch is None:
            return
        watch.beat = 0
        watchers, watch.watchers = watch.watchers, set()
        for watcher in watchers:
            watcher.forgotten(transaction)
        if watch.subscribed:
            self._events.unsubscribe(topics.sms(transaction), watch.listener)

    def _hear(self, transaction: str, news: dict[str, Any]) -> None:
        """Something was told of this number. Only what does not say all that changed has to be read."""
        watch, step = self._watches.get(transaction), news.get("step")
        if watch is None or news.get("new") == transaction:
            return
        if step and (step["transaction"] != transaction or step["seq"] <= watch.state.get("seq", 0)):
            return  # no countdown moves by another's, and what is known is no news
        if step and watch.state and step["seq"] == watch.state["seq"] + 1:
            self._take_in(transaction, watch, self._codes.advance(watch.state, step))
        else:
            self._refresh_soon(transaction)

    def _refresh_soon(self, transaction: str) -> None:
        """Several changes in a row are one reading: the latest state wins."""
        self._watches[transaction].missed = True
        if transaction not in self._stale:
            self._stale.add(transaction)
            self._tasks.start(self._refresh([transaction]))

    async def _resync(self) -> None:
        for some in parts(self._watches):
            await self._refresh(some)

    async def _refresh(self, transactions: Sequence[str]) -> None:
        """Those that cannot be read now are by the next look."""
        self._stale.difference_update(transactions)
        watches = [(one, watch) for one in transactions if (watch := self._watches.get(one))]
        for _, watch in watches:
            watch.missed = True
        await asyncio.gather(*(self._subscribe(one, watch) for one, watch in watches if not watch.subscribed))
        states = await self._codes.get_states([one for one, _ in watches])
        for (transaction, watch), state in zip(watches, states, strict=True):
            if not isinstance(state, StoreUnavailable):
                self._learn(transaction, watch, state)

    def _learn(self, transaction: str, watch: _Watch, state: dict[str, Any] | None) -> None:
        """What was read; None: there is nothing (any more)."""
        if self._watches.get(transaction) is not watch or not watch.state:
            return
        if state is None:
            self._end(transaction)
        else:
            self._take_in(transaction, watch, state)

    def _take_in(self, transaction: str, watch: _Watch, state: dict[str, Any], told: Watcher | None = None) -> None:
        """Tell a newer state to all who watch, but for the one who is `told` it in an answer. Two readings may
        arrive in the wrong order; Redis's clock says which one is older."""
        old, first = watch.state, not watch.state
        if not first and (state["server_now"], state["seq"]) < (old["server_now"], old["seq"]):
            return
        moved = first or _moved(state, old)
        watch.state = state
        others = watch.watchers - {told}
        if first or moved or state["seq"] > old["seq"]:
            self._tell(watch, others, "sms.state")
        if self._watches.get(transaction) is not watch:
            return
        deadline = self._loop_time() + state["resend_at"] - state["server_now"]
        # The same end, read again: only a reading that was slow to come makes it look later.
        if moved or deadline < watch.deadline - _DRIFT_S:
            self._arm(watch, deadline)
        if moved:
            self._note_tick(watch)
            self._tell(watch, others, "countdown.tick")

    def _arm(self, watch: _Watch, deadline: float) -> None:
        """Start or correct the countdown; each tick falls on the deadline's own part of the second."""
        watch.deadline = deadline
        self._wind(watch, _whole_seconds(deadline - self._loop_time()))

    def _wind(self, watch: _Watch, remaining: int) -> None:
        """The next tick is at the next whole second from now: what fell due while the loop was busy is skipped."""
        watch.beat = beat = math.ceil((watch.deadline - remaining + 1) / _BEAT_S) if remaining else 0
        if beat in self._beats:
            self._beats[beat].append(watch)
        elif beat:
            self._beats[beat] = [watch]
            asyncio.get_running_loop().call_at(beat * _BEAT_S, self._strike, beat)

    def _strike(self, beat: int) -> None:
        """All ticks of one beat, in slices; a watch that was wound anew has another one."""
        due, until = self._beats.pop(beat, []), perf_counter() + SLICE_S
        for done, watch in enumerate(due, 1):
            if watch.beat == beat:
                self._tick(watch)
            if perf_counter() >= until and done < len(due):
                self._beats[beat] = due[done:]
                asyncio.get_running_loop().call_soon(self._strike, beat)
                return

    def _tick(self, watch: _Watch) -> None:
        self._wind(watch, self._note_tick(watch))
        if len(watch.watchers) == 1:  # Nearly always: the page that sent the SMS. It takes no round.
            (watcher,) = watch.watchers
            watch.tell(watcher, "countdown.tick")
        else:
            self._tell(watch, watch.watchers, "countdown.tick")

    def _show_one(self, watch: _Watch, watcher: Watcher) -> None:
        """Beside a round that may be under way: nobody in that is to miss anything."""
        self._note_tick(watch)
        watch.tell(watcher, "countdown.tick")

    def _note_tick(self, watch: _Watch) -> int:
        """How it stands now; the seconds that are left."""
        left = watch.deadline - self._loop_time()
        remaining, resend_at = _whole_seconds(left), watch.state["resend_at"]
        watch.tick = {
            "transaction": watch.state["transaction"],
            "remaining": remaining,
            "resend_at": resend_at,
            "server_now": round(resend_at - max(0.0, left), 3),
        }
        return remaining

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()

    def _tell(self, watch: _Watch, watchers: Iterable[Watcher], kind: str) -> None:
        self._rounds.begin((watch, kind), watchers, lambda watcher: watch.tell(watcher, kind))


def _whole_seconds(left: float) -> int:
    return max(0, math.ceil(left - _SLACK_S))


def _moved(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether the time of the next send is another one, say by another transaction of the same number.
    That a time has passed is no change: the last tick said so."""
    now = new["server_now"]
    return bool(max(new["resend_at"], now) != max(old["resend_at"], now))

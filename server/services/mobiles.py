"""Is this number free, and who wants to hear when that changes."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any

from server.caller import Watcher
from server.clock import Clock
from server.errors import AppError, StoreUnavailable
from server.events import START_PATIENCE_S, EventBus, topics
from server.slices import Rounds, sliced
from server.stores.registry import RegistryStore
from server.tasks import Tasks

RESYNC_S = 8
_RESYNC_SLICE = 500


class MobileService:
    """Courtesy answers; the unique index decides when it counts."""

    def __init__(self, *, registry: RegistryStore, events: EventBus, clock: Clock, mode: Callable[[], str]) -> None:
        """`mode()` says how the question is answered now: open, captcha or off."""
        self._registry = registry
        self._mode = mode
        self._events = events
        self._tasks = Tasks(clock)
        self._watchers: dict[str, set[Watcher]] = defaultdict(set)
        self._watched: dict[Watcher, str] = {}
        self._told_taken: set[str] = set()
        self._rounds = Rounds()

    async def start(self) -> None:
        """Begin to listen for numbers taken and freed elsewhere."""
        await self._events.subscribe(topics.MOBILES, self._on_change, patience_s=START_PATIENCE_S)
        self._events.on_gap(lambda: self._tasks.start(self._resync()))
        self._tasks.keep("mobiles.resync", self._resync, every_s=RESYNC_S)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._tasks.aclose()

    @property
    def tells(self) -> bool:
        """Whether anybody is told if a number is taken."""
        return self._mode() != "off"

    def require_asking(self, *, captcha_passed: bool) -> None:
        """AppError `captcha_required` where each question costs one."""
        if self._mode() == "captcha" and not captcha_passed:
            raise AppError("captcha_required", purpose="check")

    async def surely_free(self, mobiles: Collection[str]) -> set[str]:
        """Those that are known to be free at no cost, as far as anybody is told."""
        free = await self._registry.surely_free(mobiles) if self.tells else set()
        for mobile in free & self._told_taken:
            self._learn(mobile, False)
        return free

    async def told_all(self, mobiles: Sequence[str]) -> list[bool | None]:
        """What may be said of each: True (free), False, or None if it cannot be known now or is told to nobody."""
        if not mobiles or not self.tells:
            return [None] * len(mobiles)
        taken = await self._taken(mobiles)
        return [None if taken is None else mobile not in taken for mobile in mobiles]

    async def available(self, mobile: str) -> bool | None:
        """True, False, or None if it cannot be known now."""
        taken = await self._taken([mobile])
        return None if taken is None else mobile not in taken

    async def _taken(self, mobiles: Collection[str]) -> set[str] | None:
        """Those that are; None if it is not known, which is never "free"."""
        try:
            taken = await self._registry.taken(mobiles)
        except StoreUnavailable:
            return None
        for mobile in mobiles:
            if mobile in self._watchers:
                self._learn(mobile, mobile in taken)
        return taken

    def _learn(self, mobile: str, taken: bool) -> None:
        """Somebody is answered this. If it is news, others that watch the number are told: a message may be lost."""
        if taken == (mobile in self._told_taken):
            return
        if len(self._watchers.get(mobile, ())) > 1:
            self._tell("mobile.taken" if taken else "mobile.freed", mobile)
        else:
            (self._told_taken.add if taken else self._told_taken.discard)(mobile)

    async def require_free(self, mobile: str) -> None:
        """AppError `mobile_taken`, or `check_unavailable` if it cannot be known."""
        available = await self.available(mobile)
        if available is None:
            raise AppError("check_unavailable", retry_after=1)
        if not available:
            raise AppError("mobile_taken")

    def watch(self, watcher: Watcher, mobile: str) -> None:
        """Tell `watcher` when `mobile` is taken or freed, and nothing any more about the one before.

        Call before `available`, so that nothing falls between.
        """
        self.unwatch(watcher)
        self._watched[watcher] = mobile
        self._watchers[mobile].add(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """End the watch, if there is one."""
        mobile = self._watched.pop(watcher, None)
        if mobile is None:
            return
        self._watchers[mobile].discard(watcher)
        if not self._watchers[mobile]:
            del self._watchers[mobile]
            self._told_taken.discard(mobile)

    async def _resync(self) -> None:
        """What a lost message would have told (WS-12 in docs/security.md)."""
        watched = [*self._watchers]
        for start in range(0, len(watched), _RESYNC_SLICE):
            some = watched[start : start + _RESYNC_SLICE]
            try:
                taken = await self._registry.taken(some)
            except StoreUnavailable:
                return
            async for mobile in sliced(some):
                if (mobile in taken) != (mobile in self._told_taken):
                    self._tell("mobile.taken" if mobile in taken else "mobile.freed", mobile)

    def _on_change(self, _: str, data: dict[str, Any]) -> None:
        self._tell(data["kind"], data["mobile"])

    def _tell(self, kind: str, mobile: str) -> None:
        if not self.tells:
            return
        watchers = self._watchers.get(mobile)
        if not watchers:
            return
        if kind == "mobile.taken":
            self._told_taken.add(mobile)
        else:
            self._told_taken.discard(mobile)
        data = {"mobile": mobile}
        self._rounds.begin(mobile, watchers, lambda watcher: self._push(watcher, kind, data))

    def _push(self, watcher: Watcher, kind: str, data: dict[str, Any]) -> None:
        """Unless it watches another number by now, or an answer has told it otherwise meanwhile."""
        mobile = data["mobile"]
        if self._watched.get(watcher) == mobile and (mobile in self._told_taken) == (kind == "mobile.taken"):
            watcher.push(kind, data)

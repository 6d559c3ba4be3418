"""What operators have set for the whole service: blocks, and how the question "is it taken?" is answered."""

from dataclasses import dataclass
from typing import Any

from server.clock import Clock
from server.errors import AppError, StoreUnavailable, wait_s
from server.events import START_PATIENCE_S, EventBus, topics
from server.logs import mask
from server.services.limits import BLOCK_DIGITS, address_group
from server.stores.controls import Control, ControlStore
from server.tags import Tagger
from server.tasks import Tasks

RESYNC_S = 5
UNIQUENESS = ("open", "captcha", "off")


@dataclass(frozen=True, slots=True)
class _Now:
    """What holds, as last read: `until` of each block by kind and name, in the monotonic time of this process."""

    mode: str
    blocks: dict[str, dict[str, float]]
    shown: list[dict[str, Any]]


class ControlService:
    """Each process has a copy, so looking costs nothing; a change is told to all, and read anew every few seconds
    lest a message got lost. While Redis is away the last that is known holds."""

    def __init__(
        self, *, store: ControlStore, events: EventBus, tagger: Tagger, clock: Clock, uniqueness: str, captcha: bool
    ) -> None:
        """`uniqueness` holds until an operator sets another; `captcha`: whether one can be asked for at all."""
        self._store = store
        self._events = events
        self._tagger = tagger
        self._clock = clock
        self._usual = uniqueness
        self._captcha = captcha
        self._tasks = Tasks(clock)
        self._now = _Now(uniqueness, {}, [])

    async def start(self) -> None:
        """Read what holds, and begin to listen for changes."""
        await self._events.subscribe(topics.CONTROLS, self._on_change, patience_s=START_PATIENCE_S)
        self._events.on_gap(lambda: self._tasks.start(self._reload()))
        await self._load()
        self._tasks.keep("controls.resync", self._reload, every_s=RESYNC_S)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._tasks.aclose()

    @property
    def uniqueness(self) -> str:
        """How the question whether a number is taken is answered: open, captcha or off."""
        mode = self._now.mode
        return "open" if mode == "captcha" and not self._captcha else mode

    def blocks(self) -> list[dict[str, Any]]:
        """What is blocked: `{kind, value, key, until, by}`; `value` as an operator may see it."""
        return self._now.shown

    @property
    def blocking(self) -> bool:
        """Whether anything at all is blocked."""
        return bool(self._now.blocks)

    def require_address(self, address: str) -> None:
        """AppError `address_blocked`."""
        if self._now.blocks.get("ip"):
            self._require("ip", address_group(address), "address_blocked")

    def require_number(self, mobile: str) -> None:
        """AppError `number_blocked`."""
        if self._now.blocks.get("prefix"):
            self._require("prefix", mobile[:BLOCK_DIGITS], "number_blocked")
        if self._now.blocks.get("mobile"):
            self._require("mobile", self._tagger.tag(mobile).name, "number_blocked")

    def _require(self, kind: str, name: str, code: str) -> None:
        left_s = self._now.blocks[kind].get(name, 0) - self._clock.monotonic()
        if left_s > 0:
            raise AppError(code, retry_after=wait_s(left_s * 1000))

    def require_foreign(self, kind: str, value: str, address: str) -> None:
        """AppError `validation_failed` for the address that the operator himself comes from: he could not return."""
        if kind == "ip" and address_group(value) == address_group(address):
            raise AppError("validation_failed", fields={"value": ["field.own_address"]})

    async def block(self, kind: str, value: str, minutes: int, *, by: str) -> dict[str, Any]:
        """Refuse a mobile, its first seven digits or an address for some minutes, everywhere. AppError `busy` if
        there are too many blocks."""
        name, shown = self._name(kind, value)
        until = await self._store.add_block(f"block|{kind}|{name}", minutes=minutes, shown=f"{by}|{shown}")
        if until is None:
            raise AppError("busy", retry_after=60)
        await self._changed()
        return {"kind": kind, "value": shown, "key": name, "until": until, "by": by}

    def shown(self, kind: str, value: str) -> str:
        """A block's value as an operator may see it, whether it is named by that or by its key."""
        known = {one["key"]: one["value"] for one in self._now.shown if one["kind"] == kind}
        return str(known.get(value) or self._name(kind, value)[1])

    async def unblock(self, kind: str, value: str) -> None:
        """Lift a block, named by its value or its key. AppError `not_found`."""
        keys = {one["key"] for one in self._now.shown if one["kind"] == kind}
        name = value if value in keys else self._name(kind, value)[0]
        if not await self._store.remove(f"block|{kind}|{name}"):
            raise AppError("not_found")
        await self._changed()

    async def set_uniqueness(self, mode: str) -> None:
        """Answer the question whether a number is taken in this way from now on, everywhere."""
        await self._store.set("uniqueness", mode)
        await self._changed()

    def _name(self, kind: str, value: str) -> tuple[str, str]:
        """A number is kept as its keyed tag: a dump of Redis tells nobody whom it is about."""
        if kind == "mobile":
            return self._tagger.tag(value).name, mask(value)
        name = address_group(value) if kind == "ip" else value
        return name, name

    async def _changed(self) -> None:
        await self._load()
        await self._events.publish(topics.CONTROLS)

    def _on_change(self, _: str, __: dict[str, Any]) -> None:
        self._tasks.start(self._reload())

    async def _reload(self) -> None:
        try:
            await self._load()
        except StoreUnavailable:
            pass  # The last that is known holds, and the next look comes soon.

    async def _load(self) -> None:
        now, found = await self._store.all()
        ahead = self._clock.monotonic() - now
        blocks: dict[str, dict[str, float]] = {}
        shown = []
        for control in found:
            if control.name == "uniqueness":
                continue
            _, kind, name = control.name.split("|", 2)
            blocks.setdefault(kind, {})[name] = control.until + ahead
            shown.append(_show(control, kind, name))
        mode = next((one.value for one in found if one.name == "uniqueness"), self._usual)
        self._now = _Now(mode, blocks, sorted(shown, key=lambda one: float(one["until"])))


def _show(control: Control, kind: str, name: str) -> dict[str, Any]:
    by, _, value = control.value.partition("|")
    return {"kind": kind, "value": value, "key": name, "until": control.until, "by": by}

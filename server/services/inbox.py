"""The sandbox's phone: what was sent, with codes worked out at the moment of looking. Development only."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from server.clock import Clock
from server.events import START_PATIENCE_S, EventBus, topics
from server.i18n import text
from server.keys import KeyRing
from server.services.otp import derive_code
from server.sms.faults import Tried
from server.sms.provider import Sms
from server.stores.inbox import InboxStore

_KEPT = ("id", "mobile", "purpose", "minutes", "transaction", "nonce", "key_id", "locale")


class InboxService:
    """Keeps messages without their codes."""

    def __init__(self, *, store: InboxStore, ring: KeyRing, events: EventBus, clock: Clock, site_name: str) -> None:
        self._store = store
        self._ring = ring
        self._events = events
        self._clock = clock
        self._site_name = site_name
        self._listeners: list[Callable[[dict[str, Any]], None]] = []

    async def start(self) -> None:
        """Begin to hear of messages that any process sent."""
        await self._events.subscribe(topics.INBOX, self._on_message, patience_s=START_PATIENCE_S)

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Call `listener(message)`, as `newest` would show it, for each new one."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """End what `listen` began."""
        self._listeners.remove(listener)

    def _on_message(self, _: str, data: dict[str, Any]) -> None:
        for listener in [*self._listeners]:
            listener(self.show(data["message"]))

    async def add(self, sms: Sms, tried: Tried) -> None:
        """Keep a message and tell the open inboxes; the same id again changes nothing."""
        message = {name: getattr(sms, name) for name in _KEPT} | asdict(tried) | {"at": self._clock.now()}
        if await self._store.add(message):
            await self._events.publish(topics.INBOX, message=message)

    async def newest(self) -> list[dict[str, Any]]:
        """Messages as `/dev/inbox.json` shows them, newest first."""
        return [self.show(message) for message in await self._store.newest()]

    def show(self, message: dict[str, Any]) -> dict[str, Any]:
        """A kept message with its code and its text."""
        code = derive_code(
            self._ring,
            message["key_id"],
            purpose=message["purpose"],
            mobile=message["mobile"],
            transaction=message["transaction"],
            nonce=message["nonce"],
        )
        params = {"site": self._site_name, "code": code, "minutes": message["minutes"]}
        return {
            "id": message["id"],
            "mobile": message["mobile"],
            "text": text(message["locale"], f"sms.text.{message['purpose']}", params),
            "code": code,
            "transaction": message["transaction"],
            "at": message["at"],
            "provider": message.get("provider", "sandbox"),
            "attempt": message.get("attempt", 1),
            "fault": message.get("fault", ""),
        }

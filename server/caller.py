"""Who is asking: made at the edge, passed to every operation, never looked up."""

import asyncio
from dataclasses import dataclass
from typing import Protocol


class Watcher(Protocol):
    """Somebody who can be told what happens later: a page on a websocket, or a request that is held back."""

    def push(self, kind: str, data: dict[str, object]) -> None:
        """Send a message that nobody asked for; never blocks, never raises."""

    def charge_check(self) -> None:
        """Count one more check of a number by this page; AppError `rate_limited`."""

    def forgotten(self, transaction: str) -> None:
        """There is nothing more to tell about this SMS: its code was used, or it is long over."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose session an access token speaks for, and until when (Unix seconds) it does so."""

    user: str
    username: str
    sid: str
    version: str
    until: float


@dataclass(slots=True, eq=False)
class Caller:
    """One request's origin, not to be changed. `address` is the true client IP; `device` and `refresh` are the values
    of those cookies or "", `repeat_key` the request's `Idempotency-Key` or "", `agent` what the client calls itself;
    `session` whose good token came along (whether that session still lives, only the guard knows); `left`, if any, is
    set when nobody waits for the answer any more."""

    address: str
    request_id: str
    locale: str = "zh_CN"
    device: str = ""
    refresh: str = ""
    repeat_key: str = ""
    agent: str = ""
    session: Identity | None = None
    transport: str = "rest"
    watcher: Watcher | None = None
    left: asyncio.Event | None = None

    def asking(self, request_id: str) -> "Caller":
        """The same, with another request. (`dataclasses.replace` is slow, and this is done for each message.)"""
        return Caller(
            self.address,
            request_id,
            self.locale,
            self.device,
            self.refresh,
            self.repeat_key,
            self.agent,
            self.session,
            self.transport,
            self.watcher,
            self.left,
        )

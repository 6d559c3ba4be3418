"""The websockets: how one gets in, what is said there without being asked, and how it ends."""

from collections.abc import Mapping
from dataclasses import dataclass

from marshmallow import Schema

from server.schemas.admin import MonitorEvents, MonitorSnapshot, MonitorTick
from server.schemas.claims import ClaimShown
from server.schemas.code import CountdownTick, SmsState
from server.schemas.events import Closing, MobileChanged, SessionEnded, StoreHealth


@dataclass(frozen=True, slots=True)
class Push:
    """Its shape, and when it comes. `state` is the field that says what this is the present state of: a page that
    does not read gets only the latest, once it reads again."""

    schema: Schema
    when: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """One of them. `refusals`: the errors that answer a handshake; `query`: what its address takes."""

    address: str
    title: str
    connecting: str
    pushes: Mapping[str, Push]
    close_codes: Mapping[int, str]
    refusals: tuple[str, ...]
    query: Mapping[str, str]


SESSION_ENDED = 4401
_LANG = {"lang": "`zh-CN` or `en`: the language of messages. Else Accept-Language says it, else it is Chinese."}
_ENDED = Push(
    SessionEnded(), "The session of this socket is over; the socket is closed with 4401. Do not come back in a loop."
)
_CLOSING = Push(Closing(), "The process is going away. Come back after so many seconds.")
_DEGRADED = "A store stopped answering. Also told to whoever connects meanwhile, for as long as it lasts."
_AT_EVERY_HANDSHAKE = (
    *("origin_refused", "token_invalid", "host_unknown", "unavailable"),
    *("request_invalid", "headers_too_large", "method_not_allowed", "internal_error"),
)
_AT_EVERY_END = {
    1001: "The process is going away, after `server.closing`.",
    1009: "There was a message over 4 KiB.",
    SESSION_ENDED: "The session of this socket is over, after `session.ended`.",
}

PAGE = Channel(
    address="/ws",
    title="The websocket of a page",
    connecting="The handshake needs an allowed `Origin`; a script sends it too. Without any it needs "
    "`Authorization: Bearer` with an access token, which also signs the socket in. The first message has to come "
    "within 10 seconds (a `ping` will do), each further one within 10 minutes.",
    pushes={
        "mobile.taken": Push(
            MobileChanged(),
            "The watched number was registered, on whatever process; also by this page itself.",
            state="mobile",
        ),
        "mobile.freed": Push(MobileChanged(), "The watched number is free again.", state="mobile"),
        "sms.state": Push(
            SmsState(),
            "Each step of a watched SMS (of two steps in one moment only the later), each wrong code, each change of "
            "its waiting time.",
            state="transaction",
        ),
        "countdown.tick": Push(
            CountdownTick(), "Each second while a watched number has to wait.", state="transaction"
        ),
        "claim.shown": Push(
            ClaimShown(),
            "Something is asked about the number of this page's account, or no more; without `server_now`.",
        ),
        "server.closing": _CLOSING,
        "session.ended": _ENDED,
        "degraded": Push(StoreHealth(), _DEGRADED),
        "restored": Push(StoreHealth(), "The store answers again."),
    },
    close_codes=_AT_EVERY_END
    | {
        1003: "There was a binary frame.",
        4408: "The page was silent: no first message in 10 seconds, or none for 10 minutes.",
        4429: "The page is far over the rate, in spite of the refusals.",
    },
    refusals=(*_AT_EVERY_HANDSHAKE, "rate_limited", "busy", "address_blocked"),
    query=_LANG,
)
ADMIN = Channel(
    address="/ws/admin",
    title="The websocket of the monitor",
    connecting="It opens with a ticket of `POST /admin/ticket/`, once within 30 seconds, as an access token has no "
    "place in an address. An `Origin` must be one of ours. Each request needs its role; `ping` is answered too.",
    pushes={
        "monitor.snapshot": Push(MonitorSnapshot(), "On open."),
        "monitor.tick": Push(MonitorTick(), "Each second."),
        "monitor.event": Push(MonitorEvents(), "As things happen, at most once a second."),
        "degraded": Push(StoreHealth(), _DEGRADED),
        "server.closing": _CLOSING,
        "session.ended": _ENDED,
    },
    close_codes=_AT_EVERY_END
    | {1003: "There was a binary frame.", 1013: "A store does not answer; try again later."},
    refusals=(*_AT_EVERY_HANDSHAKE, "not_allowed", "rate_limited"),
    query=_LANG | {"ticket": "The ticket."},
)
CHANNELS = {"page": PAGE, "admin": ADMIN}

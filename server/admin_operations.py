"""What operators can ask: rows of the same table, for `/ws/admin` and REST. Each act is audited with who did it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from server.caller import Caller, Identity
from server.errors import AppError
from server.logs import mask
from server.operation import Data, Operation, Reply, Rest
from server.schemas.account import Empty
from server.schemas.admin import (
    AuditList,
    AuditListed,
    Block,
    BlockAdd,
    BlockRemove,
    BlocksListed,
    DeadLettersListed,
    JobName,
    MonitorSeries,
    MonitorTimeline,
    MonitorUser,
    MonitorUserShown,
    ProcessName,
    ProviderName,
    SeriesShown,
    TicketIssued,
    TimelinesShown,
    UniquenessSet,
    UserList,
    UserName,
    UsersListed,
)
from server.services import TICKET_S, Services


async def issue_ticket(services: Services, caller: Caller, data: Data) -> Reply:
    """What opens the monitor's websocket, once and soon."""
    ticket = await services.admins.issue_ticket(_operator(caller), caller)
    return Reply({"ticket": ticket, "expires_in": TICKET_S})


async def list_users(services: Services, caller: Caller, data: Data) -> Reply:
    """All accounts, page by page."""
    return Reply(await services.lookups.users(**data))


async def list_audit(services: Services, caller: Caller, data: Data) -> Reply:
    """The audit, the newest first, page by page."""
    return Reply(await services.lookups.audit(**data))


async def show_user(services: Services, caller: Caller, data: Data) -> Reply:
    """One account with its sessions and what happened to it."""
    await _note(services, caller, "admin.looked", mobile=data.get("mobile", ""), asked=_asked(data))
    return Reply(await services.lookups.user(**data))


async def show_timeline(services: Services, caller: Caller, data: Data) -> Reply:
    """What became of an SMS, or of those of a number within a day."""
    if "transaction" not in data:
        await _note(services, caller, "admin.looked", mobile=str(data.get("mobile") or data["masked"]))
    return Reply({"transactions": await services.lookups.timelines(**data)})


async def show_series(services: Services, caller: Caller, data: Data) -> Reply:
    """The figures of a stretch of time, for a chart."""
    return Reply(await services.monitor.series(data["range"]))


async def pause_provider(services: Services, caller: Caller, data: Data) -> Reply:
    """Ask this provider no more until it is resumed."""
    async with _acting(services, caller, "admin.provider_paused", name=data["name"]):
        await services.routing.pause(data["name"])
    return Reply({})


async def resume_provider(services: Services, caller: Caller, data: Data) -> Reply:
    """Let this provider be asked again."""
    async with _acting(services, caller, "admin.provider_resumed", name=data["name"]):
        await services.routing.resume(data["name"])
    return Reply({})


async def list_blocks(services: Services, caller: Caller, data: Data) -> Reply:
    """What is blocked now."""
    return Reply({"blocks": services.controls.blocks()})


async def add_block(services: Services, caller: Caller, data: Data) -> Reply:
    """Refuse a mobile, a range of them or an address for some minutes."""
    services.controls.require_foreign(data["kind"], data["value"], caller.address)
    shown = mask(data["value"]) if data["kind"] == "mobile" else data["value"]
    about = {"kind": data["kind"], "value": shown, "minutes": str(data["minutes"])}
    async with _acting(services, caller, "admin.blocked", **about):
        block = await services.controls.block(**data, by=_operator(caller).username)
    return Reply(block)


async def remove_block(services: Services, caller: Caller, data: Data) -> Reply:
    """Lift a block."""
    about = {"kind": data["kind"], "value": services.controls.shown(**data)}
    async with _acting(services, caller, "admin.unblocked", **about):
        await services.controls.unblock(**data)
    return Reply({})


async def disable_user(services: Services, caller: Caller, data: Data) -> Reply:
    """Close an account: its sessions end at once, and nobody gets in. Its number stays taken."""
    _require_other(caller, data["id"])
    await services.accounts.disable(data["id"], by=_operator(caller).username, caller=caller)
    return Reply({})


async def enable_user(services: Services, caller: Caller, data: Data) -> Reply:
    """Open an account again."""
    await services.accounts.enable(data["id"], by=_operator(caller).username, caller=caller)
    return Reply({})


async def end_sessions(services: Services, caller: Caller, data: Data) -> Reply:
    """Sign an account out everywhere."""
    _require_other(caller, data["id"])
    async with _acting(services, caller, "admin.sessions_ended", user=data["id"]):
        await services.sessions.end_all(data["id"], "ended")
    return Reply({})


async def list_dead(services: Services, caller: Caller, data: Data) -> Reply:
    """The SMS that were given up."""
    return Reply({"jobs": await services.dead_letters.newest()})


async def retry_sms(services: Services, caller: Caller, data: Data) -> Reply:
    """Send after all what had been given up."""
    async with _acting(services, caller, "admin.sms_retried", job=data["job"]):
        await services.dead_letters.retry(data["job"])
    return Reply({})


async def drop_sms(services: Services, caller: Caller, data: Data) -> Reply:
    """Forget an SMS that was given up."""
    async with _acting(services, caller, "admin.sms_dropped", job=data["job"]):
        await services.dead_letters.drop(data["job"])
    return Reply({})


async def set_uniqueness(services: Services, caller: Caller, data: Data) -> Reply:
    """How the question whether a number is taken is answered from now on."""
    async with _acting(services, caller, "admin.uniqueness_set", mode=data["mode"]):
        await services.controls.set_uniqueness(data["mode"])
    return Reply({})


async def drain_process(services: Services, caller: Caller, data: Data) -> Reply:
    """Have a process finish its work and stop."""
    async with _acting(services, caller, "admin.drained", process=data["id"]):
        await services.monitor.order_drain(data["id"])
    return Reply({})


def _operator(caller: Caller) -> Identity:
    assert caller.session is not None, "only a row with a role may ask"
    return caller.session


def _require_other(caller: Caller, user: str) -> None:
    """Whoever closed his own account could not open it again."""
    if user == _operator(caller).user:
        raise AppError("not_allowed", role="operator")


def _asked(data: Data) -> str:
    """What was asked for, masked."""
    return mask(data["mobile"]) if "mobile" in data else str(data.get("username", data.get("id", "")))


@asynccontextmanager
async def _acting(services: Services, caller: Caller, event: str, **about: str) -> AsyncIterator[None]:
    """Keep an act that was done, and one of which nobody knows whether it was; what was refused did not happen."""
    try:
        yield
    except AppError:
        raise
    except BaseException:
        await _note(services, caller, event, outcome="unknown", **about)
        raise
    await _note(services, caller, event, **about)


async def _note(services: Services, caller: Caller, event: str, *, user: str = "", **about: str) -> None:
    who = _operator(caller)
    mobile = about.pop("mobile", "")
    await services.audit.note(
        event, user=user or who.user, caller=caller, session=who.sid, mobile=mobile, by=who.username, **about
    )


def _row(
    name: str,
    schema: Any,
    run: Any,
    reply: str,
    shown: Any,
    *errors: str,
    rest: Rest | None = None,
    role: Any = "operator",
) -> Operation:
    return Operation(name, schema, run, reply, shown, rest, needs_login=True, role=role, errors=errors)


ADMIN_ROWS: tuple[Operation, ...] = (
    _row(
        "admin.ticket",
        Empty,
        issue_ticket,
        "admin.ticketed",
        TicketIssued(),
        rest=Rest("POST", "/admin/ticket/"),
        role="viewer",
    ),
    _row("user.list", UserList, list_users, "user.listed", UsersListed(), rest=Rest("GET", "/user/"), role="viewer"),
    _row(
        "audit.list",
        AuditList,
        list_audit,
        "audit.listed",
        AuditListed(),
        rest=Rest("GET", "/admin/audit/"),
        role="viewer",
    ),
    _row(
        "monitor.user", MonitorUser, show_user, "monitor.user_shown", MonitorUserShown(), "not_found", role="viewer"
    ),
    _row(
        "monitor.timeline",
        MonitorTimeline,
        show_timeline,
        "monitor.timeline_shown",
        TimelinesShown(),
        "not_found",
        role="viewer",
    ),
    _row("monitor.series", MonitorSeries, show_series, "monitor.series_shown", SeriesShown(), role="viewer"),
    _row("block.list", Empty, list_blocks, "block.listed", BlocksListed(), role="viewer"),
    _row("sms.dead", Empty, list_dead, "sms.dead_listed", DeadLettersListed(), role="viewer"),
    _row("provider.pause", ProviderName, pause_provider, "provider.paused", Empty(), "not_found"),
    _row("provider.resume", ProviderName, resume_provider, "provider.resumed", Empty(), "not_found"),
    _row("block.add", BlockAdd, add_block, "block.added", Block()),
    _row("block.remove", BlockRemove, remove_block, "block.removed", Empty(), "not_found"),
    _row("user.disable", UserName, disable_user, "user.disabled", Empty(), "not_found", "result_unknown"),
    _row("user.enable", UserName, enable_user, "user.enabled", Empty(), "not_found", "result_unknown"),
    _row("user.end_sessions", UserName, end_sessions, "user.sessions_ended", Empty()),
    _row(
        "sms.retry",
        JobName,
        retry_sms,
        "sms.retried",
        Empty(),
        *("job_gone", "sms_too_soon", "sms_budget_exhausted", "sms_unavailable"),
    ),
    _row("sms.drop", JobName, drop_sms, "sms.dropped", Empty(), "job_gone"),
    _row("uniqueness.set", UniquenessSet, set_uniqueness, "uniqueness.changed", Empty()),
    _row("process.drain", ProcessName, drain_process, "process.draining", Empty(), "not_found"),
)

"""Operators: who may look at the service, who may act on it, and how their page gets onto its websocket."""

import dataclasses
import math
import secrets

from server.caller import Caller, Identity
from server.errors import AppError
from server.events import EventBus, topics
from server.logs import get_log
from server.roles import Role, includes
from server.services.audit import AuditService
from server.services.guard import SessionGuard
from server.stores.tickets import TicketStore
from server.stores.users import UserStore, is_active

_log = get_log(__name__)
TICKET_S = 30


class AdminService:
    """A role is a field of the account and is read each time: what is taken away is gone at once."""

    def __init__(
        self, *, users: UserStore, tickets: TicketStore, guard: SessionGuard, audit: AuditService, events: EventBus
    ) -> None:
        self._users = users
        self._tickets = tickets
        self._guard = guard
        self._audit = audit
        self._events = events

    async def require(self, who: Identity | None, needed: Role) -> None:
        """AppError `token_invalid` unless the session lives, `not_allowed` unless its account has the role. Without
        Redis or MongoDB nobody is let through (TOK-12 in docs/security.md)."""
        await self._guard.require(who, reading=False)
        assert who is not None
        if not includes(await self.role_of(who), needed):
            raise AppError("not_allowed", role=needed)

    async def role_of(self, who: Identity) -> str:
        """The role of a session's account, "" if it has none."""
        user = await self._users.get(_id=who.user)
        return str(user.get("role", "")) if user and is_active(user) else ""

    async def issue_ticket(self, who: Identity, caller: Caller) -> str:
        """What opens the admin's websocket once, within TICKET_S. The access token itself must not stand in an
        address: those are kept in logs and histories (WS-2 in docs/security.md)."""
        ticket = secrets.token_urlsafe(24)
        await self._tickets.put(ticket, dataclasses.asdict(who))
        await self._audit.note("admin.entered", user=who.user, caller=caller, session=who.sid)
        return ticket

    async def redeem(self, ticket: str) -> Identity:
        """Whose ticket it is; AppError `token_invalid` for one that is used, late or invented."""
        holder = await self._tickets.take(ticket)
        if holder is None:
            raise AppError("token_invalid")
        # The monitor stays open for as long as its session lives; the token was only the way in.
        who = Identity(**holder | {"until": math.inf})
        await self.require(who, "viewer")
        return who

    async def grant(self, mobile: str, role: Role | None) -> bool:
        """Give the account of a number a role, or take it; False if there is no such account."""
        user = await self._users.get(mobile=mobile)
        if user is None or not await self._users.set_role(user["_id"], role):
            return False
        await self._audit.note("role.changed", user=user["_id"], mobile=mobile, role=role or "none")
        await self._events.publish(topics.ADMINS, user=user["_id"])
        _log.info("role.changed", user=user["_id"], role=role or "none")
        return True

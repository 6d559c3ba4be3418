"""What becomes of a claim to a number: told to the pages of its account, and kept in the audit."""

from typing import Any

from server.caller import Caller
from server.events import EventBus, topics
from server.logs import get_log, mask
from server.services.audit import AuditService
from server.stores.users import pending_claim

_log = get_log(__name__)
User = dict[str, Any]


def shown_claim(user: User) -> dict[str, Any] | None:
    """The pending claim of an account as its holder sees it: `mobile` is the number it would lose, or move to."""
    claim = pending_claim(user)
    if claim is None:
        return None
    mobile = mask(claim.get("new_mobile") or user["mobile"])
    return {"kind": claim["kind"], "mobile": mobile, "asked_at": claim["asked_at"], "due_at": claim["due_at"]}


def overtaken(user: User, *kinds: str) -> tuple[str, ...]:
    """The field that goes with a change of the account which leaves a claim of these kinds without a reason."""
    claim = pending_claim(user)
    return ("claim",) if claim and claim["kind"] in kinds else ()


class ClaimNews:
    """Pages hear how it stands now, not what happened: a message that comes twice or late does no harm."""

    def __init__(self, *, events: EventBus, audit: AuditService) -> None:
        self._events = events
        self._audit = audit

    async def note(self, event: str, user: User, kind: str, *, caller: Caller | None = None, **details: str) -> None:
        """Keep one of the audit's `claim.` events, and show the pages of that account how it stands."""
        await self.show(user)
        _log.info(event, user=user["_id"], kind=kind)
        session = caller.session.sid if caller and caller.session else ""
        about = {"user": user["_id"], "mobile": user["mobile"], "session": session, "kind": kind}
        await self._audit.note(event, caller=caller, **about, **details)

    async def note_overtaken(self, before: User, after: User, why: str, *, caller: Caller | None = None) -> None:
        """The same for the claim that a change of the account took away, if it did."""
        claim = pending_claim(before)
        if claim and pending_claim(after) is None:
            await self.note("claim.dropped", after, claim["kind"], caller=caller, why=why)

    async def show(self, user: User) -> None:
        """Push to all pages of the account, on every process."""
        await self._events.publish(topics.CLAIMS, user=user["_id"], claim=shown_claim(user))

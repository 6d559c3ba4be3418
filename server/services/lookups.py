"""What operators look up: accounts, the audit, the course of an SMS. Numbers leave here masked."""

from typing import Any

from server.errors import AppError
from server.logs import mask
from server.stores.audit import AuditStore
from server.stores.codes import CodeStore
from server.stores.sessions import SessionStore
from server.stores.users import UserStore
from server.tags import Tagger

_ENTRIES = 30


class LookupService:
    """Reads only."""

    def __init__(
        self, *, users: UserStore, sessions: SessionStore, audit: AuditStore, codes: CodeStore, tagger: Tagger
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._audit = audit
        self._codes = codes
        self._tagger = tagger

    async def users(self, *, after: str, limit: int) -> dict[str, Any]:
        """A page of all accounts, in the order of their ids."""
        found = await self._users.page(after, limit)
        return {"users": [*map(_shown, found)], "next": found[-1]["_id"] if len(found) == limit else None}

    async def user(self, **by: str) -> dict[str, Any]:
        """One account, by `mobile`, `username` or `id`; AppError `not_found`."""
        found = await self._users.get(**{"_id" if name == "id" else name: value for name, value in by.items()})
        if found is None:
            raise AppError("not_found")
        living = await self._sessions.living(found["_id"])
        return {
            "user": _shown(found),
            "sessions": [one | {"current": False} for one in living],
            "entries": await self._audit.of_user(found["_id"], before=0, count=_ENTRIES),
        }

    async def audit(self, *, user: str, before: int, limit: int) -> dict[str, Any]:
        """A page of the audit, the newest first."""
        read = self._audit.of_user(user, before=before, count=limit) if user else self._audit.page(before, limit)
        found = await read
        return {"entries": found, "next": found[-1]["_id"] if len(found) == limit else None}

    async def timelines(self, *, transaction: str = "", mobile: str = "", masked: str = "") -> list[dict[str, Any]]:
        """What became of one transaction, or within a day of all those of a number, or of the numbers that look so
        when masked. AppError `not_found`."""
        if transaction:
            names = [transaction]
        elif mobile:
            names = await self._codes.traced(self._tagger.tag(mobile))
        else:
            names = await self._codes.masked(masked)
        found = [{"transaction": name, "parts": await self._codes.trace(name)} for name in names]
        shown = [one for one in found if one["parts"]]
        if not shown:
            raise AppError("not_found")
        return shown


def _shown(user: dict[str, Any]) -> dict[str, Any]:
    return {
        "_id": user["_id"],
        "username": user["username"],
        "mobile": mask(user["mobile"]),
        "role": user.get("role", ""),
        "created_at": user["created_at"],
        "disabled_at": user.get("disabled_at"),
    }

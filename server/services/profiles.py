"""What the holder of an account tells of himself."""

from collections.abc import Callable
from typing import Any

from server.caller import Caller, Identity
from server.errors import AppError
from server.logs import mask
from server.services.audit import AuditService
from server.stores.users import UserStore

Profile = dict[str, Any]
BLANK: Profile = {"age": None, "sex": 0, "active": True, "description": ""}


class ProfileService:
    """Reads a profile, and changes it as a whole: two changes at once never make one that nobody wanted."""

    def __init__(self, *, users: UserStore, audit: AuditService) -> None:
        self._users = users
        self._audit = audit

    async def get(self, who: Identity) -> dict[str, Any]:
        """The account and its profile, as its holder sees it; AppError `token_invalid` if it is gone."""
        return _shown(await self._require(who))

    async def change(
        self, who: Identity, fields: Profile, *, judge: Callable[[Profile], Profile], caller: Caller
    ) -> dict[str, Any]:
        """Set some `fields` or all of them. `judge` gets the whole profile as it would be, and raises or answers what
        is to be kept."""
        while True:
            user = await self._require(who)
            profile = judge(_profile_of(user) | fields)
            if await self._users.set_profile(user, profile):
                told = {"user": who.user, "session": who.sid, "fields": " ".join(sorted(fields))}
                await self._audit.note("profile.changed", caller=caller, **told)
                return _shown(user | {"profile": profile})

    async def _require(self, who: Identity) -> dict[str, Any]:
        user = await self._users.get(_id=who.user)
        if user is None:
            raise AppError("token_invalid")
        return user


def _profile_of(user: dict[str, Any]) -> Profile:
    """Whoever has not told a name is called by the username."""
    kept: Profile = user.get("profile", {})
    return {"name": user["username"]} | BLANK | kept


def _shown(user: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": user["_id"],
        "username": user["username"],
        "mobile": mask(user["mobile"]),
        "created_at": user["created_at"],
        **_profile_of(user),
    }

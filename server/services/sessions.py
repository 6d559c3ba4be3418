"""Sessions: opened, refreshed by a token that works once, listed, ended."""

from dataclasses import dataclass
from typing import Any

from server.caller import Caller, Identity
from server.errors import AppError
from server.services.access_tokens import ACCESS_LIFE_S, LEEWAY_S, AccessTokens
from server.services.audit import AuditService
from server.services.devices import masked_address, words_of
from server.services.refresh_tokens import RefreshToken, RefreshTokens, read_refresh_token
from server.stores.sessions import SessionStore, TokenReused
from server.stores.users import UserStore, is_active

IDLE_S = 7 * 86400
ABSOLUTE_S = 30 * 86400
GRACE_S = 10
SESSIONS_MAX = 10


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """`token` is the access token and `who` what it says; `refresh` the value for the cookie."""

    token: str
    expires_in: int
    refresh: str
    who: Identity


class SessionService:
    """One hash a session; a user has SESSIONS_MAX at most, and one more ends the oldest."""

    def __init__(
        self,
        *,
        store: SessionStore,
        users: UserStore,
        audit: AuditService,
        access: AccessTokens,
        refresh: RefreshTokens,
    ) -> None:
        self._store = store
        self._users = users
        self._audit = audit
        self._access = access
        self._refresh = refresh

    async def open(self, user: dict[str, Any], caller: Caller) -> OpenedSession:
        """Begin a session for a user document; AppError `credentials_invalid` if it was changed since it was read.
        Over a websocket there is no cookie: the session lives as long as its token."""
        token = self._refresh.first(user["_id"])
        kept = {
            "id": user["_id"],
            "username": user["username"],
            "version": str(user["version"]),
            "device": words_of(caller.agent),
            "address": masked_address(caller.address),
        }
        idle_s = IDLE_S if caller.transport == "rest" else ACCESS_LIFE_S + LEEWAY_S
        opened = await self._store.open(
            token.user, token.sid, token.secret, kept, idle_s=idle_s, absolute_s=ABSOLUTE_S, most=SESSIONS_MAX
        )
        if not opened:
            raise AppError("credentials_invalid")
        return self._answer(kept, token)

    async def refresh(self, caller: Caller) -> OpenedSession:
        """Exchange the cookie's token for a new pair; AppError `token_invalid`. One that was used before ends all."""
        token = read_refresh_token(caller.refresh)
        if token is None:
            raise AppError("token_invalid")
        user = await self._users.get(_id=token.user)  # Before the exchange, which without Mongo would be for nothing.
        successor = self._refresh.successor(token)
        try:
            kept = await self._rotate(token, successor, caller)
        except TokenReused:
            await self._audit.note("session.reused", user=token.user, caller=caller, session=token.sid)
            raise AppError("token_invalid") from None
        if kept is None:
            raise AppError("token_invalid")
        if user is None or not is_active(user) or int(kept["version"]) < user["version"]:
            # The account decides, should Redis not have heard that its sessions are over.
            await self._store.end(token.user, token.sid, "over")
            raise AppError("token_invalid")
        return self._answer(kept, successor)

    async def _rotate(self, token: RefreshToken, successor: RefreshToken, caller: Caller) -> dict[str, str] | None:
        return await self._store.rotate(
            token.user,
            token.sid,
            token.secret,
            successor.secret,
            idle_s=IDLE_S,
            grace_s=GRACE_S,
            was_ours=self._refresh.was_ours(token),
            address=masked_address(caller.address),
        )

    async def log_out(self, caller: Caller) -> None:
        """End the session of the cookie; one that is over already is no fault."""
        token = read_refresh_token(caller.refresh)
        if token is None:
            return
        proof = "" if self._refresh.was_ours(token) else token.secret
        if await self._store.end(token.user, token.sid, "logout", proof=proof):
            await self._audit.note("session.ended", user=token.user, caller=caller, session=token.sid, why="logout")

    async def living(self, who: Identity) -> list[dict[str, Any]]:
        """All living sessions of this user, the newest first."""
        found = await self._store.living(who.user)
        return [one | {"current": one["id"] == who.sid} for one in found]

    async def end(self, who: Identity, sid: str, caller: Caller) -> None:
        """End one of this user's sessions; one that is over already is no fault."""
        why = "logout" if sid == who.sid else "ended"
        if await self._store.end(who.user, sid, why):
            await self._audit.note("session.ended", user=who.user, caller=caller, session=sid, why=why)

    async def end_others(self, who: Identity, caller: Caller) -> None:
        """End all of this user's sessions but the one that asks."""
        await self.end_all(who.user, "ended", but=who.sid)
        await self._audit.note("sessions.ended", user=who.user, caller=caller, session=who.sid)

    async def end_all(self, user: str, reason: str, *, but: str = "", version: int | None = None) -> None:
        """End all sessions of a user, `but` one, and tell their pages the `reason`. With the `version` that the
        account has from now on: also those that somebody is about to open by what it was before."""
        await self._store.end_all(user, reason, but=but, version="" if version is None else str(version))

    def _answer(self, kept: dict[str, str], token: RefreshToken) -> OpenedSession:
        signed = self._access.sign(
            user=kept["id"], username=kept["username"], version=int(kept["version"]), sid=token.sid
        )
        return OpenedSession(signed, ACCESS_LIFE_S, str(token), self._access.identify(signed))

"""Accounts: register and log in."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from server.caller import Caller
from server.clock import Clock
from server.errors import AppError, StoreUnavailable
from server.events import EventBus, topics
from server.logs import get_log, mask
from server.services.codes import CodeService
from server.services.passwords import PasswordService
from server.services.sessions import OpenedSession, SessionService
from server.stores.users import ResultUnknown, UserStore

_log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user and the session just opened."""

    user: dict[str, Any]
    session: OpenedSession

    def public(self) -> dict[str, Any]:
        """What the person may see of it (docs/rest.md)."""
        return {
            "id": self.user["_id"],
            "username": self.user["username"],
            "mobile": mask(self.user["mobile"]),
            "token": self.session.token,
            "expires_in": self.session.expires_in,
        }


class AccountService:
    """Who has an account, and how one gets in."""

    def __init__(
        self,
        *,
        users: UserStore,
        codes: CodeService,
        passwords: PasswordService,
        sessions: SessionService,
        events: EventBus,
        clock: Clock,
    ) -> None:
        self._users = users
        self._codes = codes
        self._passwords = passwords
        self._sessions = sessions
        self._events = events
        self._clock = clock

    async def register(
        self,
        *,
        mobile: str,
        password: str,
        sms_code: str,
        transaction: str,
        consent: dict[str, Any] | None,
        caller: Caller,
    ) -> SignedIn:
        """Make the account that this transaction was for, and sign in.

        AppError `mobile_taken`, `sms_code_invalid`, or `result_unknown`: then the same request again tells the truth.
        """
        user_id = _user_id(transaction)
        holder = await self._users.get(mobile=mobile)
        if holder and holder["_id"] != user_id:
            raise AppError("mobile_taken")
        try:
            async with self._codes.used(mobile, "register", transaction, sms_code):
                hashed = await self._passwords.hash(password)
                user = self._new_user(user_id, mobile, hashed, transaction)
                user |= {"consent": consent} if consent else {}
                user = await self._insert(user, password)
        except AppError as fault:
            if holder and fault.code == "sms_code_invalid":
                raise AppError("mobile_taken") from None
            raise
        await self._events.publish(topics.MOBILES, kind="mobile.taken", mobile=mobile)
        _log.info("user.registered", user=user["_id"], mobile=mask(mobile))
        return SignedIn(user, await self._sessions.open(user, caller))

    async def login(self, *, account: str, password: str, caller: Caller) -> SignedIn:
        """Sign in by canonical mobile or username; AppError `credentials_invalid` does not tell which was wrong."""
        looks_like_mobile = account.isdigit() and len(account) == 11
        user = await (self._users.get(mobile=account) if looks_like_mobile else self._users.get(username=account))
        if not await self._passwords.matches(password, user["password"] if user else None) or user is None:
            raise AppError("credentials_invalid")
        if self._passwords.outdated(user["password"]):
            await self._upgrade(user, password)
        return SignedIn(user, await self._sessions.open(user, caller))

    async def _upgrade(self, user: dict[str, Any], password: str) -> None:
        """Renew an outdated hash; where that cannot be done now the next login does it."""
        try:
            await self._users.set_password(user["_id"], user["password"], await self._passwords.hash(password))
        except (AppError, StoreUnavailable) as fault:
            _log.warning("password.not_upgraded", user=user["_id"], why=str(fault))

    def _new_user(self, user_id: str, mobile: str, password: str, transaction: str) -> dict[str, Any]:
        return {
            "_id": user_id,
            "username": _new_username(),
            "mobile": mobile,
            "password": password,
            "transaction": transaction,
            "version": 1,
            "created_at": self._clock.now(),
        }

    async def _insert(self, user: dict[str, Any], password: str) -> dict[str, Any]:
        try:
            if await self._users.insert(user):
                return user
        except ResultUnknown:
            raise AppError("result_unknown", retry_after=1) from None
        holder = await self._users.get(mobile=user["mobile"])
        if holder is None or holder["_id"] != user["_id"]:
            raise AppError("mobile_taken")
        # An earlier try of this very transaction was written after all. It stands if it was the same person's.
        if not await self._passwords.matches(password, holder["password"]):
            raise AppError("mobile_taken")
        return holder


def _user_id(transaction: str) -> str:
    """Follows from the transaction, so that trying again after a lost answer cannot make a second account."""
    digest = hashlib.sha256(f"user|{transaction}".encode()).digest()
    return base64.b32encode(digest[:15]).decode().lower()


def _new_username() -> str:
    """`hm_` and ten base32 characters: tells nothing of the number and never looks like one."""
    return "hm_" + base64.b32encode(secrets.token_bytes(7)).decode().lower()[:10]

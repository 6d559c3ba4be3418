"""Accounts: register, log in, close and open them."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

from server.caller import Caller
from server.clock import Clock
from server.errors import AppError, StoreUnavailable
from server.events import EventBus, topics
from server.logs import get_log, mask
from server.services.audit import AuditService
from server.services.claim_news import ClaimNews, overtaken
from server.services.codes import CodeService
from server.services.login_guard import LoginGuard
from server.services.passwords import PasswordService
from server.services.sessions import OpenedSession, SessionService
from server.stores.users import ResultUnknown, UserStore, is_active

_log = get_log(__name__)


class Tell(Protocol):
    """Puts an event in line for a server of the operator's; never raises."""

    async def __call__(self, kind: str, **data: Any) -> None: ...


# Refusals that the audit keeps: those that cost a guess. Whoever is merely too early is counted in the metrics.
_TOLD = {"credentials_invalid", "sms_code_invalid", "account_disabled"}


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
        guard: LoginGuard,
        sessions: SessionService,
        events: EventBus,
        audit: AuditService,
        news: ClaimNews,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._users = users
        self._tell = tell
        self._codes = codes
        self._passwords = passwords
        self._guard = guard
        self._audit = audit
        self._news = news
        self._sessions = sessions
        self._events = events
        self._clock = clock

    async def is_made(self, mobile: str, transaction: str) -> bool:
        """Whether the account of this transaction is there already; AppError `mobile_taken` if the number has another
        one."""
        holder = await self._users.get(mobile=mobile)
        if holder and holder["_id"] != _user_id(transaction):
            raise AppError("mobile_taken")
        return holder is not None

    async def register(
        self,
        *,
        mobile: str,
        password: str,
        sms_code: str,
        transaction: str,
        consent: dict[str, Any] | None,
        made_before: bool,
        caller: Caller,
    ) -> SignedIn:
        """Make the account that this transaction was for, and sign in. `made_before`: what `is_made` answered.

        AppError `mobile_taken`, `sms_code_invalid`, or `result_unknown`: then the same request again tells the truth.
        """
        user_id = _user_id(transaction)
        try:
            async with self._codes.used(mobile, "register", transaction, sms_code):
                hashed = await self._passwords.hash(password)
                user = self._new_user(user_id, mobile, hashed, transaction)
                user |= {"consent": consent} if consent else {}
                user = await self._insert(user, password)
        except AppError as fault:
            if made_before and fault.code == "sms_code_invalid":
                raise AppError("mobile_taken") from None
            raise
        await self._events.publish(topics.MOBILES, kind="mobile.taken", mobile=mobile)
        _log.info("user.registered", user=user["_id"], mobile=mask(mobile))
        await self._audit.note("user.registered", user=user["_id"], caller=caller, mobile=mobile)
        await self._tell("user.registered", id=user["_id"], username=user["username"], mobile=mask(mobile))
        return await self._sign_in(user, "register", caller)

    async def resume(self, *, password: str, transaction: str, caller: Caller) -> SignedIn | None:
        """Sign in to the account that was made of this transaction, whose answer got lost; None if there is none."""
        user = await self._users.get(_id=_user_id(transaction))
        if user is None or not await self._passwords.matches(password, user["password"]):
            return None
        _require_active(user)
        return await self._sign_in(user, "register", caller)

    async def login(self, *, account: str, password: str, caller: Caller, captcha_passed: bool) -> SignedIn:
        """Sign in by canonical mobile or username; AppError `credentials_invalid` does not tell which was wrong, and
        LoginGuard says when it is too early."""
        looks_like_mobile = account.isdigit() and len(account) == 11
        user = await (self._users.get(mobile=account) if looks_like_mobile else self._users.get(username=account))
        try:
            async with self._guard.trying(user["_id"] if user else account, caller, captcha_passed=captcha_passed):
                if not await self._passwords.matches(password, user["password"] if user else None) or user is None:
                    raise AppError("credentials_invalid")
            _require_active(user)
        except AppError as fault:
            if fault.code in _TOLD:
                about = {"user": user["_id"] if user else "", "why": fault.code}
                await self._audit.note("session.refused", caller=caller, **about)
            raise
        if user["mobile"]:
            await self._codes.forgive(user["mobile"])
        if self._passwords.outdated(user["password"]):
            await self._upgrade(user, password)
        return await self._sign_in(user, "password", caller)

    async def login_by_code(self, *, mobile: str, sms_code: str, transaction: str, caller: Caller) -> SignedIn:
        """Sign in by an SMS code. AppError `sms_code_invalid`, also where there is no account."""
        try:
            async with self._codes.used(mobile, "login", transaction, sms_code):
                user = await self._users.get(mobile=mobile)
                if user is None:
                    raise AppError("sms_code_invalid")
                _require_active(user)
                await self._guard.forgive(user["_id"])
                return await self._sign_in(user, "code", caller)
        except AppError as fault:
            if fault.code in _TOLD:
                await self._audit.note("session.refused", user="", caller=caller, mobile=mobile, why=fault.code)
            raise

    async def _sign_in(self, user: dict[str, Any], way: str, caller: Caller) -> SignedIn:
        opened = await self._sessions.open(user, caller)
        about = {"user": user["_id"], "mobile": user["mobile"], "session": opened.who.sid}
        await self._audit.note("session.opened", **about, caller=caller, way=way)
        return SignedIn(user, opened)

    async def delete(self, user: dict[str, Any], *, caller: Caller) -> None:
        """Remove an account for good, end its sessions and let others have its number."""
        if not await self._users.delete(user):
            raise AppError("busy", retry_after=1)
        if user["mobile"]:
            await self._events.publish(topics.MOBILES, kind="mobile.freed", mobile=user["mobile"])
        _log.info("account.deleted", user=user["_id"], mobile=mask(user["mobile"]))
        await self._audit.note("account.deleted", user=user["_id"], caller=caller, mobile=user["mobile"])
        await self._sessions.end_all(user["_id"], "deleted", version=user["version"] + 1)

    async def disable(self, user_id: str, *, by: str, caller: Caller | None = None) -> None:
        """Let nobody in any more, as the operator `by` wishes; AppError `not_found`. Its number stays taken: a claim
        that waits is dropped, as nobody could refuse it."""
        user, changed = await self._switch(user_id, disabled_at=self._clock.now())
        await self._sessions.end_all(user_id, "disabled", version=changed["version"])
        await self._audit.note("account.disabled", user=user_id, caller=caller, mobile=changed["mobile"], by=by)
        await self._news.note_overtaken(user, changed, "disabled", caller=caller)

    async def enable(self, user_id: str, *, by: str, caller: Caller | None = None) -> None:
        """Let its holder in again; AppError `not_found`."""
        _, changed = await self._switch(user_id, unset="disabled_at")
        await self._audit.note("account.enabled", user=user_id, caller=caller, mobile=changed["mobile"], by=by)

    async def _switch(self, user_id: str, *, unset: str = "", **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The account before and after."""
        while True:
            user = await self._users.get(_id=user_id)
            if user is None:
                raise AppError("not_found")
            gone = (unset,) if unset else overtaken(user, "change", "release")
            try:
                changed = await self._users.change(user, unset=gone, **fields)
            except ResultUnknown:
                raise AppError("result_unknown", retry_after=1) from None
            if changed:
                return user, changed

    async def _upgrade(self, user: dict[str, Any], password: str) -> None:
        """Renew an outdated hash; where that cannot be done now the next login does it."""
        try:
            await self._users.set_password(user["_id"], user["password"], await self._passwords.hash(password))
            await self._audit.note("password.upgraded", user=user["_id"])
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


def _require_active(user: dict[str, Any]) -> None:
    """Asked only after the credentials were right, so it tells a stranger nothing."""
    if not is_active(user):
        raise AppError("account_disabled")


def _user_id(transaction: str) -> str:
    """Follows from the transaction, so that trying again after a lost answer cannot make a second account."""
    digest = hashlib.sha256(f"user|{transaction}".encode()).digest()
    return base64.b32encode(digest[:15]).decode().lower()


def _new_username() -> str:
    """`hm_` and ten base32 characters: tells nothing of the number and never looks like one."""
    return "hm_" + base64.b32encode(secrets.token_bytes(7)).decode().lower()[:10]

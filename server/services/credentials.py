"""What lets one into an account: change the password or the number, set a forgotten password anew."""

from typing import Any

from server.caller import Caller, Identity
from server.errors import AppError
from server.events import EventBus, topics
from server.logs import get_log, mask
from server.password_rule import PasswordRule
from server.services.audit import AuditService
from server.services.claim_news import ClaimNews, overtaken
from server.services.codes import CodeService
from server.services.login_guard import LoginGuard
from server.services.notices import NoticeService
from server.services.passwords import PasswordService
from server.services.sessions import SessionService
from server.stores.users import NumberTaken, ResultUnknown, UserStore, is_active

_log = get_log(__name__)


class CredentialService:
    """Each change ends the sessions that the older credentials let in, and is told by SMS."""

    def __init__(
        self,
        *,
        users: UserStore,
        codes: CodeService,
        passwords: PasswordService,
        rule: PasswordRule,
        guard: LoginGuard,
        sessions: SessionService,
        audit: AuditService,
        notices: NoticeService,
        news: ClaimNews,
        events: EventBus,
    ) -> None:
        self._users = users
        self._codes = codes
        self._passwords = passwords
        self._rule = rule
        self._guard = guard
        self._sessions = sessions
        self._audit = audit
        self._notices = notices
        self._news = news
        self._events = events

    async def require_password(
        self, who: Identity, password: str, *, caller: Caller, captcha_passed: bool
    ) -> dict[str, Any]:
        """The account of a session, if this is its password; AppError `credentials_invalid`, and LoginGuard says when
        it is too early."""
        user = await self._users.get(_id=who.user)
        if user is None or not is_active(user):
            raise AppError("token_invalid")
        async with self._guard.trying(who.user, caller, captcha_passed=captcha_passed):
            if not await self._passwords.matches(password, user["password"]):
                raise AppError("credentials_invalid")
        return user

    async def change_password(
        self, who: Identity, *, password: str, new_password: str, caller: Caller, captcha_passed: bool
    ) -> None:
        """Replace a password that is known. This session goes on, all others end, and a change of the number that was
        asked for by the old one comes to nothing. AppError `credentials_invalid`, `result_unknown`."""
        user = await self.require_password(who, password, caller=caller, captcha_passed=captcha_passed)
        if weakness := self._rule.weakness(new_password, mobile=user["mobile"]):
            raise AppError("validation_failed", fields={"new_password": [weakness]})
        changed = await self._change_password(user, new_password)
        await self._sessions.end_all(who.user, "password_changed", but=who.sid, version=changed["version"])
        _log.info("password.changed", user=who.user)
        await self._audit.note("password.changed", user=who.user, caller=caller, session=who.sid)
        await self._news.note_overtaken(user, changed, "password", caller=caller)
        await self._notices.send("password", user["mobile"], locale=caller.locale)

    async def reset_password(
        self, *, mobile: str, sms_code: str, transaction: str, new_password: str, caller: Caller
    ) -> None:
        """Replace a forgotten password; nobody is signed in by that, and all sessions end. AppError
        `sms_code_invalid`, also where there is no account, `result_unknown`."""
        async with self._codes.used(mobile, "reset", transaction, sms_code):
            user = await self._users.get(mobile=mobile)
            if user is None or not is_active(user):
                raise AppError("sms_code_invalid")
            changed = await self._change_password(user, new_password)
            await self._sessions.end_all(user["_id"], "password_reset", version=changed["version"])
            await self._guard.forgive(user["_id"])
        _log.info("password.reset", user=user["_id"])
        await self._audit.note("password.reset", user=user["_id"], caller=caller, mobile=mobile)
        await self._news.note_overtaken(user, changed, "reset", caller=caller)
        await self._notices.send("password", mobile, locale=caller.locale)

    async def change_mobile(
        self,
        who: Identity,
        *,
        password: str,
        sms_code: str,
        transaction: str,
        new_mobile: str,
        new_sms_code: str,
        new_transaction: str,
        caller: Caller,
        captcha_passed: bool,
    ) -> dict[str, Any]:
        """Move an account to another number, which its holder proves as he proves the old one; the changed account.
        This session goes on, all others end. AppError `credentials_invalid`, `sms_code_invalid`, `mobile_taken`,
        `result_unknown`; then both codes are as good as before."""
        user = await self.require_password(who, password, caller=caller, captcha_passed=captcha_passed)
        async with (
            self._codes.used(user["mobile"], "change-old", transaction, sms_code),
            self._codes.used(new_mobile, "change-new", new_transaction, new_sms_code),
        ):
            changed = await self.move(who, user, new_mobile)
        await self.tell_move(who, user, changed, caller=caller)
        return changed

    async def move(self, who: Identity, user: dict[str, Any], new_mobile: str) -> dict[str, Any]:
        """The one step of moving to a number, for whoever has proved that he may; the changed account. Whatever was
        claimed of the old number has no object any more."""
        gone = (*overtaken(user, "change", "release"), "refused_at")
        changed = await self._change(user, unset=gone, mobile=new_mobile)
        await self._sessions.end_all(who.user, "mobile_changed", but=who.sid, version=changed["version"])
        return changed

    async def tell_move(
        self, who: Identity, user: dict[str, Any], changed: dict[str, Any], *, caller: Caller
    ) -> None:
        """Tell whom it concerns that an account, which was `user`, has moved."""
        old, new = user["mobile"], changed["mobile"]
        await self._events.publish(topics.MOBILES, kind="mobile.taken", mobile=new)
        if old:
            await self._events.publish(topics.MOBILES, kind="mobile.freed", mobile=old)
        _log.info("mobile.changed", user=who.user, old=mask(old), new=mask(new))
        about = {"user": who.user, "mobile": new, "session": who.sid, "old": mask(old)}
        await self._audit.note("mobile.changed", caller=caller, **about)
        await self._news.note_overtaken(user, changed, "changed", caller=caller)
        await self._notices.send("mobile", old, locale=caller.locale)

    async def _change_password(self, user: dict[str, Any], password: str) -> dict[str, Any]:
        """What was asked for by the old password goes with it."""
        return await self._change(
            user, unset=overtaken(user, "change"), password=await self._passwords.hash(password)
        )

    async def _change(self, user: dict[str, Any], *, unset: tuple[str, ...], **fields: Any) -> dict[str, Any]:
        try:
            changed = await self._users.change(user, unset=unset, **fields)
        except NumberTaken:
            raise AppError("mobile_taken") from None
        except ResultUnknown:
            raise AppError("result_unknown", retry_after=1) from None
        if changed is None:  # Somebody else changed it in this moment, so what was checked may no longer hold.
            raise AppError("busy", retry_after=1)
        return changed

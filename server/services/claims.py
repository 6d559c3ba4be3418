"""A number that has left its holder: given back by the carrier to somebody else, or lost with the phone."""

from collections.abc import Awaitable, Callable
from typing import Any

from server.caller import Caller, Identity
from server.errors import AppError, wait_s
from server.events import EventBus, topics
from server.logs import mask
from server.services.claim_news import ClaimNews, shown_claim
from server.services.codes import CodeService
from server.services.credentials import CredentialService
from server.services.guard import SessionGuard
from server.services.notices import NoticeService
from server.stores.users import Claim, ResultUnknown, UserStore, is_active, pending_claim

HOUR_S = 3600


class ClaimService:
    """One claim at most waits on an account: `release` asks that it lets go of its number, `change` that it moves to
    another one. Whoever is signed in may refuse it until its day; then ClaimKeeper carries it out."""

    def __init__(
        self,
        *,
        users: UserStore,
        codes: CodeService,
        credentials: CredentialService,
        notices: NoticeService,
        news: ClaimNews,
        guard: SessionGuard,
        events: EventBus,
        now: Callable[[], Awaitable[float]],
        cool_off_h: int,
        delay_h: int,
    ) -> None:
        """`now` is Redis' time; `cool_off_h` how long a release waits, `delay_h` a change."""
        self._users = users
        self._codes = codes
        self._credentials = credentials
        self._notices = notices
        self._news = news
        self._guard = guard
        self._events = events
        self._now = now
        self._cool_off_s = cool_off_h * HOUR_S
        self._delay_s = delay_h * HOUR_S

    async def start(self) -> None:
        """Begin to show open pages what becomes of the claims of their accounts."""
        await self._events.subscribe(topics.CLAIMS, self._on_news)

    def _on_news(self, _: str, data: dict[str, Any]) -> None:
        self._guard.tell(data["user"], "claim.shown", {"claim": data["claim"]})

    async def claim(self, *, mobile: str, sms_code: str, transaction: str, caller: Caller) -> float:
        """The present holder of a number, who is not the one of its account, asks to have it; when it will be free.

        A claim that waits already is not begun anew. AppError `sms_code_invalid`, also where there is no account;
        `claim_refused` while the last one was refused less than a cool-off ago.
        """
        begun = None
        async with self._codes.used(mobile, "claim", transaction, sms_code):
            user = await self._users.get(mobile=mobile)
            if user is None or not is_active(user):
                raise AppError("sms_code_invalid")
            claim = pending_claim(user)
            if claim is None:
                claim = await self._new_release(user, caller)
                begun = await self._set(user, claim)
        if begun:
            await self._news.note("claim.opened", begun, "release", caller=caller)
        return float(claim["due_at"])

    async def _new_release(self, user: dict[str, Any], caller: Caller) -> Claim:
        now = await self._now()
        wait = user.get("refused_at", -self._cool_off_s) + self._cool_off_s - now
        if wait > 0:
            raise AppError("claim_refused", retry_after=wait_s(wait * 1000))
        return _new("release", now, self._cool_off_s, caller)

    async def recover(
        self,
        who: Identity,
        *,
        password: str,
        new_mobile: str,
        new_sms_code: str,
        new_transaction: str,
        caller: Caller,
        captcha_passed: bool,
    ) -> dict[str, Any]:
        """Move an account whose old number cannot be asked any more: after the delay, or at once if it has none. The
        masked new number, and `due_at` (None: it has moved). A claim that waits gives way to this one. AppError
        `credentials_invalid`, `sms_code_invalid`, `mobile_taken`, `result_unknown`."""
        user = await self._credentials.require_password(who, password, caller=caller, captcha_passed=captcha_passed)
        if not user["mobile"]:
            async with self._codes.used(new_mobile, "change-new", new_transaction, new_sms_code):
                changed = await self._credentials.move(who, user, new_mobile)
            await self._credentials.tell_move(who, user, changed, caller=caller)
            return {"mobile": mask(new_mobile), "due_at": None}
        async with self._codes.used(new_mobile, "change-new", new_transaction, new_sms_code):
            if await self._users.get(mobile=new_mobile):
                raise AppError("mobile_taken")
            claim = _new("change", await self._now(), self._delay_s, caller) | {"new_mobile": new_mobile}
            # Told before it is done: were we killed in between, a false alarm is better than a silent change.
            await self._notices.send("claim", user["mobile"], locale=caller.locale)
            begun = await self._set(user, claim)
        if waited := pending_claim(user):
            await self._news.note("claim.dropped", begun, waited["kind"], caller=caller, why="recovery")
        await self._news.note("claim.opened", begun, "change", caller=caller, new=mask(new_mobile))
        return {"mobile": mask(new_mobile), "due_at": claim["due_at"]}

    async def _set(self, user: dict[str, Any], claim: Claim) -> dict[str, Any]:
        """AppError `busy` if the account was changed meanwhile, or its last claim is still being told."""
        told = "claim" not in user or pending_claim(user)
        try:
            begun = await self._users.set_claim(user, claim) if told else None
        except ResultUnknown:
            raise AppError("result_unknown", retry_after=1) from None
        if begun is None:
            raise AppError("busy", retry_after=1)
        return begun

    async def get(self, who: Identity) -> dict[str, Any] | None:
        """The claim that waits on one's account."""
        return shown_claim(await self._require(who))

    async def refuse(self, who: Identity, *, caller: Caller) -> None:
        """Take the claim back, or say no to it: things stay as they are. That there is none is no fault. AppError
        `result_unknown`, or `token_invalid` if it was carried out a moment ago, with which this session ends."""
        user = await self._require(who)
        while claim := pending_claim(user):
            refused = {"refused_at": await self._now()} if claim["kind"] == "release" else {}
            try:
                ended = await self._users.end_claim(user, **refused)
            except ResultUnknown:
                raise AppError("result_unknown", retry_after=1) from None
            if ended:
                await self._news.note("claim.refused", ended, claim["kind"], caller=caller)
                return
            user = await self._require(who)
        if user.get("claim", {}).get("outcome") == "carried_out":
            raise AppError("token_invalid")
        # Or it was carried out and told while we were on our way: sessions end before the claim is taken away.
        await self._guard.require(who, reading=False)

    async def _require(self, who: Identity) -> dict[str, Any]:
        user = await self._users.get(_id=who.user)
        if user is None:
            raise AppError("token_invalid")
        return user


def _new(kind: str, now: float, wait: float, caller: Caller) -> Claim:
    return {"kind": kind, "asked_at": now, "due_at": now + wait, "locale": caller.locale}

"""All that a browser can ask: one row and one short function each, behind the websocket and REST alike."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError

from server.admin_operations import ADMIN_ROWS
from server.caller import Caller, Identity
from server.deadlines import Deadlines
from server.errors import AppError, StoreUnavailable
from server.logs import about_request, get_log, mask
from server.operation import Data, Done, Operation, Reply, Rest
from server.schemas.account import (
    AccountDelete,
    AccountMobileChange,
    AccountMobileChanged,
    Empty,
    PasswordChange,
    PasswordReset,
    Pong,
    SessionLogin,
    SessionOpened,
    TokenRefreshed,
    UserRegister,
)
from server.schemas.base import Rules
from server.schemas.claims import ClaimShown, MobileClaim, MobileClaimed, MobileRecover, MobileRecovering
from server.schemas.code import (
    POLL_MAX_S,
    SMS_PURPOSES,
    CaptchaChallenge,
    CaptchaCheck,
    CaptchaNew,
    CaptchaPassed,
    SmsSend,
    SmsState,
    SmsWatch,
)
from server.schemas.mobile import MobileCheck, MobileChecked
from server.schemas.profile import ProfileReplace, ProfileShown, ProfileUpdate
from server.schemas.sessions import SessionAuthenticate, SessionBound, SessionEnd, SessionsListed
from server.services import Question, Services, SignedIn, masked_address

_log = get_log(__name__)


async def check_mobile(services: Services, caller: Caller, data: Data) -> Reply:
    """Is this number free? A socket then watches it, instead of the one before, and hears `mobile.taken` and
    `mobile.freed`.

    The answer is a courtesy: the unique index of the database decides when the account is made."""
    passed = await _spend(services, caller, "check", data)
    available = await services.questions.answer(caller, data["mobile"], captcha_passed=passed)
    if available is None and caller.transport == "rest" and services.mobiles.tells:
        raise AppError("check_unavailable", retry_after=1)
    return Reply({"mobile": data["mobile"], "available": available})


def begin_check(services: Services, caller: Caller, data: Data, done: Done) -> bool:
    """The same without a task of its own; a captcha has to be waited for."""
    if "captcha" in data:
        return False

    def answered(answer: bool | AppError | None) -> None:
        done(answer if isinstance(answer, AppError) else Reply({"mobile": data["mobile"], "available": answer}))

    services.questions.ask(Question(caller, data["mobile"], False, answered))
    return True


async def new_captcha(services: Services, caller: Caller, data: Data) -> Reply:
    """A captcha challenge. It costs more where an address asks for much, or the service has little left to send.

    It lives two minutes, counts once, and is bound to its purpose and to the browser. `sms.send` always needs one,
    other requests only after `captcha_required`."""
    await services.limits.charge_address("captcha.new", caller.address)
    dearer = data["purpose"] in SMS_PURPOSES and (
        await services.limits.under_pressure("sms.send", caller.address) or await services.budget.under_pressure()
    )
    return Reply(await services.captcha.issue(**data, device=caller.device, dearer=dearer))


async def check_captcha(services: Services, caller: Caller, data: Data) -> Reply:
    """A pass for the answer to a captcha: a page then knows that it is right before anything depends on it.

    The answer is used up. The pass is sent as `captcha` once, within two minutes, for the same purpose and by the
    same browser."""
    await services.limits.charge_address("captcha.check", caller.address)
    return Reply(await services.captcha.check(data.get("captcha"), data["purpose"], device=caller.device))


async def send_sms(services: Services, caller: Caller, data: Data) -> Reply:
    """Send an SMS with a code. The answer comes as soon as it is safe in the queue; its steps are pushed.

    Judged are, in this order: shape, login (for `change-old` and `change-new`), captcha (which is spent even if a
    later step refuses), the number, its interval and caps, the limits of who asks, the budget of the service. A
    resend repeats the code while that has two minutes and one attempt left. For `login` and `reset` numbers with and
    without an account look the same."""
    state = await services.repeats.once(
        "sms.send",
        data,
        caller,
        act=lambda: services.sending.send(**data, caller=caller),
        result_of=lambda state: str(state["transaction"]),
        again=services.codes.get_state,
    )
    return Reply(state)


async def watch_sms(services: Services, caller: Caller, data: Data) -> Reply:
    """Where an SMS stands: for a socket with every step from now on, over REST as soon as there is one.

    For a page that was reloaded or reconnected. It may watch four; a fifth ends the first."""
    await services.limits.charge_address("sms.watch", caller.address)
    if caller.watcher is not None:
        return Reply(await services.countdowns.watch(caller.watcher, data["transaction"]))
    return Reply(await services.polls.state(**data, over=caller.left or asyncio.Event()))


async def register_user(services: Services, caller: Caller, data: Data) -> Reply:
    """Make the account and sign in. Whatever fails after the right code gives the code back.

    After `result_unknown` send the same again: it finishes or confirms the first try, and never makes a second
    account."""
    consent = services.consent.require(data.pop("agree", False))
    passed = await _spend(services, caller, "register", data)
    made_before = False
    if services.mobiles.tells:
        await services.limits.charge_question(caller, data["mobile"], captcha_passed=passed, purpose="register")
        made_before = await services.accounts.is_made(data["mobile"], data["transaction"])
    await services.limits.charge_address("user.register", caller.address, captcha_passed=passed)

    async def register() -> SignedIn:
        async with services.guesses.trying(caller, "register", captcha_passed=passed):
            return await services.accounts.register(**data, consent=consent, made_before=made_before, caller=caller)

    made = await services.repeats.once(
        "user.register",
        data,
        caller,
        act=register,
        result_of=lambda made: str(made.user["_id"]),
        again=lambda _: services.accounts.resume(
            password=data["password"], transaction=data["transaction"], caller=caller
        ),
    )
    return _signed_in(made)


async def login(services: Services, caller: Caller, data: Data) -> Reply:
    """Sign in. After several wrong passwords a captcha is asked for, then a wait, and in the end this way is closed
    until another one succeeds.

    Over the websocket there is no refresh cookie, so the session lasts as long as its access token."""
    passed = await _admit(services, caller, "session.login", "login", data)
    if "sms_code" not in data:
        return _signed_in(await services.accounts.login(**data, caller=caller, captcha_passed=passed))
    async with services.guesses.trying(caller, "login", captcha_passed=passed):
        return _signed_in(await services.accounts.login_by_code(**data, caller=caller))


async def authenticate(services: Services, caller: Caller, data: Data) -> Reply:
    """Let a websocket speak for the session of an access token."""
    await services.limits.charge_address("session.authenticate", caller.address)
    who = services.tokens.identify(data["token"])
    await services.guard.require(who, reading=False)
    await services.rooms.enter_session(caller.watcher, who.sid)
    return Reply({"username": who.username}, session=who)


async def refresh_session(services: Services, caller: Caller, data: Data) -> Reply:
    """A new access token for the refresh cookie. That is renewed too, as a refresh token works once: one that comes
    back later ends its session."""
    await services.limits.charge_address("session.refresh", caller.address)
    session = await services.sessions.refresh(caller)
    return Reply({"token": session.token, "expires_in": session.expires_in}, refresh=session.refresh)


async def log_out(services: Services, caller: Caller, data: Data) -> Reply:
    """End the session of the refresh cookie. The cookie is cleared; one that is over already is no fault."""
    await services.sessions.log_out(caller)
    return Reply({}, refresh="")


async def list_sessions(services: Services, caller: Caller, data: Data) -> Reply:
    """Where this account is signed in."""
    await services.limits.charge_address("session.list", caller.address)
    return Reply({"sessions": await services.sessions.living(_holder(caller))})


async def end_session(services: Services, caller: Caller, data: Data) -> Reply:
    """Sign one of this account's sessions out. To end one that is over is no fault."""
    await services.limits.charge_address("session.end", caller.address)
    await services.sessions.end(_holder(caller), data["id"], caller)
    return Reply({})


async def end_other_sessions(services: Services, caller: Caller, data: Data) -> Reply:
    """Sign all of this account's sessions out but the one that asks."""
    await services.limits.charge_address("session.end", caller.address)
    await services.sessions.end_others(_holder(caller), caller)
    return Reply({})


async def change_password(services: Services, caller: Caller, data: Data) -> Reply:
    """Replace a password that is known; all other sessions end."""
    passed = await _admit(services, caller, "password.change", "login", data)
    await services.credentials.change_password(_holder(caller), **data, caller=caller, captcha_passed=passed)
    return Reply({})


async def reset_password(services: Services, caller: Caller, data: Data) -> Reply:
    """Replace a forgotten password by the code of an SMS; all sessions end, and none begins."""
    passed = await _admit(services, caller, "password.reset", "reset", data)
    async with services.guesses.trying(caller, "reset", captcha_passed=passed):
        await services.credentials.reset_password(**data, caller=caller)
    return Reply({})


async def change_mobile(services: Services, caller: Caller, data: Data) -> Reply:
    """Move the account to another number; all other sessions end.

    Should anything be wrong, both codes are as good as before."""
    passed = await _admit(services, caller, "mobile.change", "login", data)
    async with services.guesses.trying(caller, "login", captcha_passed=passed):
        changed = await services.credentials.change_mobile(
            _holder(caller), **data, caller=caller, captcha_passed=passed
        )
    return Reply({"mobile": mask(changed["mobile"])})


async def claim_mobile(services: Services, caller: Caller, data: Data) -> Reply:
    """Ask for the number of an account that is not one's own; it lets go after a cool-off, if nobody refuses."""
    passed = await _admit(services, caller, "mobile.claim", "claim", data)
    async with services.guesses.trying(caller, "claim", captcha_passed=passed):
        return Reply({"due_at": await services.claims.claim(**data, caller=caller)})


async def recover_mobile(services: Services, caller: Caller, data: Data) -> Reply:
    """Move the account to another number without a code to the old one: after a delay."""
    passed = await _admit(services, caller, "mobile.recover", "login", data)
    async with services.guesses.trying(caller, "login", captcha_passed=passed):
        return Reply(await services.claims.recover(_holder(caller), **data, caller=caller, captcha_passed=passed))


async def get_claim(services: Services, caller: Caller, data: Data) -> Reply:
    """What is asked about this account's number."""
    await services.limits.charge_address("claim.get", caller.address)
    claim = await services.claims.get(_holder(caller))
    return Reply({"claim": claim, "server_now": round(services.clock.now(), 3)})


async def refuse_claim(services: Services, caller: Caller, data: Data) -> Reply:
    """Keep things as they are."""
    await services.limits.charge_address("claim.refuse", caller.address)
    await services.claims.refuse(_holder(caller), caller=caller)
    return Reply({})


async def get_profile(services: Services, caller: Caller, data: Data) -> Reply:
    """The account, as its holder sees it."""
    await services.limits.charge_address("profile.get", caller.address)
    return Reply(await services.profiles.get(_holder(caller)))


async def change_profile(services: Services, caller: Caller, data: Data) -> Reply:
    """Change the profile. What comes of it is judged as a whole: an inactive one needs a description."""
    await services.limits.charge_address("profile.change", caller.address)
    return Reply(await services.profiles.change(_holder(caller), data, judge=_WHOLE.load, caller=caller))


async def delete_account(services: Services, caller: Caller, data: Data) -> Reply:
    """Remove the account for good; its number is free at once, and all sessions end."""
    passed = await _admit(services, caller, "account.delete", "login", data)
    user = await services.credentials.require_password(
        _holder(caller), data["password"], caller=caller, captcha_passed=passed
    )
    await services.accounts.delete(user, caller=caller)
    return Reply({}, refresh="")


async def ping(services: Services, caller: Caller, data: Data) -> Reply:
    """I am here. A page that says nothing for ten minutes is sent away."""
    return Reply({"server_now": round(services.clock.now(), 3)})


def _signed_in(made: SignedIn) -> Reply:
    return Reply(made.public(), refresh=made.session.refresh, session=made.session.who)


def _holder(caller: Caller) -> Identity:
    assert caller.session is not None, "only a row that needs a login may ask"
    return caller.session


async def _admit(services: Services, caller: Caller, action: str, purpose: str, data: Data) -> bool:
    """Charge the address; a captcha, needed under pressure only, is spent first. True if there was one."""
    passed = await _spend(services, caller, purpose, data)
    await services.limits.charge_address(action, caller.address, captcha_passed=passed, purpose=purpose)
    return passed


async def _spend(services: Services, caller: Caller, purpose: str, data: Data) -> bool:
    answer = data.pop("captcha", None)
    if answer:
        await services.captcha.spend(answer, purpose, device=caller.device)
    return bool(answer)


def _refuse_taken(reply: Data) -> None:
    if reply["available"] is False:
        raise AppError("mobile_taken")


_OPENED, _STATE, _PROFILE = SessionOpened(), SmsState(), ProfileShown()
_WHOLE = ProfileReplace()
_HASHING_S = 15
_POLL_S = POLL_MAX_S + 5

OPERATIONS: dict[str, Operation] = {
    row.name: row
    for row in (
        Operation(
            "mobile.check",
            MobileCheck,
            check_mobile,
            "mobile.checked",
            MobileChecked(),
            Rest(
                "GET",
                "/user/mobile/{mobile}/",
                judge=_refuse_taken,
                errors=("mobile_taken", "check_unavailable"),
            ),
            begin=begin_check,
        ),
        Operation(
            "captcha.new",
            CaptchaNew,
            new_captcha,
            "captcha.challenge",
            CaptchaChallenge(),
            Rest("GET", "/user/captcha/"),
        ),
        Operation(
            "captcha.check",
            CaptchaCheck,
            check_captcha,
            "captcha.passed",
            CaptchaPassed(),
            Rest("POST", "/user/captcha/"),
        ),
        Operation(
            "sms.send",
            SmsSend,
            send_sms,
            "sms.queued",
            _STATE,
            Rest("POST", "/user/sms/", 202, errors=("idempotency_conflict",)),
            errors=(
                *("token_invalid", "mobile_taken", "check_unavailable", "transaction_unknown", "method_stopped"),
                *("sms_too_soon", "sms_limit", "sms_budget_exhausted", "sms_unavailable"),
            ),
        ),
        Operation(
            "sms.watch",
            SmsWatch,
            watch_sms,
            "sms.state",
            _STATE,
            Rest("GET", "/user/sms/{transaction}/"),
            _POLL_S,
            errors=("transaction_unknown",),
        ),
        Operation(
            "user.register",
            UserRegister,
            register_user,
            "user.registered",
            _OPENED,
            Rest("POST", "/user/", 201, errors=("idempotency_conflict",)),
            _HASHING_S,
            errors=(
                *("consent_required", "mobile_taken", "sms_code_invalid", "result_unknown", "account_disabled"),
                "credentials_invalid",
            ),
        ),
        Operation(
            "session.login",
            SessionLogin,
            login,
            "session.opened",
            _OPENED,
            Rest("POST", "/user/login/"),
            _HASHING_S,
            errors=("credentials_invalid", "sms_code_invalid", "method_stopped", "account_disabled"),
        ),
        Operation(
            "session.refresh",
            Empty,
            refresh_session,
            "session.refreshed",
            TokenRefreshed(),
            Rest("POST", "/user/refresh/"),
            uses_cookie=True,
            errors=("token_invalid",),
        ),
        Operation(
            "session.logout",
            Empty,
            log_out,
            "session.ended",
            Empty(),
            Rest("POST", "/user/logout/", 204),
            uses_cookie=True,
        ),
        Operation(
            "session.authenticate",
            SessionAuthenticate,
            authenticate,
            "session.bound",
            SessionBound(),
            errors=("token_invalid",),
        ),
        Operation(
            "session.list",
            Empty,
            list_sessions,
            "session.listed",
            SessionsListed(),
            Rest("GET", "/user/sessions/"),
            needs_login=True,
        ),
        Operation(
            "session.end",
            SessionEnd,
            end_session,
            "session.ended",
            Empty(),
            Rest("DELETE", "/user/sessions/{id}/", 204),
            needs_login=True,
        ),
        Operation(
            "session.end_others",
            Empty,
            end_other_sessions,
            "session.ended",
            Empty(),
            Rest("DELETE", "/user/sessions/", 204),
            needs_login=True,
        ),
        Operation(
            "password.change",
            PasswordChange,
            change_password,
            "password.changed",
            Empty(),
            Rest("POST", "/user/password/", 204),
            _HASHING_S,
            needs_login=True,
            errors=("credentials_invalid", "method_stopped", "result_unknown"),
        ),
        Operation(
            "password.reset",
            PasswordReset,
            reset_password,
            "password.changed",
            Empty(),
            Rest("POST", "/user/password/reset/", 204),
            _HASHING_S,
            errors=("sms_code_invalid", "result_unknown"),
        ),
        Operation(
            "mobile.change",
            AccountMobileChange,
            change_mobile,
            "mobile.changed",
            AccountMobileChanged(),
            Rest("POST", "/user/mobile/"),
            _HASHING_S,
            needs_login=True,
            errors=("credentials_invalid", "method_stopped", "sms_code_invalid", "mobile_taken", "result_unknown"),
        ),
        Operation(
            "mobile.claim",
            MobileClaim,
            claim_mobile,
            "mobile.claimed",
            MobileClaimed(),
            Rest("POST", "/user/claim/", 202),
            errors=("sms_code_invalid", "claim_refused", "result_unknown"),
        ),
        Operation(
            "mobile.recover",
            MobileRecover,
            recover_mobile,
            "mobile.recovering",
            MobileRecovering(),
            Rest("POST", "/user/mobile/recovery/", 202),
            _HASHING_S,
            needs_login=True,
            errors=("credentials_invalid", "method_stopped", "sms_code_invalid", "mobile_taken", "result_unknown"),
        ),
        Operation(
            "claim.get",
            Empty,
            get_claim,
            "claim.shown",
            ClaimShown(),
            Rest("GET", "/user/claim/"),
            needs_login=True,
        ),
        Operation(
            "claim.refuse",
            Empty,
            refuse_claim,
            "claim.refused",
            Empty(),
            Rest("DELETE", "/user/claim/", 204),
            needs_login=True,
            errors=("result_unknown",),
        ),
        Operation(
            "profile.get",
            Empty,
            get_profile,
            "profile.shown",
            _PROFILE,
            Rest("GET", "/user/me/"),
            needs_login=True,
        ),
        Operation(
            "profile.update",
            ProfileUpdate,
            change_profile,
            "profile.shown",
            _PROFILE,
            Rest("PATCH", "/user/me/"),
            needs_login=True,
        ),
        Operation(
            "profile.replace",
            ProfileReplace,
            change_profile,
            "profile.shown",
            _PROFILE,
            Rest("PUT", "/user/me/"),
            needs_login=True,
        ),
        Operation(
            "account.delete",
            AccountDelete,
            delete_account,
            "account.deleted",
            Empty(),
            Rest("DELETE", "/user/me/", 204),
            _HASHING_S,
            needs_login=True,
            errors=("credentials_invalid", "method_stopped"),
        ),
        Operation("ping", Empty, ping, "pong", Pong()),
        *ADMIN_ROWS,
    )
}


class Dispatcher:
    """Runs rows of OPERATIONS against one set of services, the same way for every transport."""

    def __init__(self, services: Services, rules: Rules) -> None:
        self.services = services
        self.rules = rules
        self._schemas = {name: row.schema(rules) for name, row in OPERATIONS.items()}
        self._deadlines = Deadlines()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no operation is running."""
        await self._idle.wait()

    async def admit_socket(self, caller: Caller) -> None:
        """Charge a websocket's handshake; AppError `rate_limited`, or `token_invalid` for a session that is over."""
        try:
            self.services.controls.require_address(caller.address)
            await self.services.limits.charge_address("socket.open", caller.address)
            await self.services.rooms.enter_address(caller.watcher, caller.address)
            if caller.session:
                await self.services.guard.require(caller.session, reading=False)
                await self.services.rooms.enter_session(caller.watcher, caller.session.sid)
        except StoreUnavailable:
            self.services.rooms.leave(caller.watcher)
            raise AppError("unavailable", retry_after=1) from None
        except AppError:
            self.services.rooms.leave(caller.watcher)
            raise

    async def admit_admin(self, ticket: str, socket: object, caller: Caller) -> Identity:
        """Who comes in by a ticket; AppError `token_invalid`, `not_allowed` or `rate_limited`."""
        try:
            await self.services.limits.charge_address("socket.open", caller.address)
            await self.services.rooms.enter_address(socket, caller.address)
            return await self.services.admins.redeem(ticket)
        except StoreUnavailable:
            raise AppError("unavailable", retry_after=1) from None

    def fields(self, operation: Operation) -> dict[str, Any]:
        """The request fields of an operation."""
        return self._schemas[operation.name].load_fields

    async def run(self, operation: Operation, caller: Caller, data: Data) -> Reply:
        """The reply, ready for the wire; every fault becomes an AppError."""
        ended = self._count(operation, caller)
        try:
            with about_request(caller.request_id):
                reply = await self._run(operation, caller, data)
        except AppError as fault:  # No other name may hold it: it holds this frame, and that the page.
            ended(fault)
            raise
        except BaseException:
            ended(AppError("internal_error"))
            raise
        ended(reply)
        return reply

    def begin(self, operation: Operation, caller: Caller, data: Data, done: Done) -> bool:
        """The same for a row that can begin without a task; `done` hears of the end, once. False if it cannot."""
        if operation.begin is None:
            return False
        ended = self._count(operation, caller)

        def finish(outcome: Reply | AppError) -> None:
            if isinstance(outcome, Reply):
                outcome.data = operation.reply_schema.dump(outcome.data)
            ended(outcome)
            done(outcome)

        try:
            loaded = self._schemas[operation.name].load(data)
            self._require_open(caller, loaded)
            begun = operation.begin(self.services, caller, loaded, finish)
        except ValidationError as fault:
            finish(field_faults(fault))
        except AppError as fault:
            finish(fault)
        except Exception:
            _log.exception("operation.failed", operation=operation.name)
            finish(AppError("internal_error"))
        else:
            if not begun:
                ended(None)
            return begun
        return True

    def _count(self, operation: Operation, caller: Caller) -> Callable[[Reply | AppError | None], None]:
        """One more is running; what is returned hears how it ended, or None if it was not begun."""
        started = time.perf_counter()
        if not self._running:
            self._idle.clear()
        self._running += 1

        def ended(outcome: Reply | AppError | None) -> None:
            self._running -= 1
            if not self._running:
                self._idle.set()
            if outcome is None:
                return
            code = outcome.code if isinstance(outcome, AppError) else "ok"
            self.services.metrics.note_operation(
                operation.name, caller.transport, code, time.perf_counter() - started
            )
            if code != "ok" and self.services.feed.wanted:
                about = {"operation": operation.name, "code": code, "address": masked_address(caller.address)}
                self.services.feed.note("refused", self.services.clock.now(), **about)

        return ended

    def _require_open(self, caller: Caller, loaded: Data) -> None:
        """AppError `address_blocked` or `number_blocked`."""
        if not self.services.controls.blocking:
            return
        self.services.controls.require_address(caller.address)
        for name in ("mobile", "new_mobile", "account"):
            if name in loaded:
                self.services.controls.require_number(loaded[name])

    async def _require_right(self, operation: Operation, caller: Caller, loaded: Data) -> None:
        """AppError unless the caller may ask this. Operators, and a `ping`, are not subject to blocks: whoever comes
        from a blocked address must be able to lift that."""
        if operation.role:
            await self.services.admins.require(caller.session, operation.role)
            return
        if operation.name != "ping":
            self._require_open(caller, loaded)
        if operation.needs_login:
            await self.services.guard.require(caller.session, reading=operation.reading)

    async def _run(self, operation: Operation, caller: Caller, data: Data) -> Reply:
        try:
            with self._deadlines.within(operation.timeout_s):
                loaded = self._schemas[operation.name].load(data)
                await self._require_right(operation, caller, loaded)
                reply = await operation.run(self.services, caller, loaded)
            reply.data = operation.reply_schema.dump(reply.data)
            return reply
        except AppError:
            raise
        except ValidationError as fault:
            raise field_faults(fault) from None
        except StoreUnavailable as fault:
            _log.warning("operation.store_unavailable", operation=operation.name, why=str(fault))
            raise AppError("unavailable", retry_after=1) from None
        except TimeoutError:
            _log.warning("operation.timed_out", operation=operation.name)
            raise AppError("busy", retry_after=2) from None
        except Exception:
            _log.exception("operation.failed", operation=operation.name)
            raise AppError("internal_error") from None


def field_faults(fault: ValidationError) -> AppError:
    """All faults at once; a bad mobile names the whole error."""
    fault.__traceback__ = None  # marshmallow holds the fault in a frame that this holds, and that our caller
    messages: dict[str, Any] = fault.normalized_messages()  # type: ignore[no-untyped-call]
    fields = {str(name)[:64]: _flat(found) for name, found in messages.items()}
    bad_mobile = any(fields.get(name, ["field.unknown"]) != ["field.unknown"] for name in ("mobile", "new_mobile"))
    return AppError("mobile_invalid" if bad_mobile else "validation_failed", fields=fields)


def _flat(found: Any) -> list[str]:
    """marshmallow nests faults of keys and items; a field's list of texts is all a page needs."""
    if isinstance(found, dict):
        return [text for child in found.values() for text in _flat(child)]
    return list(found)

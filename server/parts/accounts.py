"""Who has an account: sessions, passwords, what changes them, and a number that has left its holder."""

from functools import cached_property

from server.events import topics
from server.hooks import Hooks
from server.http import HttpClient
from server.keys import KeyRing
from server.parts.sms import SmsParts
from server.services.access_tokens import AccessTokens
from server.services.accounts import AccountService
from server.services.claim_keeper import ClaimKeeper
from server.services.claim_news import ClaimNews
from server.services.claims import ClaimService
from server.services.credentials import CredentialService
from server.services.guard import SessionGuard
from server.services.login_guard import LoginGuard
from server.services.passwords import PasswordService
from server.services.profiles import ProfileService
from server.services.refresh_tokens import RefreshTokens
from server.services.repeats import RepeatService
from server.services.sending import SendService
from server.services.sessions import SessionService
from server.signing import read_secret
from server.stores.jobs import JobStore
from server.stores.login_guard import LoginGuardStore
from server.stores.repeats import RepeatStore
from server.stores.sessions import SessionStore


class AccountParts(SmsParts):
    """An account is made by a code, so these know how one is sent."""

    @cached_property
    def token_ring(self) -> KeyRing:
        return self.settings.ring("TOKEN_KEYS")

    @cached_property
    def tokens(self) -> AccessTokens:
        issuer = self.settings.site_url or "urn:haoma:development"
        return AccessTokens(ring=self.token_ring, issuer=issuer, clock=self.clock)

    @cached_property
    def session_store(self) -> SessionStore:
        return SessionStore(self.redis, topic=topics.SESSIONS)

    @cached_property
    def guard(self) -> SessionGuard:
        return SessionGuard(store=self.session_store, events=self.events, clock=self.clock)

    @cached_property
    def sessions(self) -> SessionService:
        return SessionService(
            store=self.session_store,
            users=self.users,
            audit=self.audit,
            access=self.tokens,
            refresh=RefreshTokens(self.token_ring),
        )

    @cached_property
    def passwords(self) -> PasswordService:
        peppers, cost = self.settings.ring("PASSWORD_PEPPERS"), self.settings.bcrypt_cost
        passwords = PasswordService(peppers=peppers, cost=cost, metrics=self.metrics)
        self.closing.callback(passwords.aclose)
        return passwords

    @cached_property
    def login_guard(self) -> LoginGuard:
        return LoginGuard(
            store=LoginGuardStore(self.redis, self.settings.limit_rules),
            rules=self.settings.limit_rules,
            limits=self.limits,
            tagger=self.tagger,
            metrics=self.metrics,
            enforce=self.enforce,
            captcha=self.asks_captcha,
        )

    @cached_property
    def hooks(self) -> Hooks:
        http = HttpClient()
        self.closing.push_async_callback(http.aclose)
        url = self.settings.notify_url
        return Hooks(
            jobs=JobStore(self.redis, queue="hooks"),
            http=http,
            url=url,
            key=read_secret(self.settings.notify_secret) if url else b"",
            clock=self.clock,
            metrics=self.metrics,
        )

    @cached_property
    def claim_news(self) -> ClaimNews:
        return ClaimNews(events=self.events, audit=self.audit)

    @cached_property
    def accounts(self) -> AccountService:
        return AccountService(
            users=self.users,
            codes=self.codes,
            passwords=self.passwords,
            guard=self.login_guard,
            sessions=self.sessions,
            events=self.events,
            clock=self.clock,
            audit=self.audit,
            tell=self.hooks.tell,
            news=self.claim_news,
        )

    @cached_property
    def credentials(self) -> CredentialService:
        return CredentialService(
            users=self.users,
            codes=self.codes,
            passwords=self.passwords,
            rule=self.settings.password_rule(),
            guard=self.login_guard,
            sessions=self.sessions,
            audit=self.audit,
            notices=self.notices,
            news=self.claim_news,
            events=self.events,
        )

    @cached_property
    def claims(self) -> ClaimService:
        return ClaimService(
            users=self.users,
            codes=self.codes,
            credentials=self.credentials,
            notices=self.notices,
            news=self.claim_news,
            guard=self.guard,
            events=self.events,
            now=self.redis.now,
            cool_off_h=self.settings.release_cool_off_h,
            delay_h=self.settings.recovery_delay_h,
        )

    @cached_property
    def claim_keeper(self) -> ClaimKeeper:
        return ClaimKeeper(
            users=self.users,
            sessions=self.sessions,
            notices=self.notices,
            news=self.claim_news,
            events=self.events,
            now=self.redis.now,
            clock=self.clock,
        )

    @cached_property
    def profiles(self) -> ProfileService:
        return ProfileService(users=self.users, audit=self.audit)

    @cached_property
    def repeats(self) -> RepeatService:
        return RepeatService(store=RepeatStore(self.redis), tagger=self.tagger)

    @cached_property
    def sending(self) -> SendService:
        return SendService(
            guard=self.guard,
            users=self.users,
            captcha=self.captchas,
            mobiles=self.mobiles,
            codes=self.codes,
            limits=self.limits,
            budget=self.budget,
            conversion=self.conversion,
            outbox=self.outbox,
            delivery=self.delivery,
            countdowns=self.countdowns,
        )

"""The only file that builds things: stores, services, worker - and closes them in the reverse order."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from server.captcha.altcha import Altcha
from server.captcha.geetest3 import Geetest3
from server.captcha.geetest4 import Geetest4
from server.captcha.image import Image
from server.clock import Clock
from server.embedded import EmbeddedStores
from server.errors import StoreTooOld, StoreUnavailable
from server.events import EventBus, topics
from server.feed import Feed
from server.hooks import Hooks
from server.http import HttpClient
from server.jobs import Outside, Worker
from server.keys import KeyFault
from server.logs import get_log
from server.metrics import Metrics
from server.pool import BoundedPool
from server.services import Services
from server.services.access_tokens import AccessTokens
from server.services.accounts import AccountService
from server.services.admins import TICKET_S, AdminService
from server.services.alerts import AlertService
from server.services.audit import AuditService
from server.services.budget import BudgetService
from server.services.captcha import CaptchaService
from server.services.captcha_kinds import Asked, Captcha, Kinds
from server.services.claim_keeper import ClaimKeeper
from server.services.claim_news import ClaimNews
from server.services.claims import ClaimService
from server.services.codes import CodeService
from server.services.consent import ConsentRule
from server.services.controls import ControlService
from server.services.conversion import ConversionService
from server.services.countdowns import CountdownService
from server.services.courier import CourierService
from server.services.credentials import CredentialService
from server.services.dead_letters import DeadLetterService
from server.services.delivery import DeliveryService
from server.services.guard import SessionGuard
from server.services.guesses import GuessService
from server.services.health import HealthService
from server.services.inbox import InboxService
from server.services.lag import LagService
from server.services.limits import LimitService
from server.services.login_guard import LoginGuard
from server.services.lookups import LookupService
from server.services.members import MemberService
from server.services.mobiles import MobileService
from server.services.monitor import MonitorService
from server.services.notices import NoticeService
from server.services.outbox import OutboxService
from server.services.passwords import PasswordService
from server.services.polls import PollService
from server.services.profiles import ProfileService
from server.services.receipts import ReceiptService
from server.services.refresh_tokens import RefreshTokens
from server.services.repeats import RepeatService
from server.services.rooms import LEASE_S as ROOM_LEASE_S
from server.services.rooms import RoomService
from server.services.routing import RoutingService
from server.services.sandbox import SandboxService
from server.services.sending import SendService
from server.services.sessions import SessionService
from server.services.steps import StepService
from server.settings import SANDBOXES, SECRETS, Settings, SettingsFault
from server.signing import read_secret
from server.sms.http import VendorHttp
from server.sms.options import OptionFault
from server.sms.provider import Receipt, SmsProvider
from server.sms.router import Route, Router
from server.sms.routes import make_routes
from server.sms.sandbox import Sandbox
from server.stores.audit import AuditStore
from server.stores.budget import BudgetStore
from server.stores.captcha import CaptchaStore
from server.stores.codes import CodeRules, CodeStore
from server.stores.controls import ControlStore
from server.stores.conversion import ConversionRules, ConversionStore
from server.stores.guesses import GuessStore
from server.stores.inbox import InboxStore
from server.stores.jobs import JobStore
from server.stores.limits import LimitStore
from server.stores.login_guard import LoginGuardStore
from server.stores.members import MemberStore
from server.stores.meta import MetaStore
from server.stores.mongo import Mongo
from server.stores.monitor import MonitorStore
from server.stores.outbox import OutboxStore
from server.stores.providers import MessageStore, ProviderStore
from server.stores.redis import Redis
from server.stores.registry import RegistryStore
from server.stores.repeats import RepeatStore
from server.stores.rooms import RoomStore
from server.stores.sandbox import SandboxStore
from server.stores.sessions import SessionStore
from server.stores.tickets import TicketStore
from server.stores.users import DuplicateMobiles, UserStore
from server.tags import Tagger

_log = get_log(__name__)
_PICTURES_WAITING_MAX = 64
_CAPTCHA_VENDOR_S = 3.0  # less than an operation may take, so that the next rung is still reached


class StartFault(Exception):
    """Why the service cannot start, in one sentence for the operator."""


@asynccontextmanager
async def open_stores(settings: Settings, clock: Clock) -> AsyncIterator[tuple[Mongo, Redis, EmbeddedStores]]:
    """Mongo and Redis, embedded where no address is given. StartFault if one does not answer or is too old."""
    async with _open_routes(settings, clock, dict.fromkeys(SANDBOXES)):
        pass  # A provider that is half configured stops the start before anything else begins.
    embedded = EmbeddedStores(settings.var_dir, redis=not settings.redis_url, mongo=not settings.mongo_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(embedded.aclose)
        urls = await embedded.start()
        redis = _open_redis(settings.redis_url or urls.redis_url or "", settings.redis_wait_replicas, clock)
        stack.push_async_callback(redis.aclose)
        mongo = _open_mongo(settings.mongo_url or urls.mongo_url or "", settings.mongo_driver)
        stack.push_async_callback(mongo.aclose)
        await _require_answers(settings, mongo, redis)
        yield mongo, redis, embedded


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    mongo: Mongo,
    redis: Redis,
    clock: Clock,
    routes: Sequence[Route] | None = None,
    captcha: Captcha | None = None,
) -> AsyncIterator[Services]:
    """One of each service, running. Tests hand in `routes` to their providers, or a cheaper `captcha`."""
    async with AsyncExitStack() as stack:
        metrics, feed = Metrics(), Feed()
        users = UserStore(mongo)
        outbox_store, budget_store = OutboxStore(mongo), BudgetStore(mongo)
        audit_store = AuditStore(mongo)
        await _prepare(users, outbox_store, budget_store, audit_store)
        tagger = Tagger(await MetaStore(mongo).shared_key("mobile_tag"))
        code_ring = settings.ring("CODE_KEYS")
        fixed = settings.fixed_codes()
        if fixed:
            _log.warning("test_mobiles.on", count=len(fixed), note="they have fixed codes and are sent no SMS")
        rules = CodeRules(
            interval_s=settings.sms_interval_s,
            expire_s=settings.sms_expire_s,
            limits=settings.limit_rules,
            enforce=settings.limits == "enforce",
        )
        asks_captcha = settings.captcha_provider != "none"

        events = EventBus(redis, clock=clock)
        await events.start()
        stack.push_async_callback(events.aclose)

        inbox = InboxService(
            store=InboxStore(redis), ring=code_ring, events=events, clock=clock, site_name=settings.site_name
        )
        panel = SandboxService(store=SandboxStore(redis), events=events, clock=clock)
        stack.push_async_callback(panel.aclose)
        code_store = CodeStore(redis, rules)
        codes = CodeService(
            store=code_store,
            rules=rules,
            ring=code_ring,
            fixed=fixed,
            tagger=tagger,
            events=events,
            metrics=metrics,
        )
        limits = LimitService(
            store=LimitStore(redis),
            rules=settings.limit_rules,
            tagger=tagger,
            metrics=metrics,
            enforce=rules.enforce,
            captcha=asks_captcha,
            sms_a_minute=settings.sms_budget_minute,
        )
        budget = BudgetService(
            store=budget_store,
            limits=limits,
            metrics=metrics,
            clock=clock,
            a_day=settings.sms_budget_day,
            enforce=rules.enforce,
        )
        outbox = OutboxService(
            store=outbox_store,
            budget=budget,
            tagger=tagger,
            metrics=metrics,
            interval_s=rules.interval_s,
            enforce=rules.enforce,
        )
        conversion = ConversionService(
            store=ConversionStore(redis, ConversionRules(settle_s=min(rules.expire_s, 600))),
            limits=limits,
            tagger=tagger,
            metrics=metrics,
            enforce=rules.enforce,
            captcha=asks_captcha,
            clock=clock,
        )
        codes.on_used(conversion.verified)
        jobs = JobStore(redis)

        async def report(provider: str, found: list[Receipt]) -> None:
            """The sandboxes' receipts come from within."""
            await receipts.take(provider, found)

        sandboxes = {
            name: Sandbox(inbox, panel, clock, report, name=name, scripted=name == "sandbox") for name in SANDBOXES
        }
        for sandbox in sandboxes.values():
            stack.push_async_callback(sandbox.aclose)
        if not routes:
            routes = await stack.enter_async_context(_open_routes(settings, clock, sandboxes))
        router = Router(routes)
        steps = StepService(codes=code_store, outbox=outbox, metrics=metrics, feed=feed, clock=clock)
        receipts = ReceiptService(
            router=router, messages=MessageStore(redis), jobs=jobs, steps=steps, tagger=tagger, metrics=metrics
        )
        delivery = DeliveryService(jobs=jobs, providers=router.names, steps=steps, events=events, metrics=metrics)
        outside, provider_store = Outside(), ProviderStore(redis)
        courier = CourierService(
            jobs=jobs,
            codes=code_store,
            rules=rules,
            ring=code_ring,
            fixed=fixed,
            users=users,
            router=router,
            outside=outside,
            providers=provider_store,
            receipts=receipts,
            steps=steps,
            clock=clock,
            metrics=metrics,
            site_name=settings.site_name,
            host=urlsplit(settings.site_url).hostname or "",
        )
        worker = Worker(
            jobs,
            work=courier.deliver,
            give_up=courier.give_up,
            lapsed=delivery.lapse,
            outside=outside,
            clock=clock,
            metrics=metrics,
        )
        countdowns = CountdownService(codes=codes, events=events, clock=clock)
        controls = ControlService(
            store=ControlStore(redis),
            events=events,
            tagger=tagger,
            clock=clock,
            uniqueness=settings.uniqueness,
            captcha=asks_captcha,
        )
        mobiles = MobileService(
            registry=RegistryStore(mongo),
            events=events,
            clock=clock,
            mode=lambda: controls.uniqueness,
        )
        login_guard = LoginGuard(
            store=LoginGuardStore(redis, settings.limit_rules),
            rules=settings.limit_rules,
            limits=limits,
            tagger=tagger,
            metrics=metrics,
            enforce=rules.enforce,
            captcha=asks_captcha,
        )
        guesses = GuessService(
            store=GuessStore(redis, least=settings.limit_rules.code_service_hour),
            limits=limits,
            metrics=metrics,
            clock=clock,
            enforce=rules.enforce,
            captcha=asks_captcha,
        )
        rooms = RoomService(
            store=RoomStore(redis, lease_s=ROOM_LEASE_S),
            rules=settings.limit_rules,
            tagger=tagger,
            metrics=metrics,
            clock=clock,
            enforce=rules.enforce,
        )
        drawing = BoundedPool("captcha", waiting_max=_PICTURES_WAITING_MAX)
        stack.callback(drawing.aclose)
        captcha_http = HttpClient(total_s=_CAPTCHA_VENDOR_S)
        stack.push_async_callback(captcha_http.aclose)
        kinds = _captcha_kinds(settings, captcha, _captcha_vendor(settings, captcha_http))
        captchas = CaptchaService(kinds=kinds, store=CaptchaStore(redis), pool=drawing, clock=clock)
        audit = AuditService(store=audit_store, metrics=metrics, feed=feed, clock=clock)
        await audit.start()
        stack.push_async_callback(audit.aclose)
        passwords = PasswordService(
            peppers=settings.ring("PASSWORD_PEPPERS"), cost=settings.bcrypt_cost, metrics=metrics
        )
        stack.callback(passwords.aclose)
        token_ring = settings.ring("TOKEN_KEYS")
        tokens = AccessTokens(ring=token_ring, issuer=settings.site_url or "urn:haoma:development", clock=clock)
        session_store = SessionStore(redis, topic=topics.SESSIONS)
        sessions = SessionService(
            store=session_store, users=users, audit=audit, access=tokens, refresh=RefreshTokens(token_ring)
        )
        guard = SessionGuard(store=session_store, events=events, clock=clock)
        notices = NoticeService(jobs=jobs, budget=budget, router=router, clock=clock, metrics=metrics)
        claim_news = ClaimNews(events=events, audit=audit)
        credentials = CredentialService(
            users=users,
            codes=codes,
            passwords=passwords,
            rule=settings.password_rule(),
            guard=login_guard,
            sessions=sessions,
            audit=audit,
            notices=notices,
            news=claim_news,
            events=events,
        )
        claims = ClaimService(
            users=users,
            codes=codes,
            credentials=credentials,
            notices=notices,
            news=claim_news,
            guard=guard,
            events=events,
            now=redis.now,
            cool_off_h=settings.release_cool_off_h,
            delay_h=settings.recovery_delay_h,
        )
        claim_keeper = ClaimKeeper(
            users=users,
            sessions=sessions,
            notices=notices,
            news=claim_news,
            events=events,
            now=redis.now,
            clock=clock,
        )
        health = HealthService(
            probes={"redis": lambda: redis.call("PING"), "mongo": users.index_present},
            metrics=metrics,
            clock=clock,
        )
        admins = AdminService(
            users=users, tickets=TicketStore(redis, life_s=TICKET_S), guard=guard, audit=audit, events=events
        )
        hook_http = HttpClient()
        stack.push_async_callback(hook_http.aclose)
        hooks = Hooks(
            jobs=JobStore(redis, queue="hooks"),
            http=hook_http,
            url=settings.notify_url,
            key=read_secret(settings.notify_secret) if settings.notify_url else b"",
            clock=clock,
            metrics=metrics,
        )
        lag = LagService(metrics=metrics, clock=clock)
        monitor = MonitorService(
            store=MonitorStore(redis),
            audit=audit_store,
            admins=admins,
            controls=controls,
            alerts=AlertService(health=health, conversion=conversion, metrics=metrics, clock=clock),
            health=health,
            lag=lag,
            providers=provider_store,
            names=router.names,
            jobs=jobs,
            feed=feed,
            events=events,
            metrics=metrics,
            clock=clock,
            tell=hooks.tell,
        )
        services = Services(
            accounts=AccountService(
                users=users,
                codes=codes,
                passwords=passwords,
                guard=login_guard,
                sessions=sessions,
                events=events,
                clock=clock,
                audit=audit,
                tell=hooks.tell,
                news=claim_news,
            ),
            admins=admins,
            audit=audit,
            controls=controls,
            dead_letters=DeadLetterService(jobs=jobs, codes=code_store, outbox=outbox, delivery=delivery),
            feed=feed,
            lookups=LookupService(
                users=users, sessions=session_store, audit=audit_store, codes=code_store, tagger=tagger
            ),
            monitor=monitor,
            routing=RoutingService(store=provider_store, names=router.names),
            captcha=captchas,
            budget=budget,
            claims=claims,
            codes=codes,
            consent=ConsentRule(settings.terms_url, settings.privacy_url, clock),
            conversion=conversion,
            countdowns=countdowns,
            credentials=credentials,
            delivery=delivery,
            guard=guard,
            guesses=guesses,
            health=health,
            inbox=inbox if settings.development else None,
            sandbox=panel if settings.development else None,
            limits=limits,
            mobiles=mobiles,
            receipts=receipts,
            polls=PollService(codes=codes, countdowns=countdowns, metrics=metrics),
            profiles=ProfileService(users=users, audit=audit),
            repeats=RepeatService(store=RepeatStore(redis), tagger=tagger),
            rooms=rooms,
            sending=SendService(
                guard=guard,
                users=users,
                captcha=captchas,
                mobiles=mobiles,
                codes=codes,
                limits=limits,
                budget=budget,
                conversion=conversion,
                outbox=outbox,
                delivery=delivery,
                countdowns=countdowns,
            ),
            sessions=sessions,
            tokens=tokens,
            metrics=metrics,
            clock=clock,
        )
        members = MemberService(
            store=MemberStore(redis), rings={name: settings.ring(name) for name in SECRETS}, clock=clock
        )
        stack.push_async_callback(members.aclose)
        await _join(members)
        await claims.start()
        hearing = (countdowns, mobiles, guard, claim_keeper, rooms, health, monitor)
        for running in (controls, lag, hooks, courier, worker, *hearing):
            await running.start()
            stack.push_async_callback(running.aclose)
        if services.inbox and services.sandbox:
            await services.inbox.start()
            await services.sandbox.start()
        yield services


@asynccontextmanager
async def open_admins(*, mongo: Mongo, redis: Redis, clock: Clock) -> AsyncIterator[AdminService]:
    """Who is an operator, for a tool beside the service."""
    events, metrics = EventBus(redis, clock=clock), Metrics()
    audit = AuditService(store=AuditStore(mongo), metrics=metrics, feed=Feed(), clock=clock)
    guard = SessionGuard(store=SessionStore(redis, topic=topics.SESSIONS), events=events, clock=clock)
    await audit.start()
    try:
        yield AdminService(
            users=UserStore(mongo),
            tickets=TicketStore(redis, life_s=TICKET_S),
            guard=guard,
            audit=audit,
            events=events,
        )
    finally:
        await audit.aclose()


@asynccontextmanager
async def _open_routes(
    settings: Settings, clock: Clock, sandboxes: Mapping[str, SmsProvider | None]
) -> AsyncIterator[list[Route]]:
    http = VendorHttp()
    try:
        yield make_routes(settings.sms_providers, settings.sms_options, http=http, clock=clock, sandboxes=sandboxes)
    except OptionFault as fault:
        raise SettingsFault(str(fault)) from None
    finally:
        await http.aclose()


def _captcha_kinds(settings: Settings, altcha: Captcha | None, vendor: Asked | None) -> Kinds | None:
    if settings.captcha_provider == "none":
        return None
    keys = dict(settings.ring("CODE_KEYS").keys)
    return Kinds(
        chosen=settings.captcha_provider,
        altcha=altcha or Altcha([*keys.values()]),
        image=Image(keys),
        vendor=vendor,
        # Where people come by HTTPS every browser can run altcha, so only a script would ask for less.
        fallback=not settings.site_url.startswith("https://"),
    )


def _captcha_vendor(settings: Settings, http: HttpClient) -> Asked | None:
    account = {
        "captcha_id": settings.captcha_geetest_id,
        "key": settings.captcha_geetest_key,
        "url": settings.captcha_geetest_url,
    }
    if settings.captcha_provider == "geetest3":
        return Geetest3(http, digest=settings.captcha_geetest_digest, **account)
    return Geetest4(http, **account) if settings.captcha_provider == "geetest4" else None


def _open_redis(url: str, replicas: int, clock: Clock) -> Redis:
    try:
        return Redis(url, clock=clock, replicas=replicas)
    except ValueError as fault:
        raise StartFault(f"REDIS_URL cannot be used: {fault}.") from None


def _open_mongo(url: str, driver: str) -> Mongo:
    try:
        return Mongo(url, driver)
    except Exception as fault:  # The driver raises a dozen unrelated types for a wrong address.
        raise StartFault(f"MONGO_URL cannot be used: {fault}.") from None


async def _require_answers(settings: Settings, mongo: Mongo, redis: Redis) -> None:
    try:
        await redis.require_usable()
        await mongo.require_usable()
    except StoreTooOld as fault:
        raise StartFault(str(fault)) from None
    except StoreUnavailable as fault:
        setting = f"{fault.store.upper()}_URL"
        named = setting if getattr(settings, setting.lower()) else "the embedded store"
        raise StartFault(f"{fault.store.capitalize()} does not answer ({fault}); check {named}.") from None


async def _join(members: MemberService) -> None:
    try:
        await members.start()
    except KeyFault as fault:
        raise StartFault(str(fault)) from None


async def _prepare(users: UserStore, *others: OutboxStore | BudgetStore | AuditStore) -> None:
    """The unique index stands before the port opens (ST-7 in docs/security.md)."""
    for store in others:
        await store.prepare()
    try:
        await users.prepare()
        if not await users.index_present():
            raise StartFault("The unique index on users.mobile could not be made; look at the users collection.")
    except DuplicateMobiles as fault:
        raise StartFault(str(fault)) from None

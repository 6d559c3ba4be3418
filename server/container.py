"""Opens the stores, then the service over them, and closes all of it in the reverse order. What a service is made of
stands in `server/parts/`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from server.clock import Clock
from server.embedded import EmbeddedStores
from server.errors import StoreTooOld, StoreUnavailable
from server.events import EventBus, topics
from server.feed import Feed
from server.keys import KeyFault
from server.logs import get_log
from server.metrics import Metrics
from server.parts import Parts
from server.services import Services
from server.services.admins import TICKET_S, AdminService
from server.services.audit import AuditService
from server.services.captcha_kinds import Captcha
from server.services.guard import SessionGuard
from server.services.members import MemberService
from server.settings import SANDBOXES, SECRETS, Settings, SettingsFault
from server.sms.http import VendorHttp
from server.sms.options import OptionFault
from server.sms.router import Route
from server.sms.routes import make_routes
from server.stores.audit import AuditStore
from server.stores.budget import BudgetStore
from server.stores.free_numbers import FreeNumbers
from server.stores.members import MemberStore
from server.stores.meta import MetaStore
from server.stores.mongo import Mongo
from server.stores.outbox import OutboxStore
from server.stores.redis import Redis
from server.stores.sessions import SessionStore
from server.stores.tickets import TicketStore
from server.stores.users import DuplicateMobiles, UserStore
from server.tags import Tagger

_log = get_log(__name__)


class StartFault(Exception):
    """Why the service cannot start, in one sentence for the operator."""


@asynccontextmanager
async def open_stores(settings: Settings, clock: Clock) -> AsyncIterator[tuple[Mongo, Redis, EmbeddedStores]]:
    """Mongo and Redis, embedded where no address is given. StartFault if one does not answer or is too old."""
    await _judge_providers(settings, clock)
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
    routes: Sequence[Route] = (),
    captcha: Captcha | None = None,
) -> AsyncIterator[Services]:
    """One of each service, running. Tests hand in `routes` to their providers, or a cheaper `captcha`."""
    async with AsyncExitStack() as stack:
        parts = Parts(
            settings,
            mongo=mongo,
            redis=redis,
            clock=clock,
            tagger=await open_tagger(mongo),
            closing=stack,
            given_routes=routes,
            given_captcha=captcha,
        )
        await _prepare(mongo, parts.users)
        if parts.fixed_codes:
            count = len(parts.fixed_codes)
            _log.warning("test_mobiles.on", count=count, note="they have fixed codes and are sent no SMS")
        await parts.events.start()
        await parts.audit.start()
        services = parts.services
        members = MemberService(
            store=MemberStore(redis), rings={name: settings.ring(name) for name in SECRETS}, clock=clock
        )
        stack.push_async_callback(members.aclose)
        await _join(members)
        await _start(parts, stack)
        yield services


async def _start(parts: Parts, stack: AsyncExitStack) -> None:
    """All that runs by itself; it ends in the reverse order."""
    await parts.claims.start()  # it only hears, and ends with what it hears by
    watching = (parts.controls, parts.lag, parts.hooks, parts.health, parts.monitor)  # the last to end
    sending = (parts.courier, parts.worker)
    hearing = (parts.countdowns, parts.registry_keeper, parts.mobiles, parts.guard, parts.claim_keeper, parts.rooms)
    for running in (*watching, *sending, *hearing):
        await running.start()
        stack.push_async_callback(running.aclose)
    if parts.settings.development:
        await parts.inbox.start()
        await parts.panel.start()


async def open_tagger(mongo: Mongo) -> Tagger:
    """Gives numbers the names that all processes know them by."""
    return Tagger(await MetaStore(mongo).shared_key("mobile_tag"))


@asynccontextmanager
async def open_admins(*, mongo: Mongo, redis: Redis, clock: Clock) -> AsyncIterator[AdminService]:
    """Who is an operator, for a tool beside the service."""
    events, metrics = EventBus(redis, clock=clock), Metrics()
    tagger = await open_tagger(mongo)
    audit = AuditService(store=AuditStore(mongo), metrics=metrics, feed=Feed(), clock=clock)
    guard = SessionGuard(store=SessionStore(redis, topic=topics.SESSIONS), events=events, clock=clock)
    await audit.start()
    try:
        yield AdminService(
            users=UserStore(mongo, FreeNumbers(redis, tagger)),
            tickets=TicketStore(redis, life_s=TICKET_S),
            guard=guard,
            audit=audit,
            events=events,
        )
    finally:
        await audit.aclose()


async def _judge_providers(settings: Settings, clock: Clock) -> None:
    """A provider that is half configured stops the start, before anything else begins."""
    names, options = settings.sms_providers, settings.sms_options
    http = VendorHttp()
    try:
        make_routes(names, options, http=http, clock=clock, sandboxes=dict.fromkeys(SANDBOXES))
    except OptionFault as fault:
        raise SettingsFault(str(fault)) from None
    finally:
        await http.aclose()


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


async def _prepare(mongo: Mongo, users: UserStore) -> None:
    """The unique index stands before the port opens (ST-7 in docs/security.md)."""
    for store in (OutboxStore(mongo), BudgetStore(mongo), AuditStore(mongo)):
        await store.prepare()
    try:
        await users.prepare()
        if not await users.index_present():
            raise StartFault("The unique index on users.mobile could not be made; look at the users collection.")
    except DuplicateMobiles as fault:
        raise StartFault(str(fault)) from None

"""What all others stand on: stores, keys, limits, events, the numbers that are free."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import cached_property

from server.captcha.altcha import Altcha
from server.captcha.geetest3 import Geetest3
from server.captcha.geetest4 import Geetest4
from server.captcha.image import Image
from server.clock import Clock
from server.events import EventBus
from server.feed import Feed
from server.http import HttpClient
from server.keys import KeyRing
from server.metrics import Metrics
from server.pool import BoundedPool
from server.services.audit import AuditService
from server.services.captcha import CaptchaService
from server.services.captcha_kinds import Asked, Captcha, Kinds
from server.services.controls import ControlService
from server.services.guesses import GuessService
from server.services.health import HealthService
from server.services.limits import LimitService
from server.services.mobiles import MobileService
from server.services.questions import QuestionService
from server.services.registry_keeper import RegistryKeeper
from server.services.rooms import LEASE_S as ROOM_LEASE_S
from server.services.rooms import RoomService
from server.settings import Settings
from server.sms.router import Route
from server.stores.audit import AuditStore
from server.stores.captcha import CaptchaStore
from server.stores.controls import ControlStore
from server.stores.free_numbers import FreeNumbers
from server.stores.guesses import GuessStore
from server.stores.limits import LimitStore
from server.stores.mongo import Mongo
from server.stores.redis import Redis
from server.stores.registry import RegistryStore
from server.stores.rooms import RoomStore
from server.stores.users import UserStore
from server.tags import Tagger

_PICTURES_WAITING_MAX = 64
_CAPTCHA_VENDOR_S = 3.0  # less than an operation may take, so that the next rung is still reached


class GroundParts:
    """`given_routes` and `given_captcha` are what a test brings along, if it does."""

    def __init__(
        self,
        settings: Settings,
        *,
        mongo: Mongo,
        redis: Redis,
        clock: Clock,
        tagger: Tagger,
        closing: AsyncExitStack,
        given_routes: Sequence[Route],
        given_captcha: Captcha | None,
    ) -> None:
        self.settings = settings
        self.mongo = mongo
        self.redis = redis
        self.clock = clock
        self.tagger = tagger
        self.closing = closing
        self.given_routes = given_routes
        self.given_captcha = given_captcha
        self.metrics = Metrics()
        self.feed = Feed()
        free = FreeNumbers(redis, tagger)
        self.registry = RegistryStore(mongo, free, clock=clock)
        self.users = UserStore(mongo, free)
        self.audit_store = AuditStore(mongo)

    @property
    def enforce(self) -> bool:
        """Whether limits refuse, or are only worked out."""
        return self.settings.limits == "enforce"

    @property
    def asks_captcha(self) -> bool:
        """Whether there is one that could be asked for."""
        return self.settings.captcha_provider != "none"

    @cached_property
    def code_ring(self) -> KeyRing:
        return self.settings.ring("CODE_KEYS")

    @cached_property
    def events(self) -> EventBus:
        bus = EventBus(self.redis, clock=self.clock)
        self.closing.push_async_callback(bus.aclose)
        return bus

    @cached_property
    def audit(self) -> AuditService:
        audit = AuditService(store=self.audit_store, metrics=self.metrics, feed=self.feed, clock=self.clock)
        self.closing.push_async_callback(audit.aclose)
        return audit

    @cached_property
    def limits(self) -> LimitService:
        return LimitService(
            store=LimitStore(self.redis),
            rules=self.settings.limit_rules,
            tagger=self.tagger,
            metrics=self.metrics,
            enforce=self.enforce,
            captcha=self.asks_captcha,
            sms_a_minute=self.settings.sms_budget_minute,
        )

    @cached_property
    def guesses(self) -> GuessService:
        return GuessService(
            store=GuessStore(self.redis, least=self.settings.limit_rules.code_service_hour),
            limits=self.limits,
            metrics=self.metrics,
            clock=self.clock,
            enforce=self.enforce,
            captcha=self.asks_captcha,
        )

    @cached_property
    def rooms(self) -> RoomService:
        return RoomService(
            store=RoomStore(self.redis, lease_s=ROOM_LEASE_S),
            rules=self.settings.limit_rules,
            tagger=self.tagger,
            metrics=self.metrics,
            clock=self.clock,
            enforce=self.enforce,
        )

    @cached_property
    def controls(self) -> ControlService:
        return ControlService(
            store=ControlStore(self.redis),
            events=self.events,
            tagger=self.tagger,
            clock=self.clock,
            uniqueness=self.settings.uniqueness,
            captcha=self.asks_captcha,
        )

    @cached_property
    def mobiles(self) -> MobileService:
        controls = self.controls
        return MobileService(
            registry=self.registry,
            events=self.events,
            clock=self.clock,
            mode=lambda: controls.uniqueness,
        )

    @cached_property
    def questions(self) -> QuestionService:
        questions = QuestionService(mobiles=self.mobiles, limits=self.limits, clock=self.clock)
        self.closing.push_async_callback(questions.aclose)
        return questions

    @cached_property
    def registry_keeper(self) -> RegistryKeeper:
        return RegistryKeeper(registry=self.registry, metrics=self.metrics, clock=self.clock)

    @cached_property
    def health(self) -> HealthService:
        return HealthService(
            probes={"redis": lambda: self.redis.call("PING"), "mongo": self.users.index_present},
            metrics=self.metrics,
            clock=self.clock,
        )

    @cached_property
    def captchas(self) -> CaptchaService:
        drawing = BoundedPool("captcha", waiting_max=_PICTURES_WAITING_MAX)
        self.closing.callback(drawing.aclose)
        return CaptchaService(
            kinds=self._captcha_kinds() if self.asks_captcha else None,
            store=CaptchaStore(self.redis),
            pool=drawing,
            clock=self.clock,
        )

    def _captcha_kinds(self) -> Kinds:
        keys = dict(self.code_ring.keys)
        return Kinds(
            chosen=self.settings.captcha_provider,
            altcha=self.given_captcha or Altcha([*keys.values()]),
            image=Image(keys),
            vendor=self._captcha_vendor(),
            # Where people come by HTTPS every browser can run altcha, so only a script would ask for less.
            fallback=not self.settings.site_url.startswith("https://"),
        )

    def _captcha_vendor(self) -> Asked | None:
        settings = self.settings
        if not settings.captcha_provider.startswith("geetest"):
            return None
        http = HttpClient(total_s=_CAPTCHA_VENDOR_S)
        self.closing.push_async_callback(http.aclose)
        account = {
            "captcha_id": settings.captcha_geetest_id,
            "key": settings.captcha_geetest_key,
            "url": settings.captcha_geetest_url,
        }
        if settings.captcha_provider == "geetest3":
            return Geetest3(http, digest=settings.captcha_geetest_digest, **account)
        return Geetest4(http, **account)

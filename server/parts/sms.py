"""From the request for an SMS to the phone: codes, budgets, queue, vendors, receipts, countdowns."""

from functools import cached_property
from urllib.parse import urlsplit

from server.fixed_codes import FixedCodes
from server.jobs import Outside, Worker
from server.parts.ground import GroundParts
from server.services.budget import BudgetService
from server.services.codes import CodeService
from server.services.conversion import ConversionService
from server.services.countdowns import CountdownService
from server.services.courier import CourierService
from server.services.dead_letters import DeadLetterService
from server.services.delivery import DeliveryService
from server.services.inbox import InboxService
from server.services.notices import NoticeService
from server.services.outbox import OutboxService
from server.services.polls import PollService
from server.services.receipts import ReceiptService
from server.services.routing import RoutingService
from server.services.sandbox import SandboxService
from server.services.steps import StepService
from server.settings import SANDBOXES
from server.sms.http import VendorHttp
from server.sms.provider import Receipt, SmsProvider
from server.sms.router import Route, Router
from server.sms.routes import make_routes
from server.sms.sandbox import Sandbox
from server.stores.budget import BudgetStore
from server.stores.codes import CodeRules, CodeStore
from server.stores.conversion import ConversionRules, ConversionStore
from server.stores.inbox import InboxStore
from server.stores.jobs import JobStore
from server.stores.outbox import OutboxStore
from server.stores.providers import MessageStore, ProviderStore
from server.stores.sandbox import SandboxStore

_SETTLE_MAX_S = 600


class SmsParts(GroundParts):
    """Knows who holds a number, and nothing of sessions."""

    @cached_property
    def fixed_codes(self) -> FixedCodes:
        return self.settings.fixed_codes()

    @cached_property
    def code_rules(self) -> CodeRules:
        return CodeRules(
            interval_s=self.settings.sms_interval_s,
            expire_s=self.settings.sms_expire_s,
            limits=self.settings.limit_rules,
            enforce=self.enforce,
        )

    @cached_property
    def code_store(self) -> CodeStore:
        return CodeStore(self.redis, self.code_rules)

    @cached_property
    def codes(self) -> CodeService:
        codes = CodeService(
            store=self.code_store,
            rules=self.code_rules,
            ring=self.code_ring,
            fixed=self.fixed_codes,
            tagger=self.tagger,
            events=self.events,
            metrics=self.metrics,
        )
        codes.on_used(self.conversion.verified)
        return codes

    @cached_property
    def budget(self) -> BudgetService:
        return BudgetService(
            store=BudgetStore(self.mongo),
            limits=self.limits,
            metrics=self.metrics,
            clock=self.clock,
            a_day=self.settings.sms_budget_day,
            enforce=self.enforce,
        )

    @cached_property
    def outbox(self) -> OutboxService:
        return OutboxService(
            store=OutboxStore(self.mongo),
            budget=self.budget,
            tagger=self.tagger,
            metrics=self.metrics,
            interval_s=self.settings.sms_interval_s,
            enforce=self.enforce,
        )

    @cached_property
    def conversion(self) -> ConversionService:
        rules = ConversionRules(settle_s=min(self.settings.sms_expire_s, _SETTLE_MAX_S))
        return ConversionService(
            store=ConversionStore(self.redis, rules),
            limits=self.limits,
            tagger=self.tagger,
            metrics=self.metrics,
            enforce=self.enforce,
            captcha=self.asks_captcha,
            clock=self.clock,
        )

    @cached_property
    def inbox(self) -> InboxService:
        return InboxService(
            store=InboxStore(self.redis),
            ring=self.code_ring,
            events=self.events,
            clock=self.clock,
            site_name=self.settings.site_name,
        )

    @cached_property
    def panel(self) -> SandboxService:
        panel = SandboxService(store=SandboxStore(self.redis), events=self.events, clock=self.clock)
        self.closing.push_async_callback(panel.aclose)
        return panel

    @cached_property
    def router(self) -> Router:
        return Router(self.given_routes or self._routes())

    def _routes(self) -> list[Route]:
        http = VendorHttp()
        self.closing.push_async_callback(http.aclose)
        names, options = self.settings.sms_providers, self.settings.sms_options
        return make_routes(names, options, http=http, clock=self.clock, sandboxes=self._sandboxes())

    def _sandboxes(self) -> dict[str, SmsProvider | None]:
        found: dict[str, SmsProvider | None] = {}
        for name in SANDBOXES:
            sandbox = Sandbox(
                self.inbox, self.panel, self.clock, self._report, name=name, scripted=name == SANDBOXES[0]
            )
            self.closing.push_async_callback(sandbox.aclose)
            found[name] = sandbox
        return found

    async def _report(self, provider: str, found: list[Receipt]) -> None:
        """The sandboxes' receipts come from within."""
        await self.receipts.take(provider, found)

    @cached_property
    def jobs(self) -> JobStore:
        return JobStore(self.redis)

    @cached_property
    def provider_store(self) -> ProviderStore:
        return ProviderStore(self.redis)

    @cached_property
    def steps(self) -> StepService:
        return StepService(
            codes=self.code_store, outbox=self.outbox, metrics=self.metrics, feed=self.feed, clock=self.clock
        )

    @cached_property
    def receipts(self) -> ReceiptService:
        return ReceiptService(
            router=self.router,
            messages=MessageStore(self.redis),
            jobs=self.jobs,
            steps=self.steps,
            tagger=self.tagger,
            metrics=self.metrics,
        )

    @cached_property
    def delivery(self) -> DeliveryService:
        return DeliveryService(
            jobs=self.jobs,
            providers=self.router.names,
            steps=self.steps,
            metrics=self.metrics,
        )

    @cached_property
    def dead_letters(self) -> DeadLetterService:
        return DeadLetterService(jobs=self.jobs, codes=self.code_store, outbox=self.outbox, delivery=self.delivery)

    @cached_property
    def routing(self) -> RoutingService:
        return RoutingService(store=self.provider_store, names=self.router.names)

    @cached_property
    def outside(self) -> Outside:
        return Outside()

    @cached_property
    def courier(self) -> CourierService:
        return CourierService(
            jobs=self.jobs,
            codes=self.code_store,
            rules=self.code_rules,
            ring=self.code_ring,
            fixed=self.fixed_codes,
            users=self.users,
            router=self.router,
            outside=self.outside,
            providers=self.provider_store,
            receipts=self.receipts,
            steps=self.steps,
            clock=self.clock,
            metrics=self.metrics,
            site_name=self.settings.site_name,
            host=urlsplit(self.settings.site_url).hostname or "",
        )

    @cached_property
    def worker(self) -> Worker:
        return Worker(
            self.jobs,
            work=self.courier.deliver,
            give_up=self.courier.give_up,
            lapsed=self.delivery.lapse,
            outside=self.outside,
            clock=self.clock,
            metrics=self.metrics,
        )

    @cached_property
    def notices(self) -> NoticeService:
        return NoticeService(
            jobs=self.jobs, budget=self.budget, router=self.router, clock=self.clock, metrics=self.metrics
        )

    @cached_property
    def countdowns(self) -> CountdownService:
        return CountdownService(codes=self.codes, events=self.events, clock=self.clock)

    @cached_property
    def polls(self) -> PollService:
        return PollService(codes=self.codes, countdowns=self.countdowns, metrics=self.metrics)

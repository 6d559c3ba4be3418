"""What operators see and do, and all of the service as operations see it."""

from functools import cached_property

from server.parts.accounts import AccountParts
from server.services import Services
from server.services.admins import TICKET_S, AdminService
from server.services.alerts import AlertService
from server.services.consent import ConsentRule
from server.services.lag import LagService
from server.services.lookups import LookupService
from server.services.monitor import MonitorService
from server.stores.monitor import MonitorStore
from server.stores.tickets import TicketStore


class OperatorParts(AccountParts):
    """The last: these know all others."""

    @cached_property
    def admins(self) -> AdminService:
        return AdminService(
            users=self.users,
            tickets=TicketStore(self.redis, life_s=TICKET_S),
            guard=self.guard,
            audit=self.audit,
            events=self.events,
        )

    @cached_property
    def lookups(self) -> LookupService:
        return LookupService(
            users=self.users,
            sessions=self.session_store,
            audit=self.audit_store,
            codes=self.code_store,
            tagger=self.tagger,
        )

    @cached_property
    def lag(self) -> LagService:
        return LagService(metrics=self.metrics, clock=self.clock)

    @cached_property
    def alerts(self) -> AlertService:
        return AlertService(health=self.health, conversion=self.conversion, metrics=self.metrics, clock=self.clock)

    @cached_property
    def monitor(self) -> MonitorService:
        return MonitorService(
            store=MonitorStore(self.redis),
            audit=self.audit_store,
            admins=self.admins,
            controls=self.controls,
            alerts=self.alerts,
            budget=self.budget,
            health=self.health,
            lag=self.lag,
            providers=self.provider_store,
            names=self.router.names,
            jobs=self.jobs,
            feed=self.feed,
            events=self.events,
            metrics=self.metrics,
            clock=self.clock,
            tell=self.hooks.tell,
        )

    @cached_property
    def consent(self) -> ConsentRule:
        return ConsentRule(self.settings.terms_url, self.settings.privacy_url, self.clock)

    @cached_property
    def services(self) -> Services:
        development = self.settings.development
        return Services(
            accounts=self.accounts,
            admins=self.admins,
            audit=self.audit,
            budget=self.budget,
            captcha=self.captchas,
            claims=self.claims,
            clock=self.clock,
            codes=self.codes,
            consent=self.consent,
            controls=self.controls,
            conversion=self.conversion,
            countdowns=self.countdowns,
            credentials=self.credentials,
            dead_letters=self.dead_letters,
            delivery=self.delivery,
            feed=self.feed,
            guard=self.guard,
            guesses=self.guesses,
            health=self.health,
            inbox=self.inbox if development else None,
            limits=self.limits,
            lookups=self.lookups,
            metrics=self.metrics,
            mobiles=self.mobiles,
            monitor=self.monitor,
            polls=self.polls,
            profiles=self.profiles,
            questions=self.questions,
            receipts=self.receipts,
            repeats=self.repeats,
            rooms=self.rooms,
            routing=self.routing,
            sandbox=self.panel if development else None,
            sending=self.sending,
            sessions=self.sessions,
            tokens=self.tokens,
        )

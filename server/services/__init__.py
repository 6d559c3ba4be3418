"""The rules. One of each service is built by the container and handed to whoever asks."""

from dataclasses import dataclass

from server.clock import Clock
from server.feed import Feed
from server.metrics import Metrics
from server.services.access_tokens import AccessTokens
from server.services.accounts import AccountService
from server.services.accounts import SignedIn as SignedIn
from server.services.admins import TICKET_S as TICKET_S
from server.services.admins import AdminService
from server.services.audit import AuditService
from server.services.budget import BudgetService
from server.services.captcha import CaptchaService
from server.services.claims import ClaimService
from server.services.codes import CodeService
from server.services.consent import ConsentRule
from server.services.controls import ControlService
from server.services.conversion import ConversionService
from server.services.countdowns import CountdownService
from server.services.credentials import CredentialService
from server.services.dead_letters import DeadLetterService
from server.services.delivery import DeliveryService
from server.services.devices import masked_address as masked_address
from server.services.guard import SessionGuard
from server.services.guesses import GuessService
from server.services.health import HealthService
from server.services.inbox import InboxService
from server.services.limits import LimitService
from server.services.lookups import LookupService
from server.services.mobiles import MobileService
from server.services.monitor import MonitorService
from server.services.polls import PollService
from server.services.profiles import ProfileService
from server.services.questions import Question as Question
from server.services.questions import QuestionService
from server.services.receipts import ReceiptService
from server.services.repeats import RepeatService
from server.services.rooms import RoomService
from server.services.routing import RoutingService
from server.services.sandbox import SandboxService
from server.services.sending import SendService
from server.services.sessions import SessionService


@dataclass(frozen=True)
class Services:
    """All that operations may use. `inbox` and `sandbox` are None outside development."""

    accounts: AccountService
    admins: AdminService
    audit: AuditService
    budget: BudgetService
    captcha: CaptchaService
    claims: ClaimService
    codes: CodeService
    consent: ConsentRule
    controls: ControlService
    conversion: ConversionService
    credentials: CredentialService
    dead_letters: DeadLetterService
    delivery: DeliveryService
    feed: Feed
    guard: SessionGuard
    guesses: GuessService
    health: HealthService
    inbox: InboxService | None
    limits: LimitService
    lookups: LookupService
    mobiles: MobileService
    monitor: MonitorService
    polls: PollService
    profiles: ProfileService
    questions: QuestionService
    receipts: ReceiptService
    repeats: RepeatService
    rooms: RoomService
    routing: RoutingService
    sandbox: SandboxService | None
    sending: SendService
    sessions: SessionService
    tokens: AccessTokens
    countdowns: CountdownService
    metrics: Metrics
    clock: Clock

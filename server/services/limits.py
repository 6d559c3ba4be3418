"""Who may do what how often. The numbers are those of the tables in `docs/security.md`."""

import ipaddress
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from server.caller import Caller
from server.errors import AppError, StoreUnavailable, wait_s
from server.limit_rules import LimitRules
from server.metrics import Metrics
from server.rates import Few, Limit, Rate, Run
from server.stores.limits import Due, LimitStore, Verdict
from server.tags import Tag, Tagger

HARD_FACTOR = 5
BLOCK_DIGITS = 7
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_RUN_S = 600  # a run shuts the door for six times as long


def _soft_and_hard(name: str, count: int, period_s: int, burst: int) -> tuple[Rate, Rate]:
    """Thousands of honest people share an address, so it asks for a captcha first and refuses at five times that."""
    return (
        Rate(f"{name}_soft", count, period_s, burst, soft=True),
        Rate(name, count * HARD_FACTOR, period_s, burst * HARD_FACTOR),
    )


def address_rates(rules: LimitRules) -> dict[str, tuple[Rate, ...]]:
    """What one address may do, by action."""

    def minutely(count: int, burst: int) -> tuple[Rate, ...]:
        return _soft_and_hard("address_minute", count, _MINUTE, burst)

    def hourly(count: int, burst: int) -> tuple[Rate, ...]:
        return _soft_and_hard("address_hour", count, _HOUR, burst)

    logins = _soft_and_hard("address_minutes", rules.login_address_5min, 5 * _MINUTE, rules.login_address_5min)
    registrations = _soft_and_hard("address_day", rules.register_address_day, _DAY, rules.register_address_day)
    return {
        "captcha.new": minutely(60, 60),
        "captcha.check": minutely(60, 60),
        "captcha.picture": minutely(60, 60),
        "sms.send": hourly(rules.sms_address_hour, rules.sms_address_burst),
        "sms.watch": minutely(240, 120),
        "user.register": (*hourly(rules.register_address_hour, rules.register_address_hour), *registrations),
        "session.login": logins,
        "session.refresh": minutely(120, 60),
        "session.authenticate": minutely(120, 60),
        "session.list": minutely(60, 60),
        "session.end": minutely(60, 60),
        "password.change": hourly(20, 10),
        "password.reset": logins,
        "mobile.change": hourly(20, 10),
        "mobile.claim": logins,
        "mobile.recover": hourly(20, 10),
        "claim.get": minutely(120, 60),
        "claim.refuse": minutely(60, 60),
        "account.delete": hourly(20, 10),
        "profile.get": minutely(120, 60),
        "profile.change": minutely(60, 60),
        "socket.open": minutely(rules.socket_address_minute, rules.socket_address_minute),
        "code.wrong": hourly(rules.code_address_hour, rules.code_address_hour),
    }


# Charged once it is asked for a dearer captcha, so that the next one it gets is such a one.
_DEARER = Rate("address_dearer", 1, 5 * _MINUTE, 1, soft=True)
_SERVICE = Tag(slot="service", name="sms")
# Where a captcha can be shown; elsewhere only the hard limit counts.
_CAPTCHA_PURPOSES = {"user.register": "register", "session.login": "login", "password.reset": "reset"}


@dataclass(frozen=True, slots=True)
class Charge:
    """What was charged to whom, so that it can be given back."""

    action: str
    dues: tuple[Due, ...]


class LimitService:
    """Charges before anything costs; AppError says the true wait."""

    def __init__(
        self,
        *,
        store: LimitStore,
        rules: LimitRules,
        tagger: Tagger,
        metrics: Metrics,
        enforce: bool,
        captcha: bool,
        sms_a_minute: int,
    ) -> None:
        self._store = store
        self._rules = rules
        self._address_rates = address_rates(rules)
        self._tagger = tagger
        self._metrics = metrics
        self._mode = "enforce" if enforce else "observe"
        self._captcha = captcha
        self._address = lru_cache(maxsize=20_000)(self._tag_address)
        self._service_rates = (Rate("service_minute", sms_a_minute, _MINUTE, sms_a_minute),)
        self._question_rates = (
            *_soft_and_hard("address_minute", rules.check_address_minute, _MINUTE, rules.check_address_minute),
            *_soft_and_hard("address_day", rules.check_address_day, _DAY, rules.check_address_day),
        )

    async def charge_address(
        self, action: str, address: str, *, captcha_passed: bool = False, purpose: str = ""
    ) -> Charge:
        """Charge one `action` to an address. AppError `captcha_required` (of `purpose`, where the action has several)
        or `rate_limited` (SMS: `sms_limit`)."""
        purpose = purpose or _CAPTCHA_PURPOSES.get(action, "")
        rates = self._address_rates[action]
        return await self._charge(action, [(self._address(address), rates)], captcha_passed, purpose)

    async def charge_question(self, caller: Caller, mobile: str, *, captcha_passed: bool, purpose: str) -> None:
        """Charge an answer to "is this number taken?", whoever gives it, to the address that asks. AppError
        `captcha_required` (of `purpose`), `rate_limited` or `unavailable`."""
        (refusal,) = await self.charge_questions([(caller.address, mobile, captcha_passed)], purpose=purpose)
        if refusal is not None:
            raise refusal

    async def charge_questions(
        self, asked: Sequence[tuple[str, str, bool]], *, purpose: str
    ) -> list[AppError | None]:
        """The same for many, `(address, mobile, captcha passed)` of each: why it is refused, or None."""
        no_captcha = not (self._captcha and purpose)
        charges = [
            (self._address(address), self._question_limits(mobile), passed or no_captcha)
            for address, mobile, passed in asked
        ]
        verdicts = await self._store.charge_all("number.taken", charges, mode=self._mode)
        return [self._refusal("number.taken", verdict, "rate_limited", purpose) for verdict in verdicts]

    def _question_limits(self, mobile: str) -> tuple[Limit, ...]:
        numbers = Few("address_numbers", self._rules.check_numbers, _DAY, self._tagger.tag(mobile).name, soft=True)
        return *self._question_rates, numbers, self._run("address_run", self._rules.check_run, mobile)

    async def send_charges(
        self, caller: Caller, mobile: str, *, captcha_passed: bool, purpose: str
    ) -> AsyncIterator[Charge]:
        """Charge an SMS to the address, its network, the browser and the block of the number; in a Cluster, where
        they are in several places, one after the other. AppError `captcha_required` or `sms_limit`; what was charged
        before that is the caller's to give back."""
        for dues in self._store.together(self._send_dues(caller, mobile, purpose)):
            yield await self._charge("sms.send", dues, captcha_passed, purpose)

    def _send_dues(self, caller: Caller, mobile: str, purpose: str) -> list[Due]:
        rules = self._rules
        network = _soft_and_hard("network_hour", rules.sms_network_hour, _HOUR, rules.sms_network_hour)
        dues: list[Due] = [
            (self._address(caller.address), self._address_rates["sms.send"]),
            (self._network(caller.address), network),
        ]
        if caller.device:
            device = (
                Rate("device_hour", rules.sms_device_hour, _HOUR, rules.sms_device_hour),
                Few("device_mobiles", rules.sms_device_mobiles, _DAY, self._tagger.tag(mobile).name),
            )
            dues.append((self._tagger.tag(f"device:{caller.device}"), device))
        block = (
            Rate("block_10min", rules.sms_block_10min, 10 * _MINUTE, rules.sms_block_10min),
            self._run("block_run", rules.sms_block_run, mobile),
        )
        dues.append((self._block(mobile), block))
        if purpose in ("reset", "claim"):
            few = (Rate(f"{purpose}_hour", rules.sms_reset_hour, _HOUR, rules.sms_reset_hour),)
            dues.append((self._tagger.tag(mobile), few))
        return dues

    async def charge_wrong_account(self, address: str, account: str) -> None:
        """Note that an address had a wrong password for this account."""
        limits = self._wrong_accounts(account)
        await self._store.charge("session.login", self._address(address), limits, mode="observe")

    async def require_few_wrong_accounts(self, address: str, account: str, *, captcha_passed: bool) -> None:
        """AppError `captcha_required` or `rate_limited` for an address that tries one account after the other."""
        limits = self._wrong_accounts(account)
        await self._charge("session.login", [(self._address(address), limits)], captcha_passed, "login", mode="peek")

    async def note_wrong_code(self, address: str) -> None:
        """Note that an address had a wrong code."""
        rates = self._address_rates["code.wrong"]
        await self._store.charge("code.wrong", self._address(address), rates, mode="observe")

    async def require_few_wrong_codes(self, address: str, *, captcha_passed: bool, purpose: str) -> None:
        """AppError `captcha_required` or `rate_limited` for an address that tries one code after the other."""
        rates = self._address_rates["code.wrong"]
        await self._charge("code.wrong", [(self._address(address), rates)], captcha_passed, purpose, mode="peek")

    async def refund(self, charge: Charge) -> None:
        """Give back exactly what was charged, because nothing came of it."""
        await self._store.refund(charge.action, charge.dues)

    async def charge_service(self) -> Charge:
        """Charge one SMS to the minute of the whole service; AppError `sms_budget_exhausted`."""
        verdict = await self._store.charge("sms.send", _SERVICE, self._service_rates, mode=self._mode)
        if refusal := self._refusal("sms.send", verdict, "sms_budget_exhausted"):
            raise refusal
        return _charged("sms.send", [(_SERVICE, self._service_rates)], verdict)

    async def under_pressure(self, action: str, address: str) -> bool:
        """Whether the captcha of this address must cost more: its soft limit is used up, or it was asked for that."""
        rates = (_DEARER, *(rate for rate in self._address_rates[action] if rate.soft))
        verdict = await self._store.charge(action, self._address(address), rates, mode="peek")
        return verdict.outcome == "captcha"

    async def ask_dearer(self, action: str, address: str) -> None:
        """Let the captchas of an address cost more for the next minutes."""
        await self._store.charge(action, self._address(address), (_DEARER,), mode="observe")

    async def _charge(
        self,
        action: str,
        dues: Sequence[Due],
        captcha_passed: bool,
        purpose: str,
        mode: str = "",
    ) -> Charge:
        """Where no captcha can be shown, a soft limit refuses nothing."""
        passed = captcha_passed or not (self._captcha and purpose)
        verdict = await self._store.charge_dues(action, dues, mode=mode or self._mode, captcha_passed=passed)
        refusal = self._refusal(action, verdict, "sms_limit" if action == "sms.send" else "rate_limited", purpose)
        if refusal is not None:
            raise refusal
        return _charged(action, dues, verdict)

    def _refusal(
        self, action: str, verdict: Verdict | StoreUnavailable, code: str, purpose: str = ""
    ) -> AppError | None:
        if isinstance(verdict, StoreUnavailable):
            return AppError("unavailable", retry_after=1)
        if verdict.limit is None:
            return None
        self._metrics.note_refusal(action, verdict.limit.dimension)
        if self._mode == "observe":
            return None
        if verdict.outcome == "captcha":
            return AppError("captcha_required", purpose=purpose)
        return AppError(code, retry_after=wait_s(verdict.wait_ms))

    def _wrong_accounts(self, account: str) -> tuple[Limit, ...]:
        name, count = self._tagger.tag(f"account:{account}").name, self._rules.login_address_accounts
        return (
            Few("address_accounts_soft", count, _HOUR, name, soft=True),
            Few("address_accounts", count * HARD_FACTOR, _HOUR, name),
        )

    def _run(self, dimension: str, count: int, mobile: str) -> Run:
        within = self._block(mobile).name
        return Run(dimension, count, _RUN_S, member=str(int(mobile[BLOCK_DIGITS:])), within=within)

    def _tag_address(self, address: str) -> Tag:
        return self._tagger.tag(f"address:{address_group(address)}")

    def _network(self, address: str) -> Tag:
        return self._tagger.tag(f"network:{network_of(address)}")

    def _block(self, mobile: str) -> Tag:
        return self._tagger.tag(f"block:{mobile[:BLOCK_DIGITS]}")


def _charged(action: str, dues: Sequence[Due], verdict: Verdict) -> Charge:
    flat = [(subject, (limit,)) for subject, limits in dues for limit in limits]
    return Charge(action, tuple(flat[at - 1] for at in verdict.charged))


def address_group(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that a household gets of IPv6."""
    return _group(address, 32, 64)


def network_of(address: str) -> str:
    """What counts as one network: a /24 of IPv4, a /48 of IPv6."""
    return _group(address, 24, 48)


def _group(address: str, four: int, six: int) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    prefix = six if isinstance(ip, ipaddress.IPv6Address) else four
    if prefix == 32:
        return str(ip)
    return str(ipaddress.ip_network((ip, prefix), strict=False))

"""Who may do what how often. The numbers are those of the table in `docs/security.md`."""

import ipaddress
from dataclasses import dataclass

from server.errors import AppError, wait_s
from server.metrics import Metrics
from server.rates import Rate
from server.stores.limits import LimitStore, Verdict
from server.tags import Tag, Tagger

HARD_FACTOR = 5
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def _address(name: str, count: int, period_s: int, burst: int) -> tuple[Rate, Rate]:
    """Thousands of honest people share an address, so it asks for a captcha first and refuses at five times that."""
    return (
        Rate(f"address_{name}_soft", count, period_s, burst, soft=True),
        Rate(f"address_{name}", count * HARD_FACTOR, period_s, burst * HARD_FACTOR),
    )


ADDRESS_RATES: dict[str, tuple[Rate, ...]] = {
    "mobile.check": (*_address("minute", 60, _MINUTE, 60), *_address("day", 600, _DAY, 600)),
    "captcha.new": _address("minute", 60, _MINUTE, 60),
    "captcha.check": _address("minute", 60, _MINUTE, 60),
    "captcha.picture": _address("minute", 60, _MINUTE, 60),
    "sms.send": _address("hour", 10, _HOUR, 5),
    "sms.watch": _address("minute", 240, _MINUTE, 120),
    "user.register": (*_address("hour", 5, _HOUR, 5), *_address("day", 20, _DAY, 20)),
    "session.login": _address("minutes", 30, 5 * _MINUTE, 30),
    "session.refresh": _address("minute", 120, _MINUTE, 60),
    "session.authenticate": _address("minute", 120, _MINUTE, 60),
    "session.list": _address("minute", 60, _MINUTE, 60),
    "session.end": _address("minute", 60, _MINUTE, 60),
    "password.change": _address("hour", 20, _HOUR, 10),
    "password.reset": _address("minutes", 30, 5 * _MINUTE, 30),
    "mobile.change": _address("hour", 20, _HOUR, 10),
    "account.delete": _address("hour", 20, _HOUR, 10),
    "profile.get": _address("minute", 120, _MINUTE, 60),
    "profile.change": _address("minute", 60, _MINUTE, 60),
    "socket.open": _address("minute", 60, _MINUTE, 60),
}
# Charged once it is asked for a dearer captcha, so that the next one it gets is such a one.
_DEARER = Rate("address_dearer", 1, 5 * _MINUTE, 1, soft=True)
_SERVICE = Tag(slot="service", name="sms")
# Where a captcha can be shown; elsewhere only the hard limit counts.
_CAPTCHA_PURPOSES = {
    "mobile.check": "check",
    "user.register": "register",
    "session.login": "login",
    "password.reset": "reset",
}


@dataclass(frozen=True, slots=True)
class Charge:
    """What was charged to whom, so that it can be given back."""

    action: str
    subject: Tag
    rates: tuple[Rate, ...]


class LimitService:
    """Charges before anything costs; AppError says the true wait."""

    def __init__(
        self,
        *,
        store: LimitStore,
        tagger: Tagger,
        metrics: Metrics,
        enforce: bool,
        captcha: bool,
        sms_a_minute: int,
    ) -> None:
        self._store = store
        self._tagger = tagger
        self._metrics = metrics
        self._mode = "enforce" if enforce else "observe"
        self._captcha = captcha
        self._service_rates = (Rate("service_minute", sms_a_minute, _MINUTE, sms_a_minute),)

    async def charge_address(
        self, action: str, address: str, *, captcha_passed: bool = False, purpose: str = ""
    ) -> Charge:
        """Charge one `action` to an address. AppError `captcha_required` (of `purpose`, where the action has several)
        or `rate_limited` (SMS: `sms_limit`)."""
        purpose = purpose or _CAPTCHA_PURPOSES.get(action, "")
        may_ask = self._captcha and purpose
        verdict = await self._store.charge(
            action,
            self._subject(address),
            ADDRESS_RATES[action],
            mode=self._mode,
            captcha_passed=captcha_passed or not may_ask,
        )
        self._judge(action, verdict, "sms_limit" if action == "sms.send" else "rate_limited", purpose)
        return Charge(action, self._subject(address), verdict.charged)

    async def refund(self, charge: Charge) -> None:
        """Give back exactly what was charged, because nothing came of it."""
        await self._store.refund(charge.action, charge.subject, charge.rates)

    async def charge_service(self) -> Charge:
        """Charge one SMS to the minute of the whole service; AppError `sms_budget_exhausted`."""
        verdict = await self._store.charge("sms.send", _SERVICE, self._service_rates, mode=self._mode)
        self._judge("sms.send", verdict, "sms_budget_exhausted")
        return Charge("sms.send", _SERVICE, verdict.charged)

    async def under_pressure(self, action: str, address: str) -> bool:
        """Whether the captcha of this address must cost more: its soft limit is used up, or it was asked for that."""
        rates = (_DEARER, *(rate for rate in ADDRESS_RATES[action] if rate.soft))
        verdict = await self._store.charge(action, self._subject(address), rates, mode="peek")
        return verdict.outcome == "captcha"

    async def ask_dearer(self, action: str, address: str) -> None:
        """Let the captchas of an address cost more for the next minutes."""
        await self._store.charge(action, self._subject(address), (_DEARER,), mode="observe")

    def _subject(self, address: str) -> Tag:
        return self._tagger.tag(f"address:{address_group(address)}")

    def _judge(self, action: str, verdict: Verdict, code: str, purpose: str = "") -> None:
        if verdict.rate is None:
            return
        self._metrics.refusals.labels(action, verdict.rate.dimension).inc()
        if self._mode == "observe":
            return
        if verdict.outcome == "captcha":
            raise AppError("captcha_required", purpose=purpose)
        raise AppError(code, retry_after=wait_s(verdict.wait_ms))


def address_group(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that a household gets of IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((int(ip) >> 64 << 64, 64)))
    return str(ip)

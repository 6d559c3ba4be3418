"""Every setting of the service: its name in the environment, its default, its help line."""

import dataclasses
import ipaddress
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import Env, EnvError
from marshmallow.validate import OneOf, Range

from server.destinations import DestinationFault, Destinations, parse_destinations
from server.fixed_codes import FixedCodes, FixedCodesFault, parse_fixed_codes
from server.keys import KeyFault, KeyRing, development_keys, parse_ring
from server.limit_rules import PREFIX as LIMIT_PREFIX
from server.limit_rules import LimitRules
from server.password_rule import PasswordRule
from server.signing import read_secret

# The second never fails, so that failing over can be tried without any vendor.
SANDBOXES = ("sandbox", "sandbox2")
SECRETS = ("CODE_KEYS", "TOKEN_KEYS", "PASSWORD_PEPPERS")
_GEETEST = re.compile(r"[0-9a-zA-Z]{32}", re.ASCII)
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class SettingsFault(ValueError):
    """A setting that cannot be used: one sentence that names it and says what to do."""


def _setting(default: Any, read: str, text: str, *, secret: bool = False, **options: Any) -> Any:
    return field(default=default, repr=not secret, metadata={"read": read, "help": text, "options": options})


def _one_of(*choices: str) -> OneOf:
    return OneOf(choices, error="must be one of {choices}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Read once at the start by `from_env`; handed on as plain values."""

    env: str = _setting(
        "development",
        "str",
        "development or production; production refuses to start with missing secrets or development parts",
        validate=_one_of("development", "production"),
    )
    host: str = _setting("127.0.0.1", "str", "address to listen on")
    port: int = _setting(8888, "int", "port to listen on; 0 takes a free one", validate=Range(0, 65535))
    var_dir: Path = _setting(
        Path("var"), "path", "private directory of the embedded stores and of development's secrets"
    )
    embedded: bool = _setting(False, "bool", "yes allows the embedded stores in production")
    mongo_url: str = _setting(
        "", "str", "mongodb://… of a MongoDB 6 or newer; empty starts the embedded store", secret=True
    )
    mongo_driver: str = _setting(
        "motor", "str", "motor or pymongo (its async client)", validate=_one_of("motor", "pymongo")
    )
    redis_url: str = _setting(
        "",
        "str",
        "redis://…, rediss://…, unix://…, redis+sentinel://… or redis+cluster://… of a Redis 6.2 or newer; "
        "empty starts the embedded store",
        secret=True,
    )
    redis_wait_replicas: int = _setting(
        0, "int", "replicas that must have a step before it is acknowledged", validate=Range(0, 5)
    )
    code_keys: str = _setting(
        "", "str", "id:base64,… keys of at least 32 bytes from which SMS codes are derived", secret=True
    )
    token_keys: str = _setting("", "str", "id:base64,… 32-byte Ed25519 seeds that sign access tokens", secret=True)
    password_peppers: str = _setting(
        "", "str", "id:base64,… keys mixed into passwords; keep one while any hash needs it", secret=True
    )
    site_name: str = _setting("Haoma", "str", "name of the service on pages and in the SMS")
    site_url: str = _setting("", "str", "https://… where people reach the service; required in production")
    allowed_origins: tuple[str, ...] = _setting((), "list", "further origins whose pages may call us")
    allowed_hosts: tuple[str, ...] = _setting((), "list", "further Host names that we answer to")
    next_urls: tuple[str, ...] = _setting(
        (), "list", "https://… addresses to which ?next= may take a person who has signed in"
    )
    terms_url: str = _setting("", "str", "https://… terms that one agrees to when signing up")
    privacy_url: str = _setting("", "str", "https://… privacy statement that one agrees to when signing up")
    trusted_proxies: Networks = _setting((), "networks", "addresses or networks whose X-Forwarded-For is believed")
    sms_interval_s: int = _setting(60, "int", "seconds between two SMS to one number", validate=Range(1, 3600))
    sms_expire_s: int = _setting(300, "int", "seconds for which a code is good", validate=Range(10, 3600))
    sms_budget_day: int = _setting(
        20_000, "int", "SMS that the whole service sends in a day (UTC+8)", validate=Range(1, 10_000_000)
    )
    sms_budget_minute: int = _setting(
        60, "int", "SMS that the whole service sends in a minute", validate=Range(1, 60_000)
    )
    notify_url: str = _setting(
        "", "str", "https://… to which alerts and registrations are posted, signed as Standard Webhooks"
    )
    notify_secret: str = _setting("", "str", "whsec_… with which they are signed", secret=True)
    sms_providers: tuple[str, ...] = _setting(("sandbox",), "list", "SMS providers in order of preference")
    test_mobiles: str = _setting(
        "",
        "str",
        "number=code@2027-01-31,… numbers with a fixed code that are sent no SMS; the date may be missing",
        secret=True,
    )
    captcha_provider: str = _setting(
        "altcha",
        "str",
        "altcha (embedded proof of work), image (letters in a picture), geetest3, geetest4 (GeeTest's versions) "
        "or none (tests only)",
        validate=_one_of("altcha", "image", "geetest3", "geetest4", "none"),
    )
    captcha_geetest_id: str = _setting("", "str", "captcha id that GeeTest gave you, 32 characters")
    captcha_geetest_key: str = _setting("", "str", "captcha key that GeeTest gave you, 32 characters")
    captcha_geetest_digest: str = _setting(
        "md5",
        "str",
        "md5, sha256 or hmac-sha256: how version 3 signs; other than md5 has to be set up with GeeTest",
        validate=_one_of("md5", "sha256", "hmac-sha256"),
    )
    captcha_geetest_url: str = _setting(
        "", "str", "https://… where GeeTest's API is reached, if not at its own address"
    )
    uniqueness: str = _setting(
        "open",
        "str",
        "open tells whether a number is taken, captcha asks for one each time, off leaves it to the SMS",
        validate=_one_of("open", "captcha", "off"),
    )
    password_min: int = _setting(8, "int", "fewest characters of a password", validate=Range(6, 64))
    password_max: int = _setting(64, "int", "most characters of a password", validate=Range(16, 256))
    release_cool_off_h: int = _setting(
        336,
        "int",
        "hours for which whoever is signed in to an account may refuse to give its number away",
        validate=Range(1, 8760),
    )
    recovery_delay_h: int = _setting(
        72,
        "int",
        "hours after which an account moves to a new number without a code to the old one",
        validate=Range(1, 8760),
    )
    bcrypt_cost: int = _setting(12, "int", "bcrypt's cost; 12 takes about 0.2 s", validate=Range(10, 16))
    processes: int = _setting(
        1, "int", "workers on the one port, under a parent that replaces what dies", validate=Range(1, 64)
    )
    websocket_protocol: str = _setting(
        "websockets",
        "str",
        "websockets (that library's, on the loop's own transport) or tornado (its own, slower)",
        validate=_one_of("websockets", "tornado"),
    )
    log_format: str = _setting("console", "str", "json or console", validate=_one_of("json", "console"))
    limits: str = _setting(
        "enforce",
        "str",
        "enforce; observe (development only) counts rate limits without refusing, for load tests",
        validate=_one_of("enforce", "observe"),
    )

    sms_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`SMS_<NAME>_*`, which each provider judges itself."""

    limit_rules: LimitRules = field(default_factory=LimitRules)
    """`LIMIT_*`, each number of which has its own line in docs/settings.md."""

    @property
    def development(self) -> bool:
        return self.env == "development"

    def ring(self, name: str) -> KeyRing:
        """The key ring of one of SECRETS."""
        return parse_ring(name, getattr(self, name.lower()))

    def fixed_codes(self) -> FixedCodes:
        """TEST_MOBILES, read."""
        return parse_fixed_codes(self.test_mobiles)

    def password_rule(self) -> PasswordRule:
        """What the passwords of this site must not be."""
        return PasswordRule(site=self.site_name, shortest=self.password_min)

    def destinations(self) -> Destinations:
        """NEXT_URLS, read."""
        return parse_destinations(self.next_urls, development=self.development)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Settings from `environ` (default: the process's); SettingsFault names the first one that will not do."""
        environ = os.environ if environ is None else environ
        reader = _Reader(environ)
        values = reader.read(tuple(each for each in dataclasses.fields(cls) if each.metadata))
        limit_rules = LimitRules(**reader.read(dataclasses.fields(LimitRules), prefix=LIMIT_PREFIX))
        ours = {each.name.upper() for each in dataclasses.fields(cls)}
        sms_options = {name: environ[name] for name in environ if name.startswith("SMS_") and name not in ours}
        settings = cls(**values, sms_options=sms_options, limit_rules=limit_rules)
        if settings.development:
            settings = _with_development_keys(settings)
        _judge(settings)
        return settings


class _Reader:
    """Reads one mapping with environs' parsers, which speak to os.environ only."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._parsers: dict[str, Callable[[Env, str, dict[str, Any]], Any]] = {
            "list": lambda env, name, options: tuple(env.list(name, **options)),
            "networks": lambda env, name, options: tuple(map(_network, env.list(name))),
        }

    def read(self, fields: tuple[dataclasses.Field[Any], ...], *, prefix: str = "") -> dict[str, Any]:
        """What is given of `fields`; where they have a `prefix`, no other name may begin with it."""
        given = {name for name, text in self._environ.items() if text.strip()}
        names = {f"{prefix}{f.name.upper()}": f for f in fields}
        for name in sorted(given - names.keys()):
            if prefix and name.startswith(prefix):
                raise SettingsFault(f"{name} is no setting; docs/settings.md lists them.")
        return {f.name: self._parse(f, name) for name, f in names.items() if name in given}

    def _parse(self, found: dataclasses.Field[Any], name: str) -> Any:
        env = Env()
        text = self._environ[name].strip()
        options = found.metadata["options"]
        kind = found.metadata["read"]
        scratch = f"_HAOMA_READ_{name}"
        os.environ[scratch] = text
        try:
            if kind in self._parsers:
                return self._parsers[kind](env, scratch, options)
            return getattr(env, kind)(scratch, **options)
        except (EnvError, ValueError) as fault:
            faults = getattr(fault, "error_messages", None)
            why = " ".join(faults) if isinstance(faults, list) else str(fault).replace(scratch, name)
            raise SettingsFault(f"{name}={text!r} cannot be used: {why}") from None
        finally:
            del os.environ[scratch]


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text.strip(), strict=False)


def _with_development_keys(settings: Settings) -> Settings:
    missing = [name for name in SECRETS if not getattr(settings, name.lower())]
    if not missing:
        return settings
    try:
        made = development_keys(settings.var_dir, SECRETS)
    except OSError as fault:
        raise SettingsFault(f"VAR_DIR={str(settings.var_dir)!r} cannot be written: {fault.strerror}.") from None
    found: dict[str, Any] = {name.lower(): made[name] for name in missing}
    return dataclasses.replace(settings, **found)


def _judge(settings: Settings) -> None:
    if settings.password_min > settings.password_max:
        raise SettingsFault("PASSWORD_MIN must not be greater than PASSWORD_MAX.")
    if settings.site_url and urlsplit(settings.site_url).scheme not in ("http", "https"):
        raise SettingsFault("SITE_URL must begin with https:// (or http:// in development).")
    if urlsplit(settings.site_url).path not in ("", "/"):
        raise SettingsFault("SITE_URL must be an origin, without a path: the service answers at the root.")
    _judge_addresses(settings)
    _judge_test_mobiles(settings)
    _judge_notify(settings)
    _judge_geetest(settings)
    if not settings.development:
        _judge_production(settings)
    for name in SECRETS:
        try:
            settings.ring(name)
        except KeyFault as fault:
            raise SettingsFault(str(fault)) from None


def _judge_addresses(settings: Settings) -> None:
    schemes = ("https", "http") if settings.development else ("https",)
    for name in ("TERMS_URL", "PRIVACY_URL"):
        url = getattr(settings, name.lower())
        if url and (urlsplit(url).scheme not in schemes or not urlsplit(url).hostname):
            raise SettingsFault(f"{name} must begin with https:// (or http:// in development).")
    try:
        settings.destinations()
    except DestinationFault as fault:
        raise SettingsFault(f"NEXT_URLS cannot be used: {fault}.") from None


def _judge_notify(settings: Settings) -> None:
    schemes = ("https", "http") if settings.development else ("https",)
    url = urlsplit(settings.notify_url)
    if not settings.notify_url:
        return
    if url.scheme not in schemes or not url.hostname:
        raise SettingsFault("NOTIFY_URL must begin with https:// (or http:// in development).")
    try:
        read_secret(settings.notify_secret)
    except ValueError as fault:
        raise SettingsFault(f"NOTIFY_SECRET {fault}.") from None


def _judge_test_mobiles(settings: Settings) -> None:
    try:
        fixed = settings.fixed_codes()
        if not settings.development:
            fixed.require_end(time.time())
    except FixedCodesFault as fault:
        raise SettingsFault(f"TEST_MOBILES cannot be used: {fault}") from None


def _judge_geetest(settings: Settings) -> None:
    """The key is not shown in what is wrong with it."""
    if not settings.captcha_provider.startswith("geetest"):
        return
    for name in ("CAPTCHA_GEETEST_ID", "CAPTCHA_GEETEST_KEY"):
        if not _GEETEST.fullmatch(getattr(settings, name.lower())):
            raise SettingsFault(f"{name} is missing or not the 32 letters and digits that GeeTest gave you.")
    if settings.captcha_geetest_url:
        url = urlsplit(settings.captcha_geetest_url)
        if url.scheme != "https" and not (settings.development and url.scheme == "http"):
            raise SettingsFault("CAPTCHA_GEETEST_URL must begin with https:// (or http:// in development).")


def _judge_production(settings: Settings) -> None:
    for name in SECRETS:
        if not getattr(settings, name.lower()):
            raise SettingsFault(f"{name} is missing; production makes no secrets of its own.")
    if urlsplit(settings.site_url).scheme != "https":
        raise SettingsFault("SITE_URL is missing or not https://; production needs the address people reach.")
    # Not even behind a real one: failing over to it would tell people that an SMS arrived which nobody sent.
    if not settings.sms_providers or {*settings.sms_providers} & {*SANDBOXES}:
        raise SettingsFault("SMS_PROVIDERS must name real providers only; a sandbox sends nothing.")
    if settings.captcha_provider == "none":
        raise SettingsFault("CAPTCHA_PROVIDER=none is for tests; production needs a captcha.")
    if settings.limits == "observe":
        raise SettingsFault("LIMITS=observe is for load tests in development; production enforces limits.")
    if not settings.embedded and not (settings.mongo_url and settings.redis_url):
        raise SettingsFault("MONGO_URL and REDIS_URL are needed in production (or EMBEDDED=yes).")

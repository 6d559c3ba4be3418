"""Settings are judged at the start: one clear sentence, or a service that runs."""

import base64
import dataclasses
import os
from pathlib import Path

import pytest

from server.settings import SECRETS, Settings, SettingsFault

_GOOD = {name: f"k1:{base64.b64encode(os.urandom(32)).decode()}" for name in SECRETS}
_PRODUCTION = _GOOD | {
    "ENV": "production",
    "SITE_URL": "https://haoma.example",
    "MONGO_URL": "mongodb://db/haoma",
    "REDIS_URL": "redis://cache",
    "SMS_PROVIDERS": "yuntongxun",
}


def _fault(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsFault) as refused:
        Settings.from_env(environ)
    return str(refused.value)


def test_every_setting_has_a_help_line_and_a_default_that_works(tmp_path: Path) -> None:
    """Nothing needs to be set in development."""
    Settings.from_env({"VAR_DIR": str(tmp_path)})
    assert all(field.metadata["help"] for field in dataclasses.fields(Settings) if field.metadata)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("ENV", "staging"),
        ("SMS_INTERVAL_S", "0"),
        ("PASSWORD_MIN", "5"),
        ("BCRYPT_COST", "4"),
        ("CAPTCHA_PROVIDER", "magic"),
        ("LIMITS", "off"),
        ("MONGO_DRIVER", "sqlite"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("SITE_URL", "haoma.example"),
        ("SITE_URL", "https://haoma.example/app"),
        ("TERMS_URL", "terms.html"),
        ("TERMS_URL", "javascript:alert(1)"),
        ("PRIVACY_URL", "https://"),
        ("NEXT_URLS", "https://shop.example,shop.example"),
    ],
)
def test_a_value_that_will_not_do_is_named_with_its_setting(tmp_path: Path, name: str, value: str) -> None:
    """The sentence begins with what to change."""
    sentence = _fault({"VAR_DIR": str(tmp_path), name: value})
    assert sentence.startswith(name)
    assert "_HAOMA" not in sentence


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "key",
    [
        "k1:" + base64.b64encode(os.urandom(31)).decode(),
        "k1:" + base64.b64encode(bytes(32)).decode(),
        "k1:" + base64.b64encode(b"change-me-change-me-change-me-please").decode(),
        "k1:not base64 at all",
        "nocolon",
        f"{_GOOD['CODE_KEYS']},{_GOOD['CODE_KEYS']}",
    ],
    ids=["short", "zeros", "typed", "not base64", "no id", "twice"],
)
def test_tok_3_a_weak_secret_stops_the_start(tmp_path: Path, name: str, key: str) -> None:
    """Shorter than 32 bytes, typed by hand, or a documented example; the key itself is not repeated."""
    sentence = _fault({"VAR_DIR": str(tmp_path), name: key})
    assert name in sentence
    assert key.partition(":")[2] not in sentence or key == "nocolon"


@pytest.mark.parametrize("name", SECRETS)
def test_tok_3_production_makes_no_secret_of_its_own(name: str) -> None:
    """It must be given."""
    environ = {key: value for key, value in _PRODUCTION.items() if key != name}
    assert _fault(environ).startswith(name)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SMS_PROVIDERS": "sandbox"}, "SMS_PROVIDERS"),
        ({"SMS_PROVIDERS": "yuntongxun,sandbox2"}, "SMS_PROVIDERS"),
        ({"SITE_URL": ""}, "SITE_URL"),
        ({"SITE_URL": "http://haoma.example"}, "SITE_URL"),
        ({"TERMS_URL": "http://haoma.example/terms"}, "TERMS_URL"),
        ({"NEXT_URLS": "http://localhost:3000"}, "NEXT_URLS"),
        ({"CAPTCHA_PROVIDER": "none"}, "CAPTCHA_PROVIDER"),
        ({"LIMITS": "observe"}, "LIMITS"),
        ({"MONGO_URL": ""}, "MONGO_URL"),
        ({"REDIS_URL": ""}, "REDIS_URL"),
    ],
    ids=str,
)
def test_production_refuses_parts_of_development(change: dict[str, str], named: str) -> None:
    """A sandbox, also behind a vendor, a captcha that is none, limits that only look, stores that are embedded."""
    assert named in _fault(_PRODUCTION | change)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"CAPTCHA_GEETEST_ID": ""}, "CAPTCHA_GEETEST_ID"),
        ({"CAPTCHA_GEETEST_KEY": ""}, "CAPTCHA_GEETEST_KEY"),
        ({"CAPTCHA_GEETEST_KEY": "0123456789abcdef"}, "CAPTCHA_GEETEST_KEY"),
        ({"CAPTCHA_GEETEST_DIGEST": "sha1"}, "CAPTCHA_GEETEST_DIGEST"),
        ({"CAPTCHA_GEETEST_URL": "http://geetest.example"}, "CAPTCHA_GEETEST_URL"),
    ],
    ids=str,
)
@pytest.mark.parametrize("provider", ["geetest3", "geetest4"])
def test_geetest_needs_its_account(provider: str, change: dict[str, str], named: str) -> None:
    """Looked at before anything starts; the key itself is not repeated."""
    account = {
        "CAPTCHA_GEETEST_ID": "c9c4facd1a6feeb80802222cbb74ca8e",
        "CAPTCHA_GEETEST_KEY": "0123456789abcdef" * 2,
    }
    whole = _PRODUCTION | account | {"CAPTCHA_PROVIDER": provider}
    Settings.from_env(whole)
    sentence = _fault(whole | change)
    assert sentence.startswith(named)
    assert "0123456789abcdef" not in sentence


def test_production_starts_with_everything_given() -> None:
    """And with the embedded stores if that is said."""
    assert not Settings.from_env(_PRODUCTION).development
    Settings.from_env(_PRODUCTION | {"MONGO_URL": "", "REDIS_URL": "", "EMBEDDED": "yes"})


def test_settings_that_are_shown_show_no_secret() -> None:
    """Say in a traceback: neither keys, nor passwords in addresses, nor fixed codes, nor a vendor's token."""
    more = {"TEST_MOBILES": "15400000001=314159@2999-01-31", "SMS_YUNTONGXUN_AUTH_TOKEN": "token-of-ours"}
    stores = {"MONGO_URL": "mongodb://me:pass-m@db/haoma", "REDIS_URL": "redis://:pass-r@cache"}
    shown = repr(Settings.from_env(_PRODUCTION | more | stores))
    for secret in ("k1:", "pass-m", "pass-r", "314159", "15400000001", "token-of-ours"):
        assert secret not in shown


def test_secrets_made_in_development_are_kept_and_private(tmp_path: Path) -> None:
    """The next start has the same ones; nobody else may read them."""
    first = Settings.from_env({"VAR_DIR": str(tmp_path / "var")})
    again = Settings.from_env({"VAR_DIR": str(tmp_path / "var")})
    assert first == again
    assert len({getattr(first, name.lower()) for name in SECRETS}) == 3
    assert (tmp_path / "var" / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700

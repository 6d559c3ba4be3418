"""The options of a provider: what is missing, wrong or too much stops the start with one sentence."""

import ipaddress

import pytest

from server.sms import PROVIDERS
from server.sms.options import OptionFault, ProviderOptions
from tests.sms.support import ScriptedHttp, build
from tests.vendors import STAND_INS

HTTP = ScriptedHttp(200, b"")


def environ_of(name: str) -> dict[str, str]:
    return STAND_INS[name](port=9).environ()


NEEDED = [
    (name, key)
    for name in PROVIDERS
    for key in environ_of(name)
    if not key.endswith(("_URL", "_MINUTES_PARAM")) or key == "SMS_WEBHOOK_URL"
]


@pytest.mark.parametrize("name, key", NEEDED)
@pytest.mark.parametrize("empty", [None, "", "  "])
def test_a_missing_option_is_named(name: str, key: str, empty: str | None) -> None:
    """An empty one is missing too."""
    environ = environ_of(name) | {key: empty or ""}
    if empty is None:
        del environ[key]
    with pytest.raises(OptionFault) as caught:
        build(name, environ, HTTP)
    assert str(caught.value) == f"{key} is missing; SMS_PROVIDERS names {name}, which needs it."


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_option_that_nobody_knows_is_refused(name: str) -> None:
    """It is a typing error, and the right spelling is in the list."""
    given = f"SMS_{name.upper()}_RECEIPT_SECERT"
    with pytest.raises(OptionFault, match=f"^{given} is not an option of {name}; there are: ") as caught:
        build(name, environ_of(name) | {given: "x" * 16}, HTTP)
    assert all(f"SMS_{name.upper()}_{key}" in str(caught.value) for key in ("RATE", "RECEIPT_SECRET", "URL"))


def test_options_of_others_are_their_own() -> None:
    """And so are the settings of the service that begin with SMS_."""
    others = {"SMS_TENCENT_NONSENSE": "1", "SMS_INTERVAL_S": "60", "SMS_PROVIDERS": "aliyun", "SMS_ALIYUNX_A": "1"}
    build("aliyun", environ_of("aliyun") | others, HTTP)


@pytest.mark.parametrize(
    "name, key, value",
    [
        ("aliyun", "RATE", "0"),
        ("aliyun", "RATE", "-1"),
        ("aliyun", "RATE", "inf"),
        ("aliyun", "RATE", "nan"),
        ("aliyun", "RATE", "fast"),
        ("aliyun", "WEIGHT", "-1"),
        ("aliyun", "WEIGHT", "1.5"),
        ("aliyun", "WEIGHT", "١"),
        ("aliyun", "RECEIPT_SECRET", "tooshort"),
        ("aliyun", "RECEIPT_SECRET", "a/b" * 10),
        ("aliyun", "RECEIPT_FROM", "everywhere"),
        ("aliyun", "URL", "http://dysmsapi.aliyuncs.com"),
        ("aliyun", "URL", "ftp://localhost"),
        ("aliyun", "URL", "https:///sms"),
        ("aliyun", "URL", "https://[::1"),
        ("aliyun", "URL", "https://host:port"),
        ("aliyun", "URL", "https://user:word@dysmsapi.aliyuncs.com"),
        ("aliyun", "URL", "https://dysmsapi.aliyuncs.com/?a=b"),
        ("yuntongxun", "HOST", "test"),
        ("yuntongxun", "ACCOUNT_SID", "a/../b"),
        ("tencent", "PARAMS", "code,code"),
        ("tencent", "PARAMS", "code,minute"),
        ("tencent", "PARAMS", "code,,minutes"),
        ("webhook", "URL", "http://example.com/sms"),
        ("webhook", "SECRET", "whsec_short"),
        ("webhook", "SECRET", "whsec_" + "A" * 28),
        ("webhook", "SECRET", "whsec_" + "A" * 88),
        ("webhook", "SECRET", "whsec_***" + "A" * 40),
        ("webhook", "SECRET", "A" * 44),
    ],
)
def test_an_option_that_will_not_do_is_named(name: str, key: str, value: str) -> None:
    """In one line, and without its value, which may be a secret."""
    with pytest.raises(OptionFault) as caught:
        build(name, environ_of(name) | {f"SMS_{name.upper()}_{key}": value}, HTTP)
    said = str(caught.value)
    assert said.startswith(f"SMS_{name.upper()}_{key} ")
    assert said.endswith(".")
    assert "\n" not in said
    assert value not in said.split(" ", 1)[1] or len(value) < 5


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "http://localhost:9/", "http://[::1]:9", "https://sms.example.com"]
)
def test_plain_http_goes_no_further_than_this_host(url: str) -> None:
    """There stand-ins live."""
    build("aliyun", environ_of("aliyun") | {"SMS_ALIYUN_URL": url}, HTTP)


def test_what_every_provider_has() -> None:
    """Its rate, its weight, and who may report."""
    common = ProviderOptions("aliyun", {}).common()
    assert (common.rate, common.weight, common.receipt_secret, common.receipt_from) == (50.0, 0, "", ())
    given = {
        "SMS_ALIYUN_RATE": "0.5",
        "SMS_ALIYUN_WEIGHT": "3",
        "SMS_ALIYUN_RECEIPT_SECRET": "abcdefghABCDEFGH_-",
        "SMS_ALIYUN_RECEIPT_FROM": "203.0.113.0/24, 2001:db8::1",
    }
    common = ProviderOptions("aliyun", given).common()
    assert (common.rate, common.weight, common.receipt_secret) == (0.5, 3, "abcdefghABCDEFGH_-")
    assert common.receipt_from == (ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("2001:db8::1"))
    assert "abcdefgh" not in repr(common)

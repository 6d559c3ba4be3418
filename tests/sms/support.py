"""What the tests of providers share."""

from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from server.clock import Clock
from server.sms import PROVIDERS
from server.sms.http import VendorHttp
from server.sms.options import ProviderOptions
from server.sms.provider import SendFailed, Sms, SmsProvider
from tests.vendors import STAND_INS, StandIn

MOBILE = "15400000001"
CODE = "012345"


def an_sms(**other: Any) -> Sms:
    """A message like those that the service sends."""
    told: dict[str, Any] = {
        "id": "0123456789abcdef0123456789abcdef",
        "mobile": MOBILE,
        "purpose": "register",
        "code": CODE,
        "minutes": 5,
        "text": f"【Haoma】验证码 {CODE}，5 分钟内有效。~*' &=",
        "transaction": "t",
        "nonce": "n",
        "key_id": "k",
        "locale": "zh_CN",
    }
    return Sms(**(told | other))


def build(name: str, environ: Mapping[str, str], http: Any, clock: Clock | None = None) -> SmsProvider:
    """A provider as the service builds it at the start."""
    options = ProviderOptions(name, environ)
    provider = PROVIDERS[name](options, http, clock=clock or Clock())
    options.common()
    options.finish()
    return provider


@asynccontextmanager
async def vendor_and_provider(
    name: str, *, total_s: float = 5.0, **settings: str
) -> AsyncIterator[tuple[StandIn, SmsProvider]]:
    """A stand-in vendor, and the provider that speaks to it."""
    http = VendorHttp(total_s=total_s)
    async with STAND_INS[name]() as vendor:
        try:
            yield vendor, build(name, vendor.environ() | settings, http)
        finally:
            await http.aclose()


async def failure_of(provider: SmsProvider, sms: Sms | None = None) -> SendFailed:
    """The failure of a send that must fail."""
    try:
        result = await provider.send(sms or an_sms())
    except SendFailed as failed:
        return failed
    raise AssertionError(f"taken: {result}")


class ScriptedHttp:
    """Answers what the test says, without a network."""

    def __init__(self, status: int, body: bytes) -> None:
        self.answer = (status, body)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        self.asked = (url, dict(headers), body)
        return self.answer


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The outcome of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")

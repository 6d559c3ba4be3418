"""The vendors' SMS providers, by the name that SMS_PROVIDERS uses. The sandbox, which needs an inbox and no options,
is built by the container."""

from typing import Protocol

from server.clock import Clock
from server.sms.aliyun import Aliyun
from server.sms.http import VendorHttp
from server.sms.options import ProviderOptions
from server.sms.provider import SmsProvider
from server.sms.tencent import Tencent
from server.sms.webhook import Webhook
from server.sms.yuntongxun import Yuntongxun


class MakeProvider(Protocol):
    """How every vendor's provider is built: OptionFault if its options will not do."""

    def __call__(self, options: ProviderOptions, http: VendorHttp, *, clock: Clock) -> SmsProvider: ...


PROVIDERS: dict[str, MakeProvider] = {
    "yuntongxun": Yuntongxun,
    "aliyun": Aliyun,
    "tencent": Tencent,
    "webhook": Webhook,
}

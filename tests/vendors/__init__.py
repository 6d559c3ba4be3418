"""Stand-in vendors. Each judges a request as its vendor's documents say, by code of its own."""

from tests.vendors.aliyun import AliyunStandIn
from tests.vendors.standin import Behaviour, Order, StandIn, Taken
from tests.vendors.tencent import TencentStandIn
from tests.vendors.webhook import WebhookStandIn
from tests.vendors.yuntongxun import YuntongxunStandIn

STAND_INS: dict[str, type[StandIn]] = {
    kind.name: kind for kind in (YuntongxunStandIn, AliyunStandIn, TencentStandIn, WebhookStandIn)
}
__all__ = ["STAND_INS", "Behaviour", "Order", "StandIn", "Taken"]

"""Stands in for an operator's own webhook, which verifies Standard Webhooks with code of its own."""

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from tornado.httputil import HTTPServerRequest

from tests.vendors.standin import Order, Refused, StandIn, Taken

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
_FIELDS = {"mobile", "purpose", "code", "minutes", "text", "locale"}


@dataclass
class WebhookStandIn(StandIn):
    """Answers a `webhook-id` that was here before as the first time, and sends nothing again."""

    name: ClassVar[str] = "webhook"
    knows_repeats: ClassVar[bool] = True

    def environ(self) -> dict[str, str]:
        return {"SMS_WEBHOOK_URL": f"{self.url}/sms", "SMS_WEBHOOK_SECRET": SECRET}

    def check(self, request: HTTPServerRequest) -> Order:
        if request.method != "POST" or request.uri != "/sms":
            raise Refused("not_found")
        if request.headers.get("Content-Type") != "application/json":
            raise Refused("content_type")
        name, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        if abs(time.time() - int(timestamp)) > 300:
            raise Refused("timestamp")
        if request.headers["webhook-signature"] != sign(name, timestamp, request.body):
            raise Refused("signature")
        return _order(name, orjson.loads(request.body))

    def thanks(self, message_id: str) -> dict[str, Any]:
        return {"message_id": message_id}

    def refusal(self, code: str) -> tuple[int, dict[str, Any]]:
        return 422, {"error": code}

    def receipt(self, taken: Taken, *, delivered: bool, mobile: str) -> tuple[dict[str, str], bytes]:
        report = {
            "type": "sms.delivered" if delivered else "sms.undelivered",
            "data": {"message_id": taken.message_id, "mobile": mobile, "code": "DELIVRD" if delivered else "UNDELIV"},
        }
        body, now = orjson.dumps(report), str(int(time.time()))
        name = f"receipt-{taken.message_id}"
        return {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": now,
            "webhook-signature": sign(name, now, body),
        }, body


def sign(name: str, timestamp: str, body: bytes) -> str:
    content = b".".join([name.encode(), timestamp.encode(), body])
    return "v1," + base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()


def _order(name: str, event: dict[str, Any]) -> Order:
    data = event["data"]
    if event["id"] != name or event["type"] != "sms.send" or data.keys() != _FIELDS:
        raise Refused("shape")
    params = {"code": data["code"], "minutes": str(data["minutes"]), "text": data["text"]}
    return Order(name, data["mobile"], params)

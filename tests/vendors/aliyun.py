"""Stands in for Aliyun. ACS3-HMAC-SHA256 is checked by the words of the document, with code of its own."""

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote_plus

import orjson
from tornado.httputil import HTTPServerRequest

from tests.vendors.standin import Order, Refused, StandIn, Taken

KEY_ID, SECRET = "testid", "testsecret"
SIGN_NAME, TEMPLATE = "测试", "SMS_1"


@dataclass
class AliyunStandIn(StandIn):
    """Takes the same order again as a new one: Aliyun knows no idempotency key. A nonce serves once."""

    name: ClassVar[str] = "aliyun"
    _nonces: set[str] = field(default_factory=set)

    def environ(self) -> dict[str, str]:
        return {
            "SMS_ALIYUN_ACCESS_KEY_ID": KEY_ID,
            "SMS_ALIYUN_ACCESS_KEY_SECRET": SECRET,
            "SMS_ALIYUN_SIGN_NAME": SIGN_NAME,
            "SMS_ALIYUN_TEMPLATE_CODE": TEMPLATE,
            "SMS_ALIYUN_MINUTES_PARAM": "minutes",
            "SMS_ALIYUN_URL": self.url,
        }

    def check(self, request: HTTPServerRequest) -> Order:
        headers = {name.lower(): value for name, value in request.headers.get_all()}
        if request.method != "POST" or request.path != "/":
            raise Refused("InvalidAction.NotFound")
        if (headers.get("x-acs-action"), headers.get("x-acs-version")) != ("SendSms", "2017-05-25"):
            raise Refused("InvalidVersion")
        params = dict(parse_qsl(request.query, keep_blank_values=True, strict_parsing=True))
        _check_signature(headers, params, request.body)
        _check_time(headers["x-acs-date"])
        if headers["x-acs-signature-nonce"] in self._nonces:
            raise Refused("SignatureNonceUsed")
        self._nonces.add(headers["x-acs-signature-nonce"])
        return _order(params)

    def thanks(self, message_id: str) -> dict[str, Any]:
        return {
            "Code": "OK",
            "Message": "OK",
            "BizId": message_id,
            "RequestId": "F655A8D5",
        }

    def refusal(self, code: str) -> tuple[int, dict[str, Any]]:
        status = 200 if code.startswith(("isv.", "isp.")) else 400
        return status, {"Code": code, "Message": "触发号码天级流控Permits:10", "RequestId": "F655A8D5"}

    def receipt(self, taken: Taken, *, delivered: bool, mobile: str) -> tuple[dict[str, str], bytes]:
        report = {
            "phone_number": mobile,
            "send_time": "2026-01-01 12:00:00",
            "report_time": "2026-01-01 12:00:03",
            "success": delivered,
            "err_code": "DELIVERED" if delivered else "MK:0001",
            "err_msg": "用户接收成功" if delivered else "空号",
            "sms_size": "1",
            "biz_id": taken.message_id,
            "out_id": taken.key,
        }
        return {"Content-Type": "application/json"}, orjson.dumps([report])


def _encode(text: str) -> str:
    """RFC 3986 as the document puts it: a form's encoding, then %20 for +, %2A for *, ~ as it is."""
    return quote_plus(text).replace("+", "%20").replace("*", "%2A").replace("%7E", "~")


def _check_signature(headers: dict[str, str], params: dict[str, str], body: bytes) -> None:
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(",")) if rest else {}
    signed = parts.get("SignedHeaders", "").split(";")
    must = {name for name in headers if name.startswith("x-acs-") or name in ("host", "content-type")}
    if scheme != "ACS3-HMAC-SHA256" or parts.get("Credential") != KEY_ID or signed != sorted(must):
        raise Refused("IncompleteSignature")
    if headers["x-acs-content-sha256"] != hashlib.sha256(body).hexdigest():
        raise Refused("InvalidContentSha256")
    canonical = "\n".join(
        [
            "POST",
            "/",
            "&".join(_encode(name) + "=" + _encode(value) for name, value in sorted(params.items())),
            *(f"{name}:{headers[name].strip()}" for name in signed),
            "",
            ";".join(signed),
            headers["x-acs-content-sha256"],
        ]
    )
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    if hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest() != parts.get("Signature"):
        raise Refused("SignatureDoesNotMatch")


def _check_time(date: str) -> None:
    sent = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if abs(time.time() - sent.timestamp()) > 900:
        raise Refused("InvalidTimeStamp.Expired")


def _order(params: dict[str, str]) -> Order:
    values = orjson.loads(params["TemplateParam"])
    mobile = params["PhoneNumbers"]
    if (params["SignName"], params["TemplateCode"]) != (SIGN_NAME, TEMPLATE):
        raise Refused("isv.SMS_TEMPLATE_ILLEGAL")
    if not (len(mobile) == 11 and mobile.isdecimal()):
        raise Refused("isv.MOBILE_NUMBER_ILLEGAL")
    if values.keys() != {"code", "minutes"} or not all(isinstance(value, str) for value in values.values()):
        raise Refused("isv.TEMPLATE_MISSING_PARAMETERS")
    return Order(params["OutId"], mobile, values)

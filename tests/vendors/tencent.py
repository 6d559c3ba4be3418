"""Stands in for Tencent Cloud. TC3-HMAC-SHA256 is checked by the words of the document, with code of its own."""

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from tornado.httputil import HTTPServerRequest

from tests.vendors.standin import Order, Refused, StandIn, Taken

SECRET_ID, SECRET = "testid", "testsecretkey"
APP_ID, SIGN_NAME, TEMPLATE = "1400000000", "测试", "1"
_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<date>[0-9-]{10})/sms/tc3_request, "
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass
class TencentStandIn(StandIn):
    """Takes the same order again as a new one. Both shapes of a refusal: of a request, and of a number in it."""

    name: ClassVar[str] = "tencent"

    def environ(self) -> dict[str, str]:
        return {
            "SMS_TENCENT_SECRET_ID": SECRET_ID,
            "SMS_TENCENT_SECRET_KEY": SECRET,
            "SMS_TENCENT_SDK_APP_ID": APP_ID,
            "SMS_TENCENT_SIGN_NAME": SIGN_NAME,
            "SMS_TENCENT_TEMPLATE_ID": TEMPLATE,
            "SMS_TENCENT_URL": self.url,
        }

    def check(self, request: HTTPServerRequest) -> Order:
        headers = request.headers
        if request.method != "POST" or request.uri != "/":
            raise Refused("InvalidAction")
        if (headers.get("X-TC-Action"), headers.get("X-TC-Version")) != ("SendSms", "2021-01-11"):
            raise Refused("NoSuchVersion")
        if headers.get("X-TC-Region") != "ap-guangzhou":
            raise Refused("UnsupportedRegion")
        _check_signature(request)
        return _order(orjson.loads(request.body))

    def thanks(self, message_id: str) -> dict[str, Any]:
        return self._answer("Ok", SerialNo=message_id, Fee=1)

    def refusal(self, code: str) -> tuple[int, dict[str, Any]]:
        if code.startswith(("FailedOperation", "LimitExceeded", "InvalidParameterValue")):
            return 200, self._answer(code, SerialNo="", Fee=0)
        return 200, {"Response": {"Error": {"Code": code, "Message": "refused"}, "RequestId": "ed93f3cb"}}

    def receipt(self, taken: Taken, *, delivered: bool, mobile: str) -> tuple[dict[str, str], bytes]:
        report = {
            "user_receive_time": "2026-01-01 12:00:03",
            "nationcode": "86",
            "mobile": mobile,
            "report_status": "SUCCESS" if delivered else "FAIL",
            "errmsg": "DELIVRD" if delivered else "MK:0001",
            "description": "用户短信送达成功" if delivered else "空号",
            "sid": taken.message_id,
        }
        return {"Content-Type": "application/json"}, orjson.dumps([report])

    def _answer(self, code: str, **status: Any) -> dict[str, Any]:
        shown = {"PhoneNumber": "+8615400000001", "SessionContext": "", "Code": code, "Message": "m", "IsoCode": "CN"}
        return {"Response": {"SendStatusSet": [shown | status], "RequestId": "a0aabda6-cf91-4f3e-a81f"}}


def _check_signature(request: HTTPServerRequest) -> None:
    found = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
    timestamp = request.headers.get("X-TC-Timestamp", "")
    if not found or found["names"] != "content-type;host" or not timestamp.isdecimal():
        raise Refused("AuthFailure.InvalidAuthorization")
    if found["id"] != SECRET_ID:
        raise Refused("AuthFailure.SecretIdNotFound")
    date = time.strftime("%Y-%m-%d", time.gmtime(int(timestamp)))
    if abs(time.time() - int(timestamp)) > 300 or date != found["date"]:
        raise Refused("AuthFailure.SignatureExpire")
    if _signature(request, timestamp, date) != found["signature"]:
        raise Refused("AuthFailure.SignatureFailure")


def _signature(request: HTTPServerRequest, timestamp: str, date: str) -> str:
    def mac(key: bytes, text: str) -> bytes:
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    headers = f"content-type:{request.headers['Content-Type'].lower()}\nhost:{request.headers['Host'].lower()}\n"
    payload = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join(["POST", "/", "", headers, "content-type;host", payload])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["TC3-HMAC-SHA256", timestamp, f"{date}/sms/tc3_request", digest])
    return mac(mac(mac(mac(b"TC3" + SECRET.encode(), date), "sms"), "tc3_request"), text).hex()


def _order(body: dict[str, Any]) -> Order:
    numbers, params = body["PhoneNumberSet"], body["TemplateParamSet"]
    if (body["SmsSdkAppId"], body["SignName"], body["TemplateId"]) != (APP_ID, SIGN_NAME, TEMPLATE):
        raise Refused("FailedOperation.TemplateIncorrectOrUnapproved")
    if len(numbers) != 1 or not re.fullmatch(r"\+86[0-9]{11}", numbers[0]):
        raise Refused("InvalidParameterValue.IncorrectPhoneNumber")
    if len(params) != 2 or not all(isinstance(param, str) for param in params):
        raise Refused("FailedOperation.TemplateParamSetNotMatchApprovedTemplate")
    return Order(body["SessionContext"], numbers[0].removeprefix("+86"), {"code": params[0], "minutes": params[1]})

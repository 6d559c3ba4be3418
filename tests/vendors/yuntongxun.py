"""Stands in for Yuntongxun. Its signature is checked by the words of the REST document, with code of its own."""

import base64
import binascii
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
from tornado.httputil import HTTPServerRequest

from tests.vendors.standin import Order, Refused, StandIn, Taken

SID, TOKEN = "a" * 32, "b" * 32
APP_ID, TEMPLATE_ID = "app-1", "1"


@dataclass
class YuntongxunStandIn(StandIn):
    """Knows a repeated `reqId`, as its error table suggests."""

    name: ClassVar[str] = "yuntongxun"
    knows_repeats: ClassVar[bool] = True

    def environ(self) -> dict[str, str]:
        return {
            "SMS_YUNTONGXUN_ACCOUNT_SID": SID,
            "SMS_YUNTONGXUN_AUTH_TOKEN": TOKEN,
            "SMS_YUNTONGXUN_APP_ID": APP_ID,
            "SMS_YUNTONGXUN_TEMPLATE_ID": TEMPLATE_ID,
            "SMS_YUNTONGXUN_URL": self.url,
        }

    def check(self, request: HTTPServerRequest) -> Order:
        if request.method != "POST" or request.path != f"/2013-12-26/Accounts/{SID}/SMS/TemplateSMS":
            raise Refused("111101")
        _check_signature(request)
        if request.headers.get("Accept") != "application/json":
            raise Refused("111102")
        if request.headers.get("Content-Type") != "application/json;charset=utf-8":
            raise Refused("111103")
        return _order(orjson.loads(request.body))

    def thanks(self, message_id: str) -> dict[str, Any]:
        return {
            "statusCode": "000000",
            "templateSMS": {"smsMessageSid": message_id, "dateCreated": "20130201155306"},
        }

    def refusal(self, code: str) -> tuple[int, dict[str, Any]]:
        return 200, {"statusCode": code, "statusMsg": "【账号】请求失败"}

    def answer_repeat(self, message_id: str) -> tuple[int, dict[str, Any]]:
        return self.refusal("160056")

    def receipt(self, taken: Taken, *, delivered: bool, mobile: str) -> tuple[dict[str, str], bytes]:
        report = {
            "action": "SMSArrived",
            "smsType": "1",
            "apiVersion": "2013-12-26",
            "content": taken.message_id,
            "fromNum": mobile,
            "dateSent": "20260101120000",
            "deliverCode": "DELIVRD" if delivered else "UNDELIV",
            "recvTime": "20260101120003",
            "status": "0" if delivered else "1",
            "reqId": taken.key,
            "smsCount": "1",
        }
        return {"Content-Type": "application/json;charset=utf-8"}, orjson.dumps({"Request": report})


def _check_signature(request: HTTPServerRequest) -> None:
    try:
        sid, _, timestamp = base64.b64decode(request.headers["Authorization"], validate=True).decode().partition(":")
        sent = datetime.strptime(timestamp + "+0800", "%Y%m%d%H%M%S%z")
    except (KeyError, ValueError, binascii.Error):
        raise Refused("111108") from None
    digest = hashlib.md5((SID + TOKEN + timestamp).encode("ascii")).digest()
    expected = "".join(f"{byte:02X}" for byte in digest)
    if sid != SID or request.query != f"sig={expected}":
        raise Refused("111109")
    if abs(datetime.fromtimestamp(time.time(), UTC) - sent).total_seconds() > 600:
        raise Refused("111113")


def _order(body: dict[str, Any]) -> Order:
    to, datas = body["to"], body["datas"]
    if (body["appId"], body["templateId"]) != (APP_ID, TEMPLATE_ID):
        raise Refused("160032")
    if not (isinstance(to, str) and len(to) == 11 and to.isdecimal()):
        raise Refused("160042")
    if not (len(datas) == 2 and all(isinstance(data, str) for data in datas)):
        raise Refused("160052")
    return Order(body["reqId"], to, {"code": datas[0], "minutes": datas[1]})

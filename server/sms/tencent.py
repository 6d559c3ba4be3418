"""Tencent Cloud (腾讯云): SMS 2021-01-11, SendSms.

https://cloud.tencent.com/document/api/382/55981, errors: https://cloud.tencent.com/document/api/382/59177
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from server.clock import Clock
from server.sms.answers import fail_by_status, kinds, message_id, plain_code, read_object
from server.sms.http import VendorHttp
from server.sms.options import ProviderOptions
from server.sms.provider import FailureKind, Receipt, ReceiptReader, SendFailed, SendResult, Sms
from server.sms.receipts import Row, field_of, mobile_of, name_of, read_each, read_json_rows

_CONTENT_TYPE = "application/json; charset=utf-8"
_KINDS = kinds(
    limit_user="LimitExceeded.DeliveryFrequencyLimit LimitExceeded.PhoneNumberDailyLimit "
    "LimitExceeded.PhoneNumberOneHourLimit LimitExceeded.PhoneNumberSameContentDailyLimit "
    "LimitExceeded.PhoneNumberThirtySecondLimit",
    limit_service="FailedOperation.InsufficientBalanceInSmsPackage UnauthorizedOperation.ServiceSuspendDueToArrears",
    permanent="FailedOperation.PhoneNumberInBlacklist InvalidParameterValue.IncorrectPhoneNumber",
    # Both mean that the vendor itself waited in vain on the way to the carrier.
    unknown="InternalError.SendAndRecvFail InternalError.Timeout",
    config="InternalError.RequestTimeException InternalError.SigFieldMissing InternalError.SigVerificationFail "
    "InternalError.RestApiInterfaceNotExist InternalError.JsonParseFail",
)
# What the first word of a code says of all that are not listed.
_FAMILIES: dict[str, FailureKind] = {
    "InternalError": "transient",
    "LimitExceeded": "limit_service",
    "RequestLimitExceeded": "transient",
    "ResourceInsufficient": "transient",
    "ResourceUnavailable": "transient",
    "ServiceUnavailable": "transient",
}


def signing_key(secret: str, date: str) -> bytes:
    """The key of one day (UTC)."""
    key = f"TC3{secret}".encode()
    for part in (date, "sms", "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, *, timestamp: int, scope: str, host: str, body: bytes) -> str:
    """TC3-HMAC-SHA256 of exactly these bytes. https://cloud.tencent.com/document/api/382/52072"""
    canonical = (
        f"POST\n/\n\ncontent-type:{_CONTENT_TYPE}\nhost:{host}\n\ncontent-type;host\n"
        f"{hashlib.sha256(body).hexdigest()}"
    )
    text = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.digest(key, text.encode(), "sha256").hex()


class TencentReceipts:
    """Pushed status. https://www.tencentcloud.com/zh/document/api/382/43547"""

    reply = (_CONTENT_TYPE, b'{"result":0,"errmsg":"OK"}')

    def read(self, body: bytes, headers: Mapping[str, str]) -> list[Receipt]:
        """The receipts of a report."""
        return read_each(read_json_rows(body), _receipt)


class Tencent:
    """Template SMS whose variables stand in the order that the operator gives."""

    name = "tencent"
    receipts: ReceiptReader | None = TencentReceipts()

    def __init__(self, options: ProviderOptions, http: VendorHttp, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._secret_id = options.require("SECRET_ID")
        self._secret = options.require("SECRET_KEY")
        self._sender = {"SmsSdkAppId": options.require("SDK_APP_ID"), "SignName": options.require("SIGN_NAME")}
        self._template = options.require("TEMPLATE_ID")
        self._notice_template = options.get("NOTICE_TEMPLATE_ID", "")
        self.notices = bool(self._notice_template)
        self._params = options.names("PARAMS", "code,minutes", among=("code", "minutes"))
        self._url = options.url("URL", "https://sms.tencentcloudapi.com")
        self._headers = {
            "Content-Type": _CONTENT_TYPE,
            "Host": urlsplit(self._url).netloc,
            "X-TC-Action": "SendSms",
            "X-TC-Version": "2021-01-11",
            "X-TC-Region": options.get("REGION", "ap-guangzhou"),
        }
        self._key = ("", b"")

    async def send(self, sms: Sms) -> SendResult:
        """Hand the message over. Tencent knows no idempotency key: `SessionContext` only comes back in its answer."""
        body = orjson.dumps(self._body(sms))
        status, answer = await self._http.post(f"{self._url}/", self._headers | self._signed(body), body)
        return _judge(status, answer)

    def _body(self, sms: Sms) -> dict[str, object]:
        values = {"code": sms.code, "minutes": str(sms.minutes)}
        return {
            "PhoneNumberSet": [f"+86{sms.mobile}"],
            **self._sender,
            "TemplateId": self._template if sms.code else self._notice_template,
            "TemplateParamSet": [values[name] for name in self._params] if sms.code else [],
            "SessionContext": sms.id,
        }

    def _signed(self, body: bytes) -> dict[str, str]:
        timestamp = int(self._clock.now())
        date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
        if self._key[0] != date:
            self._key = (date, signing_key(self._secret, date))
        scope = f"{date}/sms/tc3_request"
        signed = signature(self._key[1], timestamp=timestamp, scope=scope, host=self._headers["Host"], body=body)
        return {
            "X-TC-Timestamp": str(timestamp),
            "Authorization": f"TC3-HMAC-SHA256 Credential={self._secret_id}/{scope}, "
            f"SignedHeaders=content-type;host, Signature={signed}",
        }


def _judge(status: int, body: bytes) -> SendResult:
    """A refusal comes in two shapes: of the whole request in `Error`, of the number in `SendStatusSet`."""
    response = _object(read_object(status, body).get("Response"))
    sent = response.get("SendStatusSet")
    first = _object(sent[0]) if isinstance(sent, list) and sent else {}
    code = plain_code(_object(response.get("Error")).get("Code")) or plain_code(first.get("Code"))
    if not code or (code == "Ok" and status != 200):
        fail_by_status(status)
    if code == "Ok":
        return SendResult(message_id(first.get("SerialNo")))
    kind = _KINDS.get(code) or _FAMILIES.get(code.partition(".")[0], "config")
    raise SendFailed(kind, "refused by Tencent", code)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _receipt(row: Row) -> Receipt:
    status = field_of(row, "report_status")
    if status not in ("SUCCESS", "FAIL"):
        raise ValueError("no status")
    return Receipt(
        message_id=name_of(row, "sid"),
        mobile=mobile_of(row, "mobile"),
        delivered=status == "SUCCESS",
        code=plain_code(field_of(row, "errmsg")),
    )

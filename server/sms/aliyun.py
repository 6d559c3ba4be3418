"""Aliyun (阿里云): Dysmsapi 2017-05-25, SendSms.

https://help.aliyun.com/document_detail/101414.html, errors: https://help.aliyun.com/document_detail/101347.html
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from server.clock import Clock
from server.sms.answers import fail_by_status, kinds, message_id, plain_code, read_object
from server.sms.http import VendorHttp
from server.sms.options import ProviderOptions
from server.sms.provider import FailureKind, Receipt, ReceiptReader, SendFailed, SendResult, Sms
from server.sms.receipts import Row, field_of, mobile_of, name_of, read_each, read_json_rows

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_KINDS = kinds(
    config="isp.RAM_PERMISSION_DENY",
    limit_user="isv.BUSINESS_LIMIT_CONTROL",
    limit_service="isv.AMOUNT_NOT_ENOUGH isv.DAY_LIMIT_CONTROL isv.MONTH_LIMIT_CONTROL isv.OUT_OF_SERVICE",
    transient="InternalError ServiceUnavailable SignatureNonceUsed",
    permanent="isv.MOBILE_NUMBER_ILLEGAL",
)


def canonical_query(params: Mapping[str, str]) -> str:
    """The parameters as they are signed and sent: sorted, percent-encoded as in RFC 3986."""
    return "&".join(f"{quote(key, safe='')}={quote(params[key], safe='')}" for key in sorted(params))


def signature(secret: str, query: str, headers: Mapping[str, str]) -> tuple[str, str]:
    """ACS3-HMAC-SHA256 of a POST without a body: the names that are signed, and the signature.

    https://alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
    """
    signed = sorted(headers)
    names = ";".join(signed)
    lines = "".join(f"{name}:{headers[name]}\n" for name in signed)
    canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{_EMPTY_SHA256}"
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    return names, hmac.digest(secret.encode(), text.encode(), "sha256").hex()


class AliyunReceipts:
    """SmsReport, pushed over HTTP. https://help.aliyun.com/document_detail/101867.html"""

    reply = ("application/json; charset=utf-8", '{"code":0,"msg":"接收成功"}'.encode())

    def read(self, body: bytes, headers: Mapping[str, str]) -> list[Receipt]:
        """The receipts of a report."""
        return read_each(read_json_rows(body), _receipt)


class Aliyun:
    """Template SMS whose variables the operator names."""

    name = "aliyun"
    receipts: ReceiptReader | None = AliyunReceipts()

    def __init__(self, options: ProviderOptions, http: VendorHttp, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._key_id = options.require("ACCESS_KEY_ID")
        self._secret = options.require("ACCESS_KEY_SECRET")
        self._sign_name = options.require("SIGN_NAME")
        self._template = options.require("TEMPLATE_CODE")
        self._notice_template = options.get("NOTICE_TEMPLATE_CODE", "")
        self.notices = bool(self._notice_template)
        self._code_param = options.get("CODE_PARAM", "code")
        self._minutes_param = options.get("MINUTES_PARAM", "")
        self._url = options.url("URL", "https://dysmsapi.aliyuncs.com")
        self._headers = {
            "content-type": "application/x-www-form-urlencoded",
            "host": urlsplit(self._url).netloc,
            "x-acs-action": "SendSms",
            "x-acs-content-sha256": _EMPTY_SHA256,
            "x-acs-version": "2017-05-25",
        }

    async def send(self, sms: Sms) -> SendResult:
        """Hand the message over. Aliyun knows no idempotency key: `OutId` only comes back in the receipt."""
        query = canonical_query(self._params(sms))
        headers = self._headers | {
            "x-acs-date": datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": secrets.token_hex(16),
        }
        names, signed = signature(self._secret, query, headers)
        headers["authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={self._key_id},SignedHeaders={names},Signature={signed}"
        )
        status, answer = await self._http.post(f"{self._url}/?{query}", headers, b"")
        return _judge(status, answer)

    def _params(self, sms: Sms) -> dict[str, str]:
        params = {"SignName": self._sign_name, "OutId": sms.id, "PhoneNumbers": sms.mobile}
        if not sms.code:
            return params | {"TemplateCode": self._notice_template}
        values = {self._code_param: sms.code}
        if self._minutes_param:
            values[self._minutes_param] = str(sms.minutes)
        return params | {"TemplateCode": self._template, "TemplateParam": orjson.dumps(values).decode()}


def _judge(status: int, body: bytes) -> SendResult:
    answer: dict[str, Any] = read_object(status, body)
    code = plain_code(answer.get("Code"))
    if not code or (code == "OK" and status != 200):
        fail_by_status(status)
    if code == "OK":
        return SendResult(message_id(answer.get("BizId")))
    raise SendFailed(_KINDS.get(code) or _kind_of(code), "refused by Aliyun", code)


def _kind_of(code: str) -> FailureKind:
    """`isp.*` and throttling are the vendor's trouble. All else is ours: a key, signature, template or parameter."""
    return "transient" if code.startswith(("isp.", "Throttling")) else "config"


def _receipt(row: Row) -> Receipt:
    if not isinstance(row.get("success"), bool):
        raise ValueError("no success")
    return Receipt(
        message_id=name_of(row, "biz_id"),
        mobile=mobile_of(row, "phone_number"),
        delivered=row["success"],
        code=plain_code(field_of(row, "err_code")),
        reference=field_of(row, "out_id"),
    )

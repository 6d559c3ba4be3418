"""Yuntongxun (容联云通讯, Cloopen): template SMS over REST 2013-12-26.

http://doc.yuntongxun.com/p/5a533de33b8496dd00dce07c
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree

import orjson

from server.clock import Clock
from server.sms.answers import fail_by_status, kinds, message_id, plain_code, read_object
from server.sms.http import VendorHttp
from server.sms.options import ProviderOptions
from server.sms.provider import Receipt, ReceiptReader, SendFailed, SendResult, Sms
from server.sms.receipts import Row, field_of, mobile_of, name_of, read_each

_HOSTS = {"production": "https://app.cloopen.com:8883", "sandbox": "https://sandboxapp.cloopen.com:8883"}
_CHINA = timezone(timedelta(hours=8))  # the vendor reads the timestamp as its own local time
_ACCEPTED, _REPEATED = "000000", "160056"
_KINDS = kinds(
    limit_user="160021 160022 160038 160039 160040 160041 160054 160056",
    limit_service="110007 110129 112314 121002 160014",
    transient="160000 160001 160002 160003 160004 160005 160006 160007 160008 160009 160010 160016 160050",
    permanent="112317 160034 160042",
    # The rest is an account, app, template, address or request that will not do. So is a code that is not listed: it
    # was refused for certain, another provider may take it, and an operator should look.
    config="111109 111141 111177 111180 111181 111182 112300 112303 112306 112307 112308 112310 112311 112323 113302 "
    "160031 160032 160033 160043 160048 160049 160052 160053",
)


def signature(account_sid: str, auth_token: str, timestamp: str) -> str:
    """The `sig` of a request; upper case is required."""
    secret = f"{account_sid}{auth_token}{timestamp}".encode()
    return hashlib.md5(secret, usedforsecurity=False).hexdigest().upper()


class YuntongxunReceipts:
    """状态报告, its format to confirm with the vendor: JSON or XML, with or without the outer `Request`."""

    reply = ("application/json;charset=utf-8", b'{"statusCode":"000000"}')

    def read(self, body: bytes, headers: Mapping[str, str]) -> list[Receipt]:
        """The receipt in a report; none in a reply by the person (`smsType` 0)."""
        rows = [row for row in _rows(body) if field_of(row, "smsType") != "0"]
        return read_each(rows, _receipt)


class Yuntongxun:
    """Template SMS with the variables {1} code and {2} minutes."""

    name = "yuntongxun"
    receipts: ReceiptReader | None = YuntongxunReceipts()

    def __init__(self, options: ProviderOptions, http: VendorHttp, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._sid = options.require("ACCOUNT_SID")
        self._token = options.require("AUTH_TOKEN")
        host = options.one_of("HOST", *_HOSTS)
        base = options.url("URL", _HOSTS[host])
        self._url = f"{base}/2013-12-26/Accounts/{self._sid}/SMS/TemplateSMS?sig="
        self._app_id = options.require("APP_ID")
        self._template = options.require("TEMPLATE_ID")
        self._notice_template = options.get("NOTICE_TEMPLATE_ID", "")
        self.notices = bool(self._notice_template)
        if not re.fullmatch("[A-Za-z0-9]+", self._sid):
            raise options.fault("ACCOUNT_SID", "must be letters and digits")

    async def send(self, sms: Sms) -> SendResult:
        """Hand the message over."""
        timestamp = datetime.fromtimestamp(self._clock.now(), _CHINA).strftime("%Y%m%d%H%M%S")
        status, answer = await self._http.post(
            self._url + signature(self._sid, self._token, timestamp),
            {
                "Accept": "application/json",
                "Content-Type": "application/json;charset=utf-8",
                "Authorization": base64.b64encode(f"{self._sid}:{timestamp}".encode()).decode(),
            },
            orjson.dumps(self._body(sms)),
        )
        return _judge(sms, status, answer)

    def _body(self, sms: Sms) -> dict[str, object]:
        # `reqId`, by which the vendor knows a repeated request, is to confirm with the vendor.
        template, datas = self._template, [sms.code, str(sms.minutes)]
        if not sms.code:
            template, datas = self._notice_template, []
        return {"to": sms.mobile, "appId": self._app_id, "templateId": template, "datas": datas, "reqId": sms.id}


def _judge(sms: Sms, status: int, body: bytes) -> SendResult:
    answer = read_object(status, body)
    code = plain_code(answer.get("statusCode"))
    if not code or (code == _ACCEPTED and status != 200):
        fail_by_status(status)
    if code == _ACCEPTED:
        sent = answer.get("templateSMS")
        return SendResult(message_id(sent.get("smsMessageSid")) if isinstance(sent, dict) else "")
    if code == _REPEATED and sms.repeated:
        return SendResult("")  # The try whose answer got lost was taken.
    raise SendFailed(_KINDS.get(code, "config"), "refused by Yuntongxun", code)


def _rows(body: bytes) -> list[Row]:
    text = body.decode()  # UTF-8 and nothing else, so that no other encoding hides a declaration
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return [_xml_row(text.strip("\ufeff \t\r\n"))]
    found = orjson.loads(text)
    if isinstance(found, dict):
        found = found.get("Request", found)
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a report")
    return rows


def _xml_row(text: str) -> Row:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("XML with a document type")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities, the danger here, were refused above
    except ElementTree.ParseError as fault:
        raise ValueError(f"not XML: {fault}") from None
    return {element.tag: element.text or "" for element in root.iter() if len(element) == 0}


def _receipt(row: Row) -> Receipt:
    status, code = field_of(row, "status"), field_of(row, "deliverCode")
    if not status and not code:
        raise ValueError("no status")
    return Receipt(
        message_id=name_of(row, "content", "smsMessageSid"),
        mobile=mobile_of(row, "fromNum"),
        delivered=status == "0" or code == "DELIVRD",
        code=plain_code(code or status),
        reference=field_of(row, "reqId"),
    )

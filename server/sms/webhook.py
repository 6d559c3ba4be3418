"""A webhook of the operator's own, signed as Standard Webhooks 1.0.0 says: https://www.standardwebhooks.com"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import orjson

from server.clock import Clock
from server.signing import read_secret, signature, signed_headers
from server.sms.answers import fail_by_status, message_id, plain_code, read_object
from server.sms.http import VendorHttp
from server.sms.options import ProviderOptions
from server.sms.provider import FailureKind, Receipt, ReceiptForged, ReceiptReader, SendFailed, SendResult, Sms
from server.sms.receipts import Row, mobile_of, name_of, read_json_rows

TOLERANCE_S = 300
_TAKEN_ALREADY = 409
_REPORTS = ("sms.delivered", "sms.undelivered")


class WebhookReceipts:
    """Signed with the same secret as what we send."""

    reply = ("application/json", b"{}")

    def __init__(self, key: bytes, *, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def read(self, body: bytes, headers: Mapping[str, str]) -> list[Receipt]:
        """The receipt in a report; ReceiptForged unless we know who wrote it, and that it is not five minutes old."""
        self._require_signature(body, headers)
        return [_receipt(row) for row in read_json_rows(body) if row.get("type") in _REPORTS]

    def _require_signature(self, body: bytes, headers: Mapping[str, str]) -> None:
        name, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12 and name):
            raise ReceiptForged("no id or timestamp")
        if abs(self._clock.now() - int(timestamp)) > TOLERANCE_S:
            raise ReceiptForged("too old")
        right = signature(self._key, name, timestamp, body).encode()
        given = headers.get("webhook-signature", "").encode().split(b" ")
        if not any(hmac.compare_digest(right, one) for one in given):
            raise ReceiptForged("no signature of ours")


class Webhook:
    """Every message is posted with its text and its code; the receiver sends it as it likes."""

    name = "webhook"
    receipts: ReceiptReader | None
    notices = True

    def __init__(self, options: ProviderOptions, http: VendorHttp, *, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._url = options.url("URL")
        self._key = _key_of(options)
        self.receipts = WebhookReceipts(self._key, clock=clock)

    async def send(self, sms: Sms) -> SendResult:
        """Hand the message over. The `webhook-id` is its idempotency key: the receiver sends each only once."""
        now = int(self._clock.now())
        body = orjson.dumps(_event(sms, now))
        headers = signed_headers(self._key, sms.id, str(now), body)
        status, answer = await self._http.post(self._url, headers, body)
        return _judge(sms, status, answer)


def _key_of(options: ProviderOptions) -> bytes:
    text = options.require("SECRET")
    try:
        return read_secret(text)
    except ValueError as fault:
        raise options.fault("SECRET", str(fault)) from None


def _event(sms: Sms, now: int) -> dict[str, object]:
    return {
        "id": sms.id,
        "type": "sms.send",
        "timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
        "data": {
            "mobile": sms.mobile,
            "purpose": sms.purpose,
            "code": sms.code,
            "minutes": sms.minutes,
            "text": sms.text,
            "locale": sms.locale,
        },
    }


def _judge(sms: Sms, status: int, body: bytes) -> SendResult:
    if status == _TAKEN_ALREADY and sms.repeated:
        return SendResult(sms.id)
    if 200 <= status < 300 and not body:
        return SendResult(sms.id)
    answer = read_object(status, body)
    if "error" in answer:
        _fail_as_told(status, answer)
    if not 200 <= status < 300:
        fail_by_status(status)
    name = message_id(answer.get("message_id", sms.id))
    if not name:
        fail_by_status(status)
    return SendResult(name)


def _fail_as_told(status: int, answer: dict[str, Any]) -> None:
    kind = answer["error"]
    if kind not in get_args(FailureKind):
        fail_by_status(status)
    raise SendFailed(kind, "refused by the webhook", plain_code(answer.get("code")))


def _receipt(row: Row) -> Receipt:
    data = row.get("data")
    if not isinstance(data, dict):
        raise ValueError("no data")
    return Receipt(
        message_id=name_of(data, "message_id"),
        mobile=mobile_of(data, "mobile"),
        delivered=row["type"] == "sms.delivered",
        code=plain_code(data.get("code")),
    )

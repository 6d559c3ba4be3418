"""Receipts in the shapes that vendors send, and in those that nobody should."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from server.sms.provider import Receipt, ReceiptForged, ReceiptReader
from tests.helpers import MOBILE, FakeClock
from tests.sms.support import ScriptedHttp, build
from tests.vendors import STAND_INS, Taken
from tests.vendors.webhook import sign

SID = "ff8080813c37da53013c8054f567007e"


def reader_of(name: str, clock: FakeClock | None = None) -> ReceiptReader:
    provider = build(name, STAND_INS[name](port=9).environ(), ScriptedHttp(200, b""), clock)
    assert provider.receipts is not None
    return provider.receipts


def read(name: str, report: Any, headers: Mapping[str, str] | None = None) -> list[Receipt]:
    body = report if isinstance(report, bytes) else json.dumps(report, ensure_ascii=False).encode()
    return reader_of(name).read(body, headers or {})


@pytest.mark.parametrize("name", STAND_INS)
@pytest.mark.parametrize("delivered", [True, False])
def test_what_a_vendor_reports_is_read(name: str, delivered: bool) -> None:
    """Whose it is, for which mobile, and whether it arrived."""
    taken = Taken(key="our-id", mobile=MOBILE, params={}, message_id="m-1", at=0, repeat=False)
    headers, body = STAND_INS[name]().receipt(taken, delivered=delivered, mobile=MOBILE)
    (receipt,) = read(name, body, HTTPHeaders(headers))
    assert (receipt.message_id, receipt.mobile, receipt.delivered) == ("m-1", MOBILE, delivered)
    assert receipt.code
    assert receipt.reference == ("our-id" if name in ("yuntongxun", "aliyun") else "")


@pytest.mark.parametrize(
    "name, reply",
    [
        ("yuntongxun", {"statusCode": "000000"}),
        ("aliyun", {"code": 0, "msg": "接收成功"}),
        ("tencent", {"result": 0, "errmsg": "OK"}),
        ("webhook", {}),
    ],
)
def test_a_vendor_is_thanked_in_its_own_words(name: str, reply: Any) -> None:
    """Others would send the report again."""
    kind, body = reader_of(name).reply
    assert kind.startswith("application/json")
    assert json.loads(body) == reply


# Yuntongxun: JSON as a public sample has it, XML as its older form.
REPORT = {
    "action": "SMSArrived",
    "smsType": "1",
    "apiVersion": "2013-12-26",
    "content": SID,
    "fromNum": MOBILE,
    "dateSent": "20260101120000",
    "deliverCode": "DELIVRD",
    "recvTime": "20260101120003",
    "status": "0",
    "reqId": "our-id",
    "smsCount": "1",
}


def as_xml(report: dict[str, str], root: str = "Request") -> bytes:
    fields = "".join(f"  <{name}>{value}</{name}>\n" for name, value in report.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>\n{fields}</{root}>'.encode()


SHAPES: dict[str, bytes] = {
    "json in Request": json.dumps({"Request": REPORT}).encode(),
    "json alone": json.dumps(REPORT).encode(),
    "json as a list": json.dumps([REPORT]).encode(),
    "json with numbers": json.dumps(REPORT | {"status": 0, "smsType": 1, "fromNum": int(MOBILE)}).encode(),
    "json by smsMessageSid": json.dumps({**REPORT, "content": "", "smsMessageSid": SID}).encode(),
    "json by deliverCode alone": json.dumps({k: v for k, v in REPORT.items() if k != "status"}).encode(),
    "xml": as_xml(REPORT),
    "xml with another root": as_xml(REPORT, "Report"),
    "xml without declaration": as_xml(REPORT).split(b"\n", 1)[1],
    "xml with a byte order mark": b"\xef\xbb\xbf" + as_xml(REPORT),
    "xml within": b"<Outer>" + as_xml(REPORT).split(b"\n", 1)[1] + b"</Outer>",
    "xml in CDATA": as_xml(REPORT | {"content": f"<![CDATA[{SID}]]>"}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_yuntongxun_is_read_in_every_shape(shape: str) -> None:
    """Its page was not to be had, so all that may come is taken."""
    receipt = Receipt(SID, MOBILE, delivered=True, code="DELIVRD", reference="our-id")
    assert read("yuntongxun", SHAPES[shape]) == [receipt]


@pytest.mark.parametrize("status, code, why", [("1", "UNDELIV", "UNDELIV"), ("2", "", "2"), ("", "MK:1", "MK:1")])
def test_yuntongxun_says_when_it_did_not_arrive(status: str, code: str, why: str) -> None:
    """And why."""
    (receipt,) = read("yuntongxun", as_xml(REPORT | {"status": status, "deliverCode": code}))
    assert not receipt.delivered
    assert receipt.code == why


@pytest.mark.parametrize("body", [as_xml(REPORT | {"smsType": "0"}), json.dumps(REPORT | {"smsType": 0}).encode()])
def test_yuntongxun_also_passes_on_what_people_reply(body: bytes) -> None:
    """That is no receipt, and no fault."""
    assert read("yuntongxun", body) == []


LAUGHS = '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + as_xml(REPORT).decode().split("\n", 1)[1]


@pytest.mark.parametrize(
    "body",
    [
        LAUGHS.encode(),
        LAUGHS.encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-16"?>' + LAUGHS.encode("utf-16-le"),
        b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>',
        b"<Request>",
        b"<Request/>",
        as_xml({k: v for k, v in REPORT.items() if k not in ("status", "deliverCode")}),
        as_xml(REPORT | {"content": ""}),
        as_xml(REPORT | {"fromNum": "12345"}),
        b"",
        b"\xff\xfe",
        b"a=b&c=d",
        b"[1]",
        b"null",
        b"{}",
    ],
)
def test_yuntongxun_what_cannot_be_read_is_said_so(body: bytes) -> None:
    """A document type is refused before anything is parsed, in every encoding."""
    with pytest.raises(ValueError, match=r"."):
        read("yuntongxun", body)


ALIYUN = {
    "phone_number": MOBILE,
    "send_time": "2017-01-01 00:00:00",
    "report_time": "2017-01-01 00:00:00",
    "success": True,
    "err_code": "DELIVERED",
    "err_msg": "用户接收成功",
    "sms_size": "1",
    "biz_id": "12345^0",
    "out_id": "our-id",
}
TENCENT = {
    "user_receive_time": "2015-10-17 08:03:04",
    "nationcode": "86",
    "mobile": MOBILE,
    "report_status": "SUCCESS",
    "errmsg": "DELIVRD",
    "description": "用户短信送达成功",
    "sid": "2019:538686828-1",
}


def test_a_report_may_hold_many() -> None:
    """In their order."""
    receipts = read("aliyun", [ALIYUN | {"biz_id": str(n), "success": n % 2 == 0} for n in range(100)])
    assert [(receipt.message_id, receipt.delivered) for receipt in receipts] == [
        (str(n), n % 2 == 0) for n in range(100)
    ]


@pytest.mark.parametrize(
    "name, row, bad",
    [
        ("aliyun", ALIYUN, {"phone_number": "4915112345678"}),
        ("aliyun", ALIYUN, {"success": "true"}),
        ("aliyun", ALIYUN, {"biz_id": None}),
        ("aliyun", ALIYUN, {"biz_id": "x" * 129}),
        ("tencent", TENCENT, {"mobile": ["1"]}),
        ("tencent", TENCENT, {"report_status": "MAYBE"}),
        ("tencent", TENCENT, {"sid": {}}),
    ],
)
def test_a_bad_row_does_not_lose_its_neighbours(name: str, row: dict[str, Any], bad: dict[str, Any]) -> None:
    """But a report of nothing else is said to be unreadable."""
    assert len(read(name, [row, row | bad, row])) == 2
    with pytest.raises(ValueError, match=r"."):
        read(name, [row | bad])


@pytest.mark.parametrize("name", ["aliyun", "tencent"])
@pytest.mark.parametrize("body", [b"", b"[1]", b'"x"', b"[[]]", b"{", b"\xff", b"[" * 5000, b"<a/>"])
def test_what_is_no_report_is_said_so(name: str, body: bytes) -> None:
    """Never taken for an empty one."""
    with pytest.raises(ValueError, match=r"."):
        read(name, body)


@pytest.mark.parametrize("name", ["aliyun", "tencent"])
def test_an_empty_report_is_one(name: str) -> None:
    """Consoles test an address so."""
    assert read(name, []) == []


@pytest.mark.parametrize("mobile", [MOBILE, f"86{MOBILE}", f"+86{MOBILE}", f"0086{MOBILE}", int(MOBILE)])
def test_a_mobile_comes_in_many_spellings(mobile: str | int) -> None:
    """And leaves in eleven digits."""
    assert read("tencent", [TENCENT | {"mobile": mobile}])[0].mobile == MOBILE
    assert read("aliyun", [ALIYUN | {"phone_number": mobile}])[0].mobile == MOBILE
    assert read("yuntongxun", REPORT | {"fromNum": mobile})[0].mobile == MOBILE


class TestWebhook:
    """What says that a report is the receiver's."""

    clock = FakeClock()

    def body(self, **data: Any) -> bytes:
        told = {"message_id": "m-1", "mobile": MOBILE, "code": "DELIVRD"} | data
        return json.dumps({"type": "sms.delivered", "data": told}).encode()

    def headers(self, body: bytes, *, age_s: float = 0, name: str = "r-1") -> dict[str, str]:
        at = str(int(self.clock.now() - age_s))
        return {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": sign(name, at, body)}

    def read(self, body: bytes, headers: Mapping[str, str]) -> list[Receipt]:
        return reader_of("webhook", self.clock).read(body, headers)

    def test_pv_4_signed_by_one_of_several_is_signed(self) -> None:
        """So that a secret can be changed."""
        body = self.body()
        headers = self.headers(body)
        headers["webhook-signature"] = f"v1a,x v1,AAAA {headers['webhook-signature']} v1,é"
        assert self.read(body, headers) == [Receipt("m-1", MOBILE, delivered=True, code="DELIVRD")]

    @pytest.mark.parametrize("age_s, good", [(299, True), (301, False), (-298, True), (-302, False)])
    def test_pv_4_it_is_good_for_five_minutes(self, age_s: float, good: bool) -> None:
        """To both sides, as clocks differ."""
        body = self.body()
        if good:
            assert self.read(body, self.headers(body, age_s=age_s))
        else:
            with pytest.raises(ReceiptForged, match="too old"):
                self.read(body, self.headers(body, age_s=age_s))

    @pytest.mark.parametrize(
        "change",
        [
            {"webhook-signature": ""},
            {"webhook-signature": "v1,"},
            {"webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()},
            {"webhook-id": "r-2"},
            {"webhook-id": ""},
            {"webhook-timestamp": ""},
            {"webhook-timestamp": "now"},
            {"webhook-timestamp": "-1"},
            {"webhook-timestamp": "9" * 400},
            {"webhook-timestamp": "1" + "²"},
            {"webhook-timestamp": "0"},
        ],
    )
    def test_pv_4_anything_else_is_forged(self, change: dict[str, str]) -> None:
        """Whatever the body says."""
        body = self.body()
        with pytest.raises(ReceiptForged):
            self.read(body, self.headers(body) | change)

    def test_pv_4_the_very_bytes_are_signed(self) -> None:
        """The same JSON with another space is not the same."""
        body = self.body()
        with pytest.raises(ReceiptForged):
            self.read(body + b" ", self.headers(body))

    def test_pv_4_headers_are_required(self) -> None:
        """All three."""
        body = self.body()
        for name in self.headers(body):
            headers = self.headers(body)
            del headers[name]
            with pytest.raises(ReceiptForged):
                self.read(body, headers)

    @pytest.mark.parametrize("kind, receipts", [("sms.delivered", 1), ("sms.undelivered", 1), ("sms.replied", 0)])
    def test_other_reports_are_passed_over(self, kind: str, receipts: int) -> None:
        """They are the receiver's own affair."""
        body = json.dumps({"type": kind, "data": {"message_id": "m-1", "mobile": MOBILE}}).encode()
        found = self.read(body, self.headers(body))
        assert len(found) == receipts
        assert [receipt.delivered for receipt in found] == [kind == "sms.delivered"] * receipts

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[1]",
            b'{"type": "sms.delivered"}',
            b'{"type": "sms.delivered", "data": []}',
            b'{"type": "sms.delivered", "data": {"mobile": "15400000001"}}',
            b'{"type": "sms.delivered", "data": {"message_id": "m-1"}}',
        ],
    )
    def test_a_signed_report_that_cannot_be_read_is_said_so(self, body: bytes) -> None:
        """The receiver's programmer should see it."""
        with pytest.raises(ValueError, match=r"."):
            self.read(body, self.headers(body))

    def test_a_type_that_is_no_text_is_passed_over(self) -> None:
        """As any other that we do not know."""
        body = b'{"type": ["sms.delivered"], "data": {}}'
        assert self.read(body, self.headers(body)) == []

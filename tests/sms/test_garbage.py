"""Whatever a vendor answers or reports, no other exception comes of it than those that are promised."""

import time
from collections.abc import Coroutine
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.sms import PROVIDERS
from server.sms.provider import Receipt, ReceiptForged, SendFailed, SendResult
from tests.sms.support import MOBILE, ScriptedHttp, an_sms, build, finish
from tests.vendors import STAND_INS
from tests.vendors.webhook import sign

NAMES = [
    *(
        "statusCode",
        "templateSMS",
        "smsMessageSid",
        "Code",
        "BizId",
        "Response",
        "SendStatusSet",
        "SerialNo",
        "Error",
    ),
    *("message_id", "error", "code", "Request", "content", "fromNum", "status", "deliverCode", "smsType", "reqId"),
    *("phone_number", "success", "biz_id", "out_id", "err_code", "mobile", "report_status", "sid", "type", "data"),
]
WORDS = [
    "000000",
    "160056",
    "OK",
    "Ok",
    "0",
    "1",
    "DELIVRD",
    "SUCCESS",
    "FAIL",
    "limit_user",
    "sms.delivered",
    MOBILE,
]
LEAVES = st.none() | st.booleans() | st.integers(-9, 2**53) | st.floats(allow_nan=False) | st.sampled_from(WORDS)
SHAPES = st.recursive(
    LEAVES | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=20,
)
BODIES = st.binary(max_size=200) | SHAPES.map(orjson.dumps) | st.text(max_size=100).map(lambda text: text.encode())


@pytest.mark.parametrize("name", PROVIDERS)
@given(status=st.integers(200, 599), body=BODIES, repeated=st.booleans())
@settings(max_examples=200, deadline=None)
def test_pv_6_every_answer_is_a_result_or_a_failure(name: str, status: int, body: bytes, repeated: bool) -> None:
    """With an id that fits and a code that may be logged."""
    provider = build(name, STAND_INS[name](port=9).environ(), ScriptedHttp(status, body))
    outcome = outcome_of(provider.send(an_sms(repeated=repeated)))
    if isinstance(outcome, SendFailed):
        assert len(outcome.code) <= 64
        assert MOBILE not in str(outcome)
    else:
        assert isinstance(outcome, SendResult)
        assert len(outcome.message_id) <= 128


def outcome_of(sending: Coroutine[Any, Any, SendResult]) -> Any:
    try:
        return finish(sending)
    except SendFailed as failed:
        return failed


@pytest.mark.parametrize("name", PROVIDERS)
@given(body=BODIES, xml=st.booleans(), signed=st.booleans())
@settings(max_examples=200, deadline=None)
def test_pv_4_every_report_is_read_or_refused(name: str, body: bytes, xml: bool, signed: bool) -> None:
    """Each receipt names a message and a mobile."""
    body = b"<Request>" + body + b"</Request>" if xml else body
    now = str(int(time.time()))
    headers = {
        "webhook-id": "r",
        "webhook-timestamp": now,
        "webhook-signature": sign("r", now, body) * signed,
    }
    receipts = build(name, STAND_INS[name](port=9).environ(), ScriptedHttp(200, b"")).receipts
    assert receipts is not None
    try:
        found = receipts.read(body, headers)
    except (ValueError, ReceiptForged):
        return
    assert all(isinstance(receipt, Receipt) and receipt.message_id and len(receipt.mobile) == 11 for receipt in found)

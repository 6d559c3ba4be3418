"""The receiver in docs/examples, as somebody would start it."""

import asyncio
import base64
import hashlib
import hmac
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.testing import bind_unused_port

from server.signing import signature as sign
from server.sms.http import VendorHttp
from server.sms.provider import Receipt, SendResult
from tests.helpers import ROOT
from tests.sms.support import MOBILE, an_sms, build, failure_of
from tests.vendors.faults import answer
from tests.vendors.webhook import KEY, SECRET

OTHER = "whsec_" + "A" * 43 + "="


@pytest.mark.gen_test(timeout=30)
async def test_the_documented_receiver_works() -> None:
    """It takes ours, sends a repeated one once, reports it so that we believe it, and refuses what is not ours."""
    reported: asyncio.Future[HTTPServerRequest] = asyncio.get_running_loop().create_future()
    listener, port = bind_unused_port()
    receipts = HTTPServer(lambda request: (reported.set_result(request), answer(request, 200, {})))
    receipts.add_sockets([listener])
    receiver = await asyncio.create_subprocess_exec(
        *(sys.executable, "docs/examples/sms_webhook.py", "0", f"http://127.0.0.1:{port}/"),
        cwd=ROOT,
        env=dict(os.environ) | {"SMS_WEBHOOK_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
    )
    http = VendorHttp()
    try:
        assert receiver.stdout is not None
        url = (await receiver.stdout.readline()).decode().split()[-1]
        ours = build("webhook", {"SMS_WEBHOOK_URL": url, "SMS_WEBHOOK_SECRET": SECRET}, http)
        theirs = build("webhook", {"SMS_WEBHOOK_URL": url, "SMS_WEBHOOK_SECRET": OTHER}, http)
        assert (await failure_of(theirs)).kind == "config"
        for _ in range(2):
            assert await ours.send(an_sms()) == SendResult(an_sms().id)
        report = await reported
        assert ours.receipts is not None
        assert ours.receipts.read(report.body, report.headers) == [
            Receipt(an_sms().id, MOBILE, delivered=True, code="DELIVRD")
        ]
    finally:
        receiver.kill()
        said = (await receiver.stdout.read()).decode()
        await receiver.wait()
        receipts.stop()
        await http.aclose()
    assert said == f"SMS of {len(an_sms().text)} characters for ***0001\n"


def test_the_check_in_the_document_is_the_right_one() -> None:
    """It knows our signature, also beside others, and no other body, time or id."""
    page = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    shown: dict[str, Any] = {"KEY": KEY, "hmac": hmac, "hashlib": hashlib, "base64": base64, "time": time}
    shown["Mapping"] = Mapping
    exec(page.split("```python\n")[1].split("```")[0], shown)
    is_from_haoma = shown["is_from_haoma"]
    assert is_from_haoma(headers(b"{}"), b"{}")
    assert is_from_haoma(headers(b"{}", beside="v1,AAAA "), b"{}")
    assert not is_from_haoma(headers(b"{}"), b"{} ")
    assert not is_from_haoma(headers(b"{}", age_s=302), b"{}")
    assert not is_from_haoma(headers(b"{}") | {"webhook-id": "other"}, b"{}")
    assert not is_from_haoma({}, b"{}")


def headers(body: bytes, *, age_s: int = 0, beside: str = "") -> dict[str, str]:
    at = str(int(time.time()) - age_s)
    return {"webhook-id": "m", "webhook-timestamp": at, "webhook-signature": beside + sign(KEY, "m", at, body)}

"""The receiver in docs/examples, as somebody would start it."""

import asyncio
import os
import sys

import pytest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.testing import bind_unused_port

from server.sms.http import VendorHttp
from server.sms.provider import Receipt, SendResult
from tests.helpers import ROOT
from tests.sms.support import MOBILE, an_sms, build, failure_of
from tests.vendors.faults import answer
from tests.vendors.webhook import SECRET

pytestmark = pytest.mark.gen_test(timeout=30)
OTHER = "whsec_" + "A" * 43 + "="


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

"""The stand-in vendors, as scripts use them: each a process of its own."""

import asyncio
import json
import sys
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.testing import bind_unused_port

from server.sms.http import VendorHttp
from tests.helpers import ROOT
from tests.sms.support import MOBILE, an_sms, build, failure_of
from tests.vendors import STAND_INS
from tests.vendors.faults import answer

pytestmark = pytest.mark.gen_test(timeout=30)


async def ask(url: str, body: Any = None) -> Any:
    method = "GET" if body is None else "POST"
    request = HTTPRequest(url, method=method, body=None if body is None else json.dumps(body))
    return json.loads((await AsyncHTTPClient().fetch(request)).body)


@pytest.mark.parametrize("name", STAND_INS)
async def test_a_stand_in_is_also_a_process(name: str) -> None:
    """It prints its address, takes messages, tells what it took, misbehaves when told, and reports."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.vendors", name, "--latency-ms", "1"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        await use(name, url)
    finally:
        process.kill()
        await process.wait()


async def use(name: str, url: str) -> None:
    http = VendorHttp()
    provider = build(name, STAND_INS[name](port=int(url.rsplit(":", 1)[1])).environ(), http)
    result = await provider.send(an_sms())
    (sent,) = await ask(f"{url}/_sent")
    assert (sent["key"], sent["mobile"], sent["message_id"]) == (an_sms().id, MOBILE, result.message_id)
    assert await ask(f"{url}/_sent?after=1") == []
    await ask(f"{url}/_behave", {"mode": "status", "status": 503, "times": 1})
    assert (await failure_of(provider)).kind == "transient"
    assert await ask(f"{url}/_count") == {"taken": 1, "refused": 0}
    reports: list[bytes] = []
    with_receipts, port = receiver(reports)
    told = {"url": f"http://127.0.0.1:{port}/", "key": an_sms().id, "delivered": False}
    assert await ask(f"{url}/_report", told) == {"status": 200}
    assert result.message_id.encode() in reports[0]
    with_receipts.stop()
    await http.aclose()


def receiver(reports: list[bytes]) -> tuple[HTTPServer, int]:
    """A server that keeps what is posted to it."""

    def keep(request: HTTPServerRequest) -> None:
        reports.append(request.body)
        answer(request, 200, {})

    listener, port = bind_unused_port()
    server = HTTPServer(keep)
    server.add_sockets([listener])
    return server, port

"""Takes SMS from Haoma's provider `webhook`, makes sure that they are Haoma's, and reports what became of them.

    SMS_WEBHOOK_SECRET=whsec_… python docs/examples/sms_webhook.py [port] [https://…/receipts/webhook/<secret>/]

Give Haoma the same secret and `SMS_WEBHOOK_URL=http://127.0.0.1:<port>/sms`. It needs nothing but Python. The
signature is the one of Standard Webhooks, for which there are libraries in most languages.
"""
# ruff: noqa: S310, T201

import base64
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

KEY = base64.b64decode(os.environ["SMS_WEBHOOK_SECRET"].removeprefix("whsec_"))
RECEIPTS_URL = sys.argv[2] if len(sys.argv) > 2 else ""
sent: set[str] = set()  # in earnest a table with a unique key: it must survive a restart


def sign(name: str, timestamp: str, body: bytes) -> str:
    """Over id, timestamp and the raw bytes of the body."""
    signed = hmac.digest(KEY, f"{name}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed).decode()


def is_from_haoma(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures is right, and not five minutes old."""
    name, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > 300:
        return False
    right = sign(name, timestamp, body).encode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(right, one.encode()) for one in given)


def send(sms: dict[str, str]) -> None:
    """Here your own gateway sends it."""
    print(f"SMS of {len(sms['text'])} characters for ***{sms['mobile'][-4:]}", flush=True)


def report(message_id: str, mobile: str) -> None:
    """Tell Haoma that it arrived; `sms.undelivered` if it did not, with the reason in `code`."""
    data = {"message_id": message_id, "mobile": mobile, "code": "DELIVRD"}
    body = json.dumps({"type": "sms.delivered", "data": data}).encode()
    name, now = f"receipt-{message_id}", str(int(time.time()))
    headers = {"webhook-id": name, "webhook-timestamp": now, "webhook-signature": sign(name, now, body)}
    request = urllib.request.Request(RECEIPTS_URL, body, {"Content-Type": "application/json", **headers})
    urllib.request.urlopen(request, timeout=10).close()


class Receiver(BaseHTTPRequestHandler):
    """One message each."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_from_haoma(self.headers, body):  # type: ignore[arg-type]
            self.answer(401, {"error": "config", "code": "signature"})
            return
        event = json.loads(body)
        new = event["id"] not in sent
        if new:
            sent.add(event["id"])
            send(event["data"])
        self.answer(200, {"message_id": event["id"]})  # the same answer to a repeated message
        if new and RECEIPTS_URL:
            report(event["id"], event["data"]["mobile"])

    def answer(self, status: int, told: dict[str, str]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: an access log is no place for what is in here."""


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Receiver)
    print(f"ready on http://127.0.0.1:{server.server_port}/sms", flush=True)
    server.serve_forever()

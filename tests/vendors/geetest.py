"""Stands in for GeeTest, versions 3 and 4. Requests are checked by the words of the documents, by code of its own."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Self

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.netutil import bind_sockets

from tests.vendors import faults

CAPTCHA_ID, KEY = "c9c4facd1a6feeb80802222cbb74ca8e", "0123456789abcdef0123456789abcdef"


@dataclass
class GeetestStandIn:
    """`mode` is ok, refuse (the person fails), error (500), garbage, empty, or hang. `asked` are the paths."""

    mode: str = "ok"
    digest: str = "md5"
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    port: int = 0
    _raw: dict[str, str] = field(default_factory=dict)
    _solved: dict[str, str] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        sockets = bind_sockets(0, "127.0.0.1")
        self._server = HTTPServer(self._on_request)
        self._server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.stop()
        await self._server.close_all_connections()

    def environ(self, provider: str) -> dict[str, str]:
        """The settings with which Haoma speaks to it."""
        return {
            "CAPTCHA_PROVIDER": provider,
            "CAPTCHA_GEETEST_ID": CAPTCHA_ID,
            "CAPTCHA_GEETEST_KEY": KEY,
            "CAPTCHA_GEETEST_DIGEST": self.digest,
            "CAPTCHA_GEETEST_URL": f"http://127.0.0.1:{self.port}",
        }

    # What GeeTest's script does in the browser.

    def solve3(self, challenge: str, more: str = "") -> dict[str, str]:
        """The three fields; `more` is what the sliding kind adds."""
        assert challenge in self._raw, "a challenge that was never registered"
        validate = secrets.token_hex(16)
        self._solved[challenge + more] = validate
        return {
            "geetest_challenge": challenge + more,
            "geetest_validate": validate,
            "geetest_seccode": f"{validate}|jordan",
        }

    def solve4(self) -> dict[str, str]:
        """The four fields."""
        lot, token = secrets.token_hex(16), secrets.token_hex(32)
        self._solved[lot] = token
        return {"lot_number": lot, "captcha_output": "o" * 900, "pass_token": token, "gen_time": "1795400000"}

    # One request.

    def _on_request(self, request: HTTPServerRequest) -> None:
        self.asked.append(request.path)
        if self.mode == "hang":
            return
        if self.mode in ("error", "garbage", "empty"):
            status, body = {"error": (500, b""), "garbage": (200, b"<html>"), "empty": (200, b"{}")}[self.mode]
            faults.write(request, status, body)
            return
        given = {name: values[0].decode() for name, values in request.arguments.items()}
        judge = {"/register.php": self._register, "/validate.php": self._validate3, "/validate": self._validate4}
        faults.answer(request, 200, judge[request.path](request, given))

    def _register(self, request: HTTPServerRequest, given: dict[str, str]) -> dict[str, str]:
        expected = {"gt": CAPTCHA_ID, "digestmod": self.digest, "json_format": "1"}
        if request.method != "GET" or not expected.items() <= given.items() or not given.get("sdk"):
            self.faults.append("register")
            return {"challenge": "0"}
        raw = secrets.token_hex(16)
        key = KEY.encode()
        shown = {
            "md5": hashlib.md5(raw.encode() + key).hexdigest(),
            "sha256": hashlib.sha256(raw.encode() + key).hexdigest(),
            "hmac-sha256": hmac.new(key, raw.encode(), hashlib.sha256).hexdigest(),
        }[self.digest]
        self._raw[shown] = raw
        return {"challenge": raw}

    def _validate3(self, request: HTTPServerRequest, given: dict[str, str]) -> dict[str, str]:
        if request.method != "POST" or (given.get("captchaid"), given.get("json_format")) != (CAPTCHA_ID, "1"):
            self.faults.append("validate.php")
            return {"seccode": "false"}
        validate = self._solved.pop(given["challenge"], None)
        if self.mode == "refuse" or validate is None or given["seccode"] != f"{validate}|jordan":
            return {"seccode": "false"}
        return {"seccode": hashlib.md5(given["seccode"].encode()).hexdigest()}

    def _validate4(self, request: HTTPServerRequest, given: dict[str, str]) -> dict[str, str]:
        """It lets an answer pass again, so that only we stand between it and a second use."""
        signed = hmac.new(KEY.encode(), given.get("lot_number", "").encode(), hashlib.sha256).hexdigest()
        if request.method != "POST" or given.get("captcha_id") != CAPTCHA_ID or given.get("sign_token") != signed:
            self.faults.append("validate")
            return {"status": "error", "code": "-50102", "msg": "sign_token error"}
        if not given["gen_time"].isdigit():
            return {"status": "error", "code": "-50005", "msg": "illegal gen_time"}
        right = self.mode != "refuse" and self._solved.get(given["lot_number"]) == given["pass_token"]
        return {"status": "success", "result": "success" if right else "fail", "reason": ""}

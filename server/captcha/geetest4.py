"""GeeTest v4. https://docs.geetest.com/BehaviorVerification/apirefer/api/server"""

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from server.captcha.geetest import submit
from server.errors import VendorUnavailable
from server.http import HttpClient
from server.logs import get_log

URL = "https://gcaptcha4.geetest.com"
_log = get_log(__name__)
_FIELDS = ("lot_number", "captcha_output", "pass_token", "gen_time")


def sign_token(key: str, lot_number: str) -> str:
    """Proves to GeeTest that we know the key."""
    return hmac.digest(key.encode(), lot_number.encode(), "sha256").hex()


class Geetest4:
    """The browser gets its challenge from GeeTest itself; ours is only what it counts for."""

    name = "geetest4"

    def __init__(self, http: HttpClient, *, captcha_id: str, key: str, url: str) -> None:
        self._http = http
        self._captcha_id = captcha_id
        self._key = key
        self._url = url or URL

    async def begin(self, challenge_id: str, *, dearer: bool) -> tuple[dict[str, Any], dict[str, str]]:
        """What GeeTest's script needs. How hard it is, GeeTest decides."""
        return {"challenge": {"captchaId": self._captcha_id}}, {}

    async def passes(self, challenge_id: str, kept: Mapping[str, str], answer: Mapping[str, str]) -> bool:
        """GeeTest's verdict, for our own captcha id and no other; VendorUnavailable."""
        gen_time = answer.get("gen_time", "")
        if not gen_time.isascii() or not gen_time.isdigit():
            return False
        form = {name: answer[name] for name in _FIELDS}
        form["sign_token"] = sign_token(self._key, answer["lot_number"])
        verdict = await submit(
            self._http, f"{self._url}/validate?{urlencode({'captcha_id': self._captcha_id})}", form
        )
        if verdict.get("status") not in ("success", "error"):
            raise VendorUnavailable("no verdict")
        if verdict["status"] == "error":  # A wrong key looks like this, and so does what a script made up.
            _log.warning("captcha.geetest_refused", code=str(verdict.get("code"))[:16])
            return False
        return verdict.get("result") == "success"

    def mark(self, answer: Mapping[str, str]) -> str:
        """The lot number: an answer is not tied to a challenge of ours, so it must not come again under another."""
        return f"geetest4:{answer['lot_number']}"

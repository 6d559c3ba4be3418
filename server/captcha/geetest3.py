"""GeeTest v3. https://docs.geetest.com/captcha/apirefer/api/server"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any

from server.captcha.geetest import fetch, submit
from server.errors import VendorUnavailable
from server.http import HttpClient

URL = "https://api.geetest.com"
_SDK = "haoma"
_RAW = re.compile(r"[0-9a-zA-Z]{32}", re.ASCII)
# How a challenge and the key become what the browser gets; other than md5 has to be set up with GeeTest.
DIGESTS: dict[str, Callable[[str, str], str]] = {
    "md5": lambda raw, key: hashlib.md5((raw + key).encode(), usedforsecurity=False).hexdigest(),
    "sha256": lambda raw, key: hashlib.sha256((raw + key).encode()).hexdigest(),
    "hmac-sha256": lambda raw, key: hmac.digest(key.encode(), raw.encode(), "sha256").hex(),
}


class Geetest3:
    """GeeTest's own failback takes any answer, so it is never used: while GeeTest is away, there is no challenge."""

    name = "geetest3"

    def __init__(self, http: HttpClient, *, captcha_id: str, key: str, digest: str, url: str) -> None:
        self._http = http
        self._captcha_id = captcha_id
        self._key = key
        self._digest = digest
        self._url = url or URL

    async def begin(self, challenge_id: str, *, dearer: bool) -> tuple[dict[str, Any], dict[str, str]]:
        """A challenge registered with GeeTest; VendorUnavailable. How hard it is, GeeTest decides."""
        query = {"gt": self._captcha_id, "digestmod": self._digest, "client_type": "web"}
        found = await fetch(self._http, f"{self._url}/register.php", query | {"json_format": "1", "sdk": _SDK})
        raw = found.get("challenge")
        if not isinstance(raw, str) or not _RAW.fullmatch(raw):
            raise VendorUnavailable("no challenge")
        challenge = DIGESTS[self._digest](raw, self._key)
        shown = {"gt": self._captcha_id, "challenge": challenge, "success": 1, "new_captcha": True}
        return {"challenge": shown}, {"challenge": challenge}

    async def passes(self, challenge_id: str, kept: Mapping[str, str], answer: Mapping[str, str]) -> bool:
        """GeeTest's verdict on an answer to this very challenge; VendorUnavailable."""
        challenge = answer.get("geetest_challenge", "")
        # The sliding kind adds two characters.
        if challenge[: len(kept["challenge"])] != kept["challenge"] or len(challenge) > len(kept["challenge"]) + 2:
            return False
        form = {
            "seccode": answer["geetest_seccode"],
            "challenge": challenge,
            "captchaid": self._captcha_id,
            "validate": answer["geetest_validate"],
            "client_type": "web",
            "json_format": "1",
            "sdk": _SDK,
        }
        verdict = (await submit(self._http, f"{self._url}/validate.php", form)).get("seccode")
        if not isinstance(verdict, str):
            raise VendorUnavailable("no verdict")
        return verdict not in ("", "false")

    def mark(self, answer: Mapping[str, str]) -> str:
        """Nothing: the answer names the challenge, which is used up."""
        return ""

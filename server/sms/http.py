"""The one way to a vendor: a POST with strict limits, whose failures say whether the vendor may have the message."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from server.sms.provider import SendFailed

CONNECT_S = 2.0
TOTAL_S = 5.0
BODY_CAP = 64 * 1024
_GUARD_S = 0.5  # The client's own limit comes first, as it also closes the connection.


class VendorHttp:
    """Follows no redirect, unpacks nothing, reads at most 64 KiB, checks certificates, and never hangs."""

    def __init__(self, *, connect_s: float = CONNECT_S, total_s: float = TOTAL_S, max_clients: int = 512) -> None:
        self._guard_s = total_s + _GUARD_S
        self._client = SimpleAsyncHTTPClient(
            force_instance=True,
            max_clients=max_clients,
            max_body_size=BODY_CAP,
            max_buffer_size=4 * BODY_CAP,
            defaults={
                "connect_timeout": connect_s,
                "request_timeout": total_s,
                "follow_redirects": False,
                "decompress_response": False,
                "validate_cert": True,
            },
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer, whatever they are; SendFailed `transient` if the vendor cannot have taken
        the request, `unknown` if it may have."""
        leaving = _Leaving(body)
        request = HTTPRequest(
            url,
            method="POST",
            headers={**headers, "Content-Length": str(len(body))},
            body_producer=leaving.write,  # type: ignore[arg-type] # None is as good as a future, in _write_body
        )
        try:
            async with asyncio.timeout(self._guard_s):
                answer = await self._client.fetch(request, raise_error=False)
        except Exception as fault:  # The client raises a dozen unrelated types, and their texts name addresses.
            raise leaving.failed(fault) from None
        return answer.code, answer.body

    async def aclose(self) -> None:
        """Let no further request out."""
        self._client.close()


class _Leaving:
    """A body that knows whether it has left. Tornado asks for it only when the connection stands, TLS included
    (`_HTTPConnection.run`), so of a failure before that - queue, name, refusal, certificate, time - the vendor has
    seen nothing."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._left = False

    def write(self, write: Callable[[bytes], Any]) -> None:
        self._left = True
        write(self._body)

    def failed(self, fault: Exception) -> SendFailed:
        """What a failed request means for the message."""
        name = type(fault).__name__
        if self._left:
            return SendFailed("unknown", f"the answer got lost: {name}")
        return SendFailed("transient", f"the vendor cannot be reached: {name}")

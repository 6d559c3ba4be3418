"""The one way to a server of somebody else: strict limits, and failures that say whether the request has left."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

CONNECT_S = 2.0
TOTAL_S = 5.0
BODY_CAP = 64 * 1024
_GUARD_S = 0.5  # The client's own limit comes first, as it also closes the connection.


class RequestFailed(Exception):
    """No whole answer came. `left`: the request may have arrived; `why` names no address."""

    def __init__(self, why: str, *, left: bool) -> None:
        super().__init__(why)
        self.left = left


class HttpClient:
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

    async def get(self, url: str) -> tuple[int, bytes]:
        """Status and body of the answer, whatever they are; RequestFailed."""
        return await self._fetch(HTTPRequest(url), lambda: True)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer, whatever they are; RequestFailed."""
        leaving = _Leaving(body)
        request = HTTPRequest(
            url,
            method="POST",
            headers={**headers, "Content-Length": str(len(body))},
            body_producer=leaving.write,  # type: ignore[arg-type] # None is as good as a future, in _write_body
        )
        return await self._fetch(request, lambda: leaving.left)

    async def aclose(self) -> None:
        """Let no further request out."""
        self._client.close()

    async def _fetch(self, request: HTTPRequest, left: Callable[[], bool]) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._guard_s):
                answer = await self._client.fetch(request, raise_error=False)
        except Exception as fault:  # The client raises a dozen unrelated types, and their texts name addresses.
            raise RequestFailed(type(fault).__name__, left=left()) from None
        return answer.code, answer.body


class _Leaving:
    """A body that knows whether it has left. Tornado asks for it only when the connection stands, TLS included
    (`_HTTPConnection.run`), so of a failure before that - queue, name, refusal, certificate, time - the other side
    has seen nothing."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.left = False

    def write(self, write: Callable[[bytes], Any]) -> None:
        self.left = True
        write(self._body)

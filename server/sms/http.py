"""The way to an SMS vendor: what a request without an answer means for the message in it."""

from collections.abc import Mapping

from server.http import HttpClient, RequestFailed
from server.sms.provider import SendFailed


class VendorHttp(HttpClient):
    """A client whose failures say whether the vendor may have the message."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer, whatever they are; SendFailed `transient` if the vendor cannot have taken
        the request, `unknown` if it may have."""
        try:
            return await super().post(url, headers, body)
        except RequestFailed as fault:
            if fault.left:
                raise SendFailed("unknown", f"the answer got lost: {fault}") from None
            raise SendFailed("transient", f"the vendor cannot be reached: {fault}") from None

"""Delivery receipts, called by SMS vendors: `POST /receipts/<provider>/<secret>/`."""

from server.errors import AppError, StoreUnavailable
from server.handlers.base import HttpHandler


class ReceiptsHandler(HttpHandler):
    """A vendor that is not thanked reports again, so nothing is thanked for that was not taken."""

    body_max_bytes = 64 * 1024
    path_pattern = "/receipts/{provider}/{secret}/"

    async def post(self, provider: str, secret: str) -> None:
        kind, thanks = await self._take(provider, secret)
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", kind)
        self.finish(thanks)

    async def _take(self, provider: str, secret: str) -> tuple[str, bytes]:
        try:
            return await self.services.receipts.accept(
                provider,
                secret=secret,
                address=self.edge.client_address(self.request),
                body=bytes(self.body),
                headers=self.request.headers,
            )
        except StoreUnavailable:
            raise AppError("unavailable", retry_after=1) from None

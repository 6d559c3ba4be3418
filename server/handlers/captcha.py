"""The picture of an image captcha: `GET /user/captcha/<id>.png`."""

from server.errors import AppError, StoreUnavailable
from server.handlers.base import HttpHandler


class CaptchaPicture(HttpHandler):
    """Drawn anew each time it is asked for, for the browser that has the challenge, while that is open."""

    path_pattern = "/user/captcha/{id}.png"

    async def get(self, id: str) -> None:
        picture = await self._draw(id)
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "image/png")
        self.finish(picture)

    async def _draw(self, challenge_id: str) -> bytes:
        caller = self.make_caller("rest")
        try:
            await self.services.limits.charge_address("captcha.picture", caller.address)
            return await self.services.captcha.picture(challenge_id, device=caller.device)
        except StoreUnavailable:
            raise AppError("unavailable", retry_after=1) from None

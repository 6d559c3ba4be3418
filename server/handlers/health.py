"""/healthz, /readyz, /metrics and the public keys. Probes know us by address, so any Host will do."""

import asyncio

from server.handlers.base import HttpHandler


class HealthHandler(HttpHandler):
    """Alive: the loop turns."""

    checks_host = False

    async def get(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.finish_json({"status": "ok"})

    async def head(self) -> None:
        await self.get()


class ReadyHandler(HttpHandler):
    """Can serve: the stores answer, the unique index is there, we are not going away."""

    checks_host = False

    async def get(self) -> None:
        against = await self.services.health.ready()
        self.set_header("Cache-Control", "no-store")
        self.set_status(503 if against else 200)
        self.finish_json({"status": "not ready" if against else "ready", "waiting_for": against})

    async def head(self) -> None:
        await self.get()


class MetricsHandler(HttpHandler):
    """Prometheus."""

    checks_host = False

    async def get(self) -> None:
        self.services.metrics.tasks.set(len(asyncio.all_tasks()))
        self.set_header("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
        self.finish(self.services.metrics.exposition())


class KeysHandler(HttpHandler):
    """The JWK set with which anybody can verify our access tokens."""

    async def get(self) -> None:
        self.set_header("Cache-Control", "public, max-age=300")
        self.finish_json(self.services.tokens.public_keys())

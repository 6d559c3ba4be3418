"""Which SMS providers there are, and which of them an operator has paused."""

from server.errors import AppError
from server.stores.providers import ProviderStore


class RoutingService:
    """A paused provider is asked by no process; what was to go through it goes through another, or waits."""

    def __init__(self, *, store: ProviderStore, names: list[str]) -> None:
        self._store = store
        self._names = names

    async def pause(self, name: str) -> None:
        """AppError `not_found`."""
        self._require(name)
        await self._store.pause(name)

    async def resume(self, name: str) -> None:
        """AppError `not_found`."""
        self._require(name)
        await self._store.resume(name)

    def _require(self, name: str) -> None:
        if name not in self._names:
            raise AppError("not_found")

"""Keeps the bitmaps of the registry: makes those that are asked for, and knows whether their word still counts."""

from server.clock import Clock
from server.errors import StoreUnavailable
from server.logs import get_log
from server.metrics import Metrics
from server.stores.registry import HEARD_S, RegistryStore
from server.tasks import Tasks

_log = get_log(__name__)
HEAR_EVERY_S = HEARD_S * 0.4
MOST_WANTED = 10_000  # what is beyond is wanted again at its next check


class RegistryKeeper:
    """One block is read at a time, so that reading never weighs more than answering. Processes share the work: each
    reads what its own pages ask for, and none what another is reading."""

    def __init__(self, *, registry: RegistryStore, metrics: Metrics, clock: Clock) -> None:
        self._registry = registry
        self._metrics = metrics
        self._tasks = Tasks(clock)
        self._wanted: dict[str, None] = {}

    async def start(self) -> None:
        """Begin to make what checks have missed."""
        self._registry.on_miss(self._want)
        self._tasks.keep("registry.hear", self._hear, every_s=HEAR_EVERY_S)

    async def aclose(self) -> None:
        """Stop; a block that is half read is read by whoever wants it next."""
        await self._tasks.aclose()

    def _want(self, block: str) -> None:
        if block in self._wanted or len(self._wanted) >= MOST_WANTED:
            return
        self._wanted[block] = None
        if len(self._wanted) == 1:
            self._tasks.start(self._load_wanted())

    async def _load_wanted(self) -> None:
        while self._wanted:
            block = next(iter(self._wanted))
            try:
                outcome = await self._registry.load(block)
            except StoreUnavailable as fault:
                outcome = "failed"
                _log.warning("registry.block_not_read", why=str(fault))
            finally:
                del self._wanted[block]
            self._metrics.registry_blocks.labels(outcome).inc()

    async def _hear(self) -> None:
        for source, count in self._registry.answers.items():
            self._metrics.registry_answers.labels(source).inc(count)
            self._registry.answers[source] = 0
        try:
            await self._registry.hear()
        except StoreUnavailable:
            pass  # HealthService says so; we only believe no bit.

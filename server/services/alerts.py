"""What an operator should know at once: the conditions, judged by each process of what it sees."""

from collections.abc import Iterator

from server.clock import Clock
from server.metrics import Metrics
from server.services.conversion import ConversionService
from server.services.health import HealthService
from server.services.tally import value_of

QUEUE_OLD_S = 30
LAG_MS = 100
STANDS_S = 15.0
_BUDGET = (50, 80, 100)


class AlertService:
    """Names: `budget_50`, `_80`, `_100`, `queue_old`, `loop_lag`, `pumping_suspected`, `store_<name>`,
    `breaker_<provider>`."""

    def __init__(
        self, *, health: HealthService, conversion: ConversionService, metrics: Metrics, clock: Clock
    ) -> None:
        self._health = health
        self._conversion = conversion
        self._metrics = metrics
        self._clock = clock
        self._seen: dict[str, float] = {}
        self.stands_s = STANDS_S

    def standing(self, *, lag_ms: float, providers: dict[str, str]) -> list[str]:
        """What this process warns of: each for STANDS_S after it was last so, lest it comes and goes every second."""
        now = self._clock.monotonic()
        self._seen |= dict.fromkeys(self._judge(lag_ms, providers), now)
        self._seen = {name: at for name, at in self._seen.items() if now - at < self.stands_s}
        return [*self._seen]

    def _judge(self, lag_ms: float, providers: dict[str, str]) -> Iterator[str]:
        yield from (f"store_{name}" for name in self._health.degraded())
        yield from (f"breaker_{name}" for name, state in providers.items() if state == "open")
        used = value_of(self._metrics.budget)
        yield from (f"budget_{percent}" for percent in _BUDGET if used * 100 >= percent)
        if value_of(self._metrics.oldest) > QUEUE_OLD_S:
            yield "queue_old"
        if lag_ms > LAG_MS:
            yield "loop_lag"
        if self._conversion.suspects():
            yield "pumping_suspected"

"""What an operator should know at once: the conditions, judged by each process of what it sees."""

from server.clock import Clock
from server.metrics import Metrics
from server.services.conversion import ConversionService
from server.services.health import HealthService
from server.services.tally import value_of

QUEUE_OLD_S = 30
LAG_MS = 100
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

    def standing(self, *, lag_ms: float, providers: dict[str, str]) -> list[str]:
        """What this process would warn of now."""
        found = [f"store_{name}" for name in self._health.degraded()]
        found += [f"breaker_{name}" for name, state in providers.items() if state == "open"]
        used = value_of(self._metrics.budget)
        reached = [percent for percent in _BUDGET if used * 100 >= percent]
        found += [f"budget_{percent}" for percent in reached[-1:]]
        if value_of(self._metrics.oldest) > QUEUE_OLD_S:
            found.append("queue_old")
        if lag_ms > LAG_MS:
            found.append("loop_lag")
        if self._conversion.suspects():
            found.append("pumping_suspected")
        return found

"""What this process did, read from its own metrics: so the monitor and Prometheus can never disagree."""

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from server.metrics import PROVIDER_BUCKETS, STEP_BUCKETS, Metrics

MINUTE = 60
Counts = dict[str, int]


class Tally:
    """Names: `checks logins registrations sends`, `sms|<provider>|<status>`, `call|<provider>|<outcome>`,
    `no|<code of a refusal>`, and of each step of an SMS and each provider's answers how many took at most so long:
    `step|<step>|<seconds>`, `wait|<provider>|<seconds>`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last = self._now()
        self._minute: deque[Counts] = deque(maxlen=MINUTE)

    def take(self) -> Counts:
        """What was done since this was last asked; nothing that did not change is in it."""
        now = self._now()
        changed = {name: round(value - self._last[name]) for name, value in now.items() if value > self._last[name]}
        self._last = now
        self._minute.append(changed)
        return changed

    def last_minute(self, name: str) -> int:
        """How often within the last MINUTE takes."""
        return sum(counts.get(name, 0) for counts in self._minute)

    def _now(self) -> defaultdict[str, float]:
        """Each name's whole count; several rows of a metric may have the same name here."""
        now: defaultdict[str, float] = defaultdict(float)
        for name, value in self._read():
            now[name] += value
        return now

    def _read(self) -> Iterator[tuple[str, float]]:
        metrics = self._metrics
        for labels, value in _samples(metrics.operations, "_total"):
            operation, outcome = labels["operation"], labels["outcome"]
            if operation == "mobile.check":
                yield "checks", value
            if outcome == "ok" and operation in _DONE:
                yield _DONE[operation], value
            if outcome != "ok":
                yield f"no|{outcome}", value
        for labels, value in _samples(metrics.sms, "_total"):
            yield f"sms|{labels['provider']}|{labels['status']}", value
        for labels, value in _samples(metrics.outcomes, "_total"):
            yield f"call|{labels['provider']}|{labels['outcome']}", value
        for labels, value in _samples(metrics.steps, "_bucket"):
            yield f"step|{labels['step']}|{labels['le']}", value
        for labels, value in _samples(metrics.provider_seconds, "_bucket"):
            yield f"wait|{labels['provider']}|{labels['le']}", value


_DONE = {"sms.send": "sends", "user.register": "registrations", "session.login": "logins"}


def _samples(collector: Any, suffix: str) -> Iterator[tuple[dict[str, str], float]]:
    for family in collector.collect():
        for sample in family.samples:
            if sample.name.endswith(suffix):
                yield sample.labels, sample.value


def value_of(gauge: Any, **labels: str) -> float:
    """A gauge as it stands."""
    return next((value for has, value in _samples(gauge, "") if labels.items() <= has.items()), 0.0)


def describe(counts: Counts, *, whole: bool = True) -> dict[str, Any]:
    """Counts as a chart or, `whole`, a table takes them; of what did not happen there is nothing."""
    found = {
        "checks": counts.get("checks", 0),
        "logins": counts.get("logins", 0),
        "registrations": counts.get("registrations", 0),
        "sends": counts.get("sends", 0),
        "sms": _nested(counts, "sms"),
        "refusals": {name.removeprefix("no|"): count for name, count in counts.items() if name.startswith("no|")},
    }
    if whole:
        found["calls"] = _nested(counts, "call")
        found["steps"] = _times(counts, "step", STEP_BUCKETS)
        found["waits"] = _times(counts, "wait", PROVIDER_BUCKETS)
    return {name: value for name, value in found.items() if value}


def _nested(counts: Counts, family: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, count in counts.items():
        kind, _, rest = name.partition("|")
        if kind == family:
            provider, _, what = rest.partition("|")
            found.setdefault(provider, {})[what] = count
    return found


def _times(counts: Counts, family: str, bounds: tuple[float, ...]) -> dict[str, dict[str, Any]]:
    """Of each name: how many there were, and within how many seconds half and 95 % of them came."""
    found = {}
    for name, at_most in _nested(counts, family).items():
        total = at_most.get("+Inf", 0)
        if total:
            halves = (_percentile(at_most, bounds, total * share) for share in (0.5, 0.95))
            found[name] = dict(zip(("count", "p50", "p95"), (total, *halves), strict=True))
    return found


def _percentile(at_most: dict[str, int], bounds: tuple[float, ...], wanted: float) -> float:
    """Within a bucket the values are taken to lie evenly, as Prometheus does it; beyond the last, its bound."""
    below, before = 0.0, 0
    for bound in bounds:
        upto = at_most.get(str(float(bound)), 0)
        if upto >= wanted:
            return round(below + (bound - below) * (wanted - before) / max(1, upto - before), 3)
        below, before = float(bound), upto
    return float(bounds[-1])

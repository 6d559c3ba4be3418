"""All counters and histograms. Labels never carry a number, an address or a name."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

PROVIDER_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)
STEP_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 90, 120, 180, 300)

disable_created_metrics()  # type: ignore[no-untyped-call] # when each row began is of no use, and doubles them


class Metrics:
    """One set per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.operations = Counter(
            "haoma_operations_total",
            "Operations by name, transport and outcome (ok or the error code)",
            ["operation", "transport", "outcome"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "haoma_operation_seconds",
            "Time an operation took",
            ["operation"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self.refusals = Counter(
            "haoma_limit_refusals_total",
            "Refusals by rate limits (with LIMITS=observe: that would have been)",
            ["action", "dimension"],
            registry=self.registry,
        )
        self.sms = Counter(
            "haoma_sms_total",
            "Steps of SMS by provider: sending, accepted, delivered, failed",
            ["provider", "status"],
            registry=self.registry,
        )
        self.audit = Counter(
            "haoma_audit_entries_total",
            "Entries of the audit: written, or lost because too many waited for MongoDB",
            ["outcome"],
            registry=self.registry,
        )
        self.pages = Gauge(
            "haoma_pages_open", "Websockets open in this process", multiprocess_mode="livesum", registry=self.registry
        )
        self.queued = Counter("haoma_sms_queued_total", "SMS accepted for sending", registry=self.registry)
        self.outcomes = Counter(
            "haoma_sms_outcomes_total",
            "Answers of SMS providers: accepted, or the class of the failure",
            ["provider", "outcome"],
            registry=self.registry,
        )
        self.provider_seconds = Histogram(
            "haoma_provider_seconds",
            "Time a provider took to answer",
            ["provider"],
            buckets=PROVIDER_BUCKETS,
            registry=self.registry,
        )
        self.provider_open = Gauge(
            "haoma_provider_breaker_open",
            "1 while a provider's breaker is open",
            ["provider"],
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.receipts = Counter(
            "haoma_receipts_total",
            "Receipts by provider and what became of them",
            ["provider", "result"],
            registry=self.registry,
        )
        self.jobs = Gauge(
            "haoma_jobs",
            "SMS jobs of the whole service: waiting, delayed or working",
            ["state"],
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
        self.oldest = Gauge(
            "haoma_jobs_oldest_seconds",
            "Age of the oldest SMS job",
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
        self.dead = Counter("haoma_jobs_dead_total", "SMS jobs given up", ["reason"], registry=self.registry)
        self.polls = Gauge(
            "haoma_polls_waiting",
            "REST requests that wait for news of an SMS",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.registry_answers = Counter(
            "haoma_registry_answers_total",
            "Numbers whose holder was asked for, by who answered: redis (surely free), or mongo",
            ["source"],
            registry=self.registry,
        )
        self.registry_blocks = Counter(
            "haoma_registry_blocks_total",
            "Bitmaps of 10,000 numbers that were read from MongoDB: made, mended, or busy, overtaken, failed",
            ["outcome"],
            registry=self.registry,
        )
        self.stores = Gauge(
            "haoma_store_up", "1 if the store answers", ["store"], multiprocess_mode="livemin", registry=self.registry
        )
        self.budget = Gauge(
            "haoma_sms_budget_used_ratio",
            "Part of the day's SMS that is used up",
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.verified = Gauge(
            "haoma_sms_verified_ratio",
            "Part of the last 200 SMS whose code was used",
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
        self.breaker = Counter(
            "haoma_sms_breaker_total",
            "Times that too few verified SMS closed (captcha), stopped or opened a block of numbers or all (total)",
            ["scope", "state"],
            registry=self.registry,
        )
        self.lag = Histogram(
            "haoma_loop_lag_seconds",
            "How late the event loop ran what was due",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
            registry=self.registry,
        )
        self.tasks = Gauge(
            "haoma_loop_tasks",
            "Tasks of the event loop, counted when /metrics was asked for",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.steps = Histogram(
            "haoma_sms_step_seconds",
            "Time from the click to a step of its SMS: accepted, delivered, or verified by its code",
            ["step"],
            buckets=STEP_BUCKETS,
            registry=self.registry,
        )
        self.hooks = Gauge(
            "haoma_hooks_waiting",
            "Events for NOTIFY_URL that wait",
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
        self.hooks_sent = Counter(
            "haoma_hooks_total",
            "Tries to post an event to NOTIFY_URL: taken, refused, given_up",
            ["outcome"],
            registry=self.registry,
        )
        self.alerts = Gauge(
            "haoma_alerts",
            "1 while an alert stands",
            ["alert"],
            multiprocess_mode="livemostrecent",
            registry=self.registry,
        )
        self.hashing = Gauge(
            "haoma_hashes_waiting",
            "Passwords being hashed or waiting",
            multiprocess_mode="livesum",
            registry=self.registry,
        )

        # To look a row up by its labels takes longer than to count.
        self._rows: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._refusals: dict[tuple[str, str], Counter] = {}

    def note_operation(self, name: str, transport: str, outcome: str, seconds: float) -> None:
        """An operation has ended."""
        row = self._rows.get((name, transport, outcome))
        if row is None:
            row = self.operations.labels(name, transport, outcome), self.seconds.labels(name)
            self._rows[name, transport, outcome] = row
        row[0].inc()
        row[1].observe(seconds)

    def note_refusal(self, action: str, dimension: str) -> None:
        """A limit has refused, or would have."""
        row = self._refusals.get((action, dimension))
        if row is None:
            row = self._refusals[action, dimension] = self.refusals.labels(action, dimension)
        row.inc()

    def show_queue(self, waiting: int, delayed: int, working: int, oldest_s: float) -> None:
        """The queue as it stands, the same in every process."""
        for state, count in (("waiting", waiting), ("delayed", delayed), ("working", working)):
            self.jobs.labels(state).set(count)
        self.oldest.set(oldest_s)

    def note_dead(self, reason: str) -> None:
        """An SMS job was given up."""
        self.dead.labels(reason).inc()

    def exposition(self) -> bytes:
        """The Prometheus text format; of a worker, that of all workers of its parent."""
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

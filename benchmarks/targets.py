"""What the service has promised itself. Each is judged by one row of the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A limit for the ratio of a row (unit `×`) or for our own figure."""

    what: str
    limit: float
    unit: str = "×"
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Whether a figure keeps it."""
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:,g} {self.unit}"


def _at_most(what: str, limit: float, unit: str) -> Target:
    return Target(what, limit, unit, at_most=True)


CHECK_TORNADO = Target("mobile.check / bare Tornado's echo", 2.0)
CHECK_FASTAPI = Target("mobile.check / FastAPI + Redis without rules", 3.0)
CHECK_DJANGO = Target("mobile.check / Django + DRF over REST", 30)
CHECK_P99 = _at_most("mobile.check p99 at 64 connections", 3, "ms")
CHECK_HALF_P99 = _at_most("mobile.check p99 at half load", 1, "ms")
GET_TORNADO = Target("GET / bare Tornado's GET", 0.7)
SEND_FASTAPI = Target("sms.send / FastAPI + Redis", 1.5)
SEND_BETTER_AUTH = Target("sms.send / better-auth", 3)
REGISTER_BCRYPT = Target("registrations / bare bcrypt", 0.9)
REGISTER_CHECK_P99 = _at_most("mobile.check p99 beside registrations", 20, "ms")
PAGE = _at_most("idle page", 12, "KiB")
TICK_LATE = _at_most("countdowns: lateness p99", 100, "ms")
TICK_CORE = _at_most("countdowns: share of a core", 40, "%")
PUSH_LAST = _at_most("a push: last page reached", 1000, "ms")
PUSH_HOLD = _at_most("a push: longest hold of the loop", 10, "ms")
PUSH_ACROSS = _at_most("a push across processes: p99", 20, "ms")
REGISTRY = _at_most("mobile.check p99 at 100 million registered / at none", 1.2, "×")
SPEED = [value for value in globals().values() if isinstance(value, Target)]

QUEUE_P99 = _at_most("SMS: put in line p99", 2, "ms")
CALL_P99 = _at_most("SMS: until the vendor is called p99", 10, "ms")
DRAIN = Target("SMS: drained", 1500, "/s")
DRAIN_LATE = _at_most("SMS: loop late p99", 20, "ms")
APART = _at_most("known and unknown accounts apart", 5, "ms")
LOGIN_CHECK_P99 = _at_most("mobile.check p99 beside logins", 50, "ms")
MONITOR_APART = _at_most("the monitor and the load apart", 2, "%")
MONITOR_COST = _at_most("what monitors cost of a core", 3, "%")

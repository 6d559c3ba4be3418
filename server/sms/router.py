"""Who is asked to send an SMS, and what follows from each answer. Rules only; what is shared lies in Redis."""

import ipaddress
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from server.sms.provider import FailureKind, SmsProvider

TRIES = 3
# The first try and one with the same idempotency key; then somebody else.
UNKNOWN_TRIES = 2
# Nobody sends again while the SMS whose answer got lost may still be on its way (PV-3 in docs/security.md).
AFTER_UNKNOWN_S = 10.0
_BACKOFF_S = (0.5, 1.5)
_FINAL: dict[str, str] = {"limit_user": "number_limit", "permanent": "number_refused"}
Job = dict[str, str]
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A provider with what the operator allows it: `rate` in SMS per second, `weight` of its share of first tries,
    the secret in the path of its receipts ("": none are taken) and the networks they may come from (empty: any)."""

    provider: SmsProvider
    rate: float = 50
    weight: int = 0
    receipt_secret: str = field(default="", repr=False)
    receipt_from: Networks = ()

    @property
    def name(self) -> str:
        return self.provider.name


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failed call: the SMS has `failed` for this reason, or goes on after `wait_s`, the job
    having got these `fields`."""

    failed: str = ""
    wait_s: float = 0
    fields: Job = field(default_factory=dict)


class Router:
    """The routes in the operator's order."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = {route.name: route for route in routes}

    @property
    def names(self) -> list[str]:
        return [*self._routes]

    def get(self, name: str) -> Route | None:
        """The route of that name."""
        return self._routes.get(name)

    def candidates(self, job: Job) -> list[Route]:
        """Who may still be asked for this job, the best first."""
        spent = job.get("spent", "").split()
        first = [job.get("unknown_by", ""), self._by_weight(job["id"])]
        names = dict.fromkeys([*(name for name in first if name in self._routes), *self._routes])
        able = [self._routes[name] for name in names if name not in spent]
        return [route for route in able if route.provider.notices] if "notice" in job else able

    def _by_weight(self, job_id: str) -> str:
        """The same for all tries of a job, in whatever process."""
        total = sum(route.weight for route in self._routes.values())
        if not total:
            return ""
        place = zlib.crc32(job_id.encode()) % total
        for route in self._routes.values():
            place -= route.weight
            if place < 0:
                return route.name
        return ""

    def judge(self, job: Job, name: str, kind: FailureKind) -> Verdict:
        """What follows from a call of `name` for `job` that failed."""
        if kind in _FINAL:
            return Verdict(failed=_FINAL[kind])
        fields, wait_s = _note(job, name, kind)
        if not self.candidates(job | fields):
            return Verdict(failed="provider_failed", fields=fields)
        return Verdict(wait_s=wait_s, fields=fields)


def _note(job: Job, name: str, kind: FailureKind) -> tuple[Job, float]:
    tries = int(job.get(f"tries:{name}", "0"))
    spent = {"spent": f"{job.get('spent', '')} {name}".strip()}
    if kind == "unknown":
        unknowns = int(job.get(f"unknowns:{name}", "0")) + 1
        fields = {f"unknowns:{name}": str(unknowns), "unknown_by": name}
        return fields | (spent if unknowns >= UNKNOWN_TRIES or tries >= TRIES else {}), AFTER_UNKNOWN_S
    if kind != "transient" or tries >= TRIES:
        return spent, 0
    return {}, _jittered(_BACKOFF_S[min(tries, len(_BACKOFF_S)) - 1])


def _jittered(wait_s: float) -> float:
    """Half to one and a half of it, so that what failed together does not come back together."""
    return wait_s * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)


def blames_provider(kind: FailureKind) -> bool:
    """Whether a failure says something about the provider rather than about the number."""
    return kind not in _FINAL

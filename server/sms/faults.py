"""The faults that the sandbox can play, and the numbers that always meet them (docs/sandbox.md)."""

from dataclasses import dataclass

from server.sms.provider import FailureKind

NO_FAULT = "none"
# Fault -> the last four digits of the numbers that meet it.
FAULTS: dict[str, str] = {
    "delay": "9001",
    "config": "9002",
    "limit_user": "9003",
    "limit_service": "9004",
    "transient": "9005",
    "transient_once": "9006",
    "permanent": "9007",
    "unknown": "9008",
    "late": "9009",
    "undelivered": "9010",
    "duplicate": "9011",
}
_BY_SUFFIX = {suffix: fault for fault, suffix in FAULTS.items()}
_REFUSALS: dict[str, FailureKind] = {
    "config": "config",
    "limit_user": "limit_user",
    "limit_service": "limit_service",
    "transient": "transient",
    "permanent": "permanent",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """One try to send one message: with which provider, the how manieth, and what it met."""

    provider: str
    attempt: int
    fault: str = NO_FAULT

    @property
    def refusal(self) -> FailureKind | None:
        """The kind of failure that comes before anything is sent."""
        if self.fault == "transient_once":
            return "transient" if self.attempt == 1 else None
        return _REFUSALS.get(self.fault)

    @property
    def answer_lost(self) -> bool:
        """The first answer never comes; who asks again hears that all is well."""
        return self.fault == "unknown" and self.attempt == 1


def fault_of(mobile: str) -> str:
    """The fault of a number; most have none."""
    return _BY_SUFFIX.get(mobile[-4:], NO_FAULT)

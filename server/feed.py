"""What happened lately in this process, for operators who watch. While nobody does, nothing is kept."""

from typing import Any

KEPT_A_BEAT = 50


class Feed:
    """Bounded: what is too much for one beat is counted and not kept, so that it costs the same whatever happens."""

    def __init__(self) -> None:
        self.wanted = False
        self._events: list[dict[str, Any]] = []
        self._more = 0

    def note(self, kind: str, at: float, **fields: Any) -> None:
        """One thing that happened at `at` (Unix seconds). No field holds a number, a code or a secret."""
        if not self.wanted:
            return
        if len(self._events) >= KEPT_A_BEAT:
            self._more += 1
            return
        self._events.append({"kind": kind, "at": round(at, 3)} | fields)

    def take(self) -> tuple[list[dict[str, Any]], int]:
        """What happened since this was last asked, and how much more did."""
        events, more = self._events, self._more
        self._events, self._more = [], 0
        return events, more

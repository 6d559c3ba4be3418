"""Which part of the service a function belongs to, for the profile of a check."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

LOOP = "loop: reads, timers, tasks"
# A sample belongs to the innermost of its functions that is in one of these files.
PARTS = {
    "websocket: frames in and out": ("server/websocket.py", "websockets/", "tornado/"),
    "page, dispatcher": (
        "server/handlers/",
        "server/operation",
        "server/caller.py",
        "server/services/questions.py",
        "server/services/controls.py",
    ),
    "JSON": ("server/strict_json.py", "json/"),
    "schemas, marshmallow": ("server/schemas/", "marshmallow/"),
    "limits": (
        "server/services/limits.py",
        "server/stores/limits.py",
        "server/rates.py",
        "server/tags.py",
        "server/limit_rules.py",
    ),
    "Redis: calls and replies": ("redis/", "server/stores/redis", "asyncio/streams.py", "server/deadlines.py"),
    "is the number taken": (
        "server/services/mobiles.py",
        "server/stores/registry",
        "server/stores/users.py",
        "server/stores/mongo.py",
        "motor/",
        "pymongo/",
        "bson/",
    ),
    "counters": ("server/metrics.py", "server/services/tally.py", "prometheus_client/"),
    LOOP: ("asyncio/", "uvloop/", "server/tasks.py"),
}
_FRAME = re.compile(r"(.+) \((\S+?):\d+\)")
_LOOP_RUNS = "(asyncio/runners.py:"


def part_of(frame: str) -> str | None:
    """None for a file that any part may use."""
    found = _FRAME.fullmatch(frame)
    return next((part for part, files in PARTS.items() if found and found[2].startswith(files)), None)


def name_of(frame: str) -> str:
    """The function."""
    found = _FRAME.fullmatch(frame)
    return found[1] if found else frame


def stacks(lines: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    """What the loop's thread was doing, and how often, from the outside in; other threads are passed over. py-spy's
    raw form is a stack and a number in each line."""
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        runs = next((place for place, frame in enumerate(frames) if _LOOP_RUNS in frame), None)
        if runs is not None:
            yield frames[runs + 1 :], int(count)


def shares(lines: Iterable[str]) -> dict[str, float]:
    """Of each part, the largest first."""
    counts: Counter[str] = Counter()
    for frames, count in stacks(lines):
        counts[next(filter(None, map(part_of, reversed(frames))), LOOP)] += count
    return {part: count / counts.total() for part, count in counts.most_common()}

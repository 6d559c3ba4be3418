"""The table of `make bench`: what it says, not how fast anything is."""

import json
from collections import defaultdict

from benchmarks import checks, countdowns, gets, pages, parts, pushes, registrations, registry, sends, targets
from benchmarks.load import Sample
from benchmarks.rows import HEAD, Row, markdown, text
from benchmarks.turns import Rounds

# In the order of the table.
PROMISED = [
    "≥ 2 ×",
    "≥ 3 ×",
    "≥ 30 ×",
    "≤ 3 ms",
    "≤ 1 ms",
    "≥ 0.7 ×",
    "≥ 1.5 ×",
    "≥ 3 ×",
    "≥ 0.9 ×",
    "≤ 20 ms",
    "≤ 12 KiB",
    "≤ 100 ms",
    "≤ 40 %",
    "≤ 1,000 ms",
    "≤ 10 ms",
    "≤ 20 ms",
    "≤ 1.2 ×",
]


def seen(name: str, per_second: float) -> Rounds:
    """Two rounds of a server that does so many."""
    rounds = Rounds(name)
    for less in (0, 10):
        rounds.add(Sample(per_second - less, 1, 2.5, 0), cpu_s=1, seconds=1)
    return rounds


def table() -> list[Row]:
    """All rows that have to do with speed, from figures that are made up."""
    four = [seen("Haoma", 30_000), seen("Tornado", 16_000), seen("FastAPI", 9_000), seen("Django", 800)]
    return [
        *checks.rows([*four, seen("wire", 60_000)], *[[Sample(15_000, 0.4, 1.5, 0)]] * 2),
        *gets.rows(four),
        *sends.rows(four[::2], [four[0], *four[2:]]),
        *registrations.rows(16, [4, 4.2], [3.9, 3.9], [Sample(100, 2, 15, 0)]),
        *pages.rows(11.5, 14),
        *countdowns.rows(1, [1, 20, 90], 0.35),
        *pushes.rows([700, 800], [4, 9.5], [3, 12]),
        *registry.rows(defaultdict(lambda: 1.1)),
    ]


def test_each_target_has_one_row() -> None:
    """None is forgotten, and none is judged twice."""
    assert [str(target) for target in targets.SPEED] == PROMISED
    assert [row.target for row in table() if row.target] == targets.SPEED


def test_a_ratio_is_judged_by_its_rounds_and_a_figure_by_itself() -> None:
    """At the limit a target is met."""
    ratio, delay = targets.CHECK_TORNADO, targets.CHECK_P99
    assert Row("", 1, "/s", 1, "", [1, 2, 9], ratio).met is True
    assert Row("", 1, "/s", 1, "", [1, 1.9, 9], ratio).met is False
    assert Row("", 3, "ms", target=delay).met is True
    assert Row("", 3.1, "ms", target=delay).met is False
    assert Row("", 3.1, "ms").met is None


def test_the_forms_of_the_table_agree() -> None:
    """Markdown, JSON and what a terminal shows: the same rows, cells and verdicts."""
    rows = table()
    read = json.loads(json.dumps([row.as_json() for row in rows]))
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown(rows).splitlines()]
    assert lines[0] == [cell.strip() for cell in HEAD]
    assert lines[2:] == [row["cells"] for row in read]
    for row, line in zip(read, text(rows).splitlines()[1:], strict=True):
        assert line.endswith("✓") == (row["met"] is True)
        assert line.endswith("✗") == (row["met"] is False)
        assert all(cell.replace("`", "") in line for cell in row["cells"])


def test_the_profile_counts_the_innermost_function_that_is_known() -> None:
    """What any part may use belongs to its caller, other threads to nobody."""
    start = "<module> (run.py:1);run (server/main.py:41);Runner.run (asyncio/runners.py:86)"
    lines = [
        f"{start};Protocol.receive_data (websockets/protocol.py:1) 5",
        f"{start};LimitService.charge (server/services/limits.py:1);new (hmac.py:1) 3",
        f"{start} 2",
        "_bootstrap (threading.py:1);_worker (concurrent/futures/thread.py:1) 90",
    ]
    assert parts.shares(lines) == {"websocket: frames in and out": 0.5, "limits": 0.3, parts.LOOP: 0.2}

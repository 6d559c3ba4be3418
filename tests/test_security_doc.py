"""The table of requirements in docs/security.md says what is true."""

import re
from collections import defaultdict

import pytest

from tests.helpers import ROOT

_TESTS = ROOT / "tests"
_ID = r"[a-z]{2,3}_\d+(?=_)"
_ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "security.md").read_text().splitlines()
    if re.match(r"\| [A-Z]+-\d+ \|", line)
]


def test_each_requirement_names_the_files_that_hold_its_tests() -> None:
    """All of them and no other; a test of `PV-3` is named `test_pv_3_…`, one of two begins with both."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in _TESTS.rglob("test_*.py"):
        for name in re.findall(rf"def test_((?:{_ID}_)+)", path.read_text()):
            for one in re.findall(_ID, name):
                found[one.replace("_", "-").upper()].add(str(path.relative_to(_TESTS)))
    named = {row[0]: set(re.findall(r"`(\S+\.py)`", row[3])) for row in _ROWS}
    assert named == found


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_the_code_of_a_requirement_is_where_its_row_says(row: list[str]) -> None:
    """Files are there, and a name after a file is in it."""
    for path, name in re.findall(r"`([\w/]+\.(?:py|lua))`(?: `(\w+)`)?", row[2]):
        folder = ROOT / "server" / "stores" / "lua" if path.endswith(".lua") else ROOT
        assert re.search(rf"\b{name}\b", (folder / path).read_text()), (path, name)

"""TEST_MOBILES as an operator writes it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.fixed_codes import parse_fixed_codes
from server.settings import Settings
from tests.test_settings import _PRODUCTION, _fault

_CODE = "123456"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("15400000001", "six digits"),
        ("15400000001:123456", "11 digits"),
        ("1540000000=123456", "11 digits"),
        ("+8615400000001=123456", "11 digits"),
        ("12400000001=123456", "11 digits"),
        ("1540000000１=123456", "11 digits"),
        ("15400000001=12345", "six digits"),
        ("15400000001=12345a", "six digits"),
        ("15400000001=１２３４５６", "six digits"),
        ("15400000001=1234567", "six digits"),
        ("15400000001=123456@", "as 2027-01-31"),
        ("15400000001=123456@tomorrow", "as 2027-01-31"),
        ("15400000001=123456@20270131", "as 2027-01-31"),
        ("15400000001=123456@2027-02-30", "as 2027-01-31"),
        ("15400000001=123456@9999-12-32", "as 2027-01-31"),
        ("15400000001=123456,15400000001=654321", "entry 2 names a number"),
    ],
)
def test_a_list_that_will_not_do_is_refused_without_showing_what_is_in_it(
    tmp_path: Path, value: str, why: str
) -> None:
    """One sentence that names the setting, the entry and what is wrong with it."""
    sentence = _fault({"VAR_DIR": str(tmp_path), "TEST_MOBILES": value})
    assert sentence.startswith("TEST_MOBILES")
    assert why in sentence
    assert "entry" in sentence
    assert _CODE not in sentence
    assert "15400" not in sentence


@pytest.mark.parametrize("date", ["", "@2020-01-31"], ids=["none", "over"])
def test_production_needs_an_end_that_is_not_over(date: str) -> None:
    """Of each entry; development does not."""
    good = "15400000001=123456@" + (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert len(Settings.from_env(_PRODUCTION | {"TEST_MOBILES": good}).fixed_codes()) == 1
    sentence = _fault(_PRODUCTION | {"TEST_MOBILES": f"{good}, 15400000002=654321{date}"})
    assert sentence.startswith("TEST_MOBILES")
    assert "entry 2 needs a date in the future" in sentence


def test_a_test_number_is_one_until_its_date_ends_where_the_numbers_are() -> None:
    """The last moment of that day at UTC+8, and not the one after; without a date for good."""
    fixed = parse_fixed_codes("15400000001=012345@2027-01-31, 15400000002=654321,")
    end = datetime.fromisoformat("2027-02-01T00:00:00+08:00").timestamp()
    assert fixed.code("15400000001", end - 0.001) == "012345"
    assert fixed.code("15400000001", end) is None
    assert fixed.code("15400000002", end * 10) == "654321"
    assert fixed.code("15400000003", 0) is None
    assert len(fixed) == 2
    assert "012345" not in repr(fixed)

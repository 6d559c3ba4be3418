"""Log lines tell what happened and nothing that is nobody's business."""

import io
import json
import logging

import pytest

from server.logs import get_log, mask, mask_all


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("15400000001", "154****0001"),
        ("+8615400000001", "+86154****0001"),
        ("from 008615400000001 to x15400000002y", "from 0086154****0001 to x154****0002y"),
        ("1795395850739", "1795395850739"),
        ("154000000012", "154000000012"),
    ],
)
def test_api_11_a_number_is_masked_wherever_it_stands(text: str, shown: str) -> None:
    """Longer runs of digits, times among them, are no numbers."""
    assert mask_all(text) == shown
    assert mask_all({"a": [text]}) == {"a": [shown]}


def test_a_mask_keeps_three_and_four() -> None:
    """Enough to recognise one's own."""
    assert mask("13800138000") == "138****8000"


def test_api_11_input_cannot_make_a_line_of_its_own(logged: io.StringIO) -> None:
    """CR and LF are written as text; also in lines of the libraries, and in what they format."""
    get_log("test").info("happened", path="/a\r\nfake line")
    logging.getLogger("tornado.access").warning("GET %s", "/15400000001\r\nfake line")
    lines = logged.getvalue().splitlines()
    assert len(lines) == 2
    assert [json.loads(line)["level"] for line in lines] == ["info", "warning"]
    assert "15400000001" not in logged.getvalue()

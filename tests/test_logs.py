"""Log lines tell what happened and nothing that is nobody's business."""

import io
import json
import logging

import pytest

from server.logs import get_log, mask, mask_all
from tests.conftest import Stack
from tests.helpers import MOBILE


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
    assert mask("15400138000") == "154****8000"


def test_api_11_input_cannot_make_a_line_of_its_own(logged: io.StringIO) -> None:
    """CR and LF are written as text; also in lines of the libraries, and in what they format."""
    get_log("test").info("happened", path="/a\r\nfake line")
    logging.getLogger("tornado.access").warning("GET %s", "/15400000001\r\nfake line")
    lines = logged.getvalue().splitlines()
    assert len(lines) == 2
    assert [json.loads(line)["level"] for line in lines] == ["info", "warning"]
    assert "15400000001" not in logged.getvalue()


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), ValueError("closed file")])
def test_a_log_that_cannot_be_written_stops_nobody(
    logged: io.StringIO, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, or whoever read it is gone. When it can be written again, it is."""

    def fail(_: str) -> int:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(logged, "write", fail)
        get_log("test").info("lost")
    get_log("test").info("kept")
    assert [json.loads(line)["event"] for line in logged.getvalue().splitlines()] == ["kept"]


def test_a_line_that_json_has_no_form_for_is_written_nevertheless(logged: io.StringIO) -> None:
    """Whoever writes it is not told of that, least of all by an exception."""
    get_log("test").info("odd", number=2**70, text="\ud800", mobile="15400138000")
    line = json.loads(logged.getvalue())
    assert (line["number"], line["text"], line["mobile"]) == (2**70, "\ud800", "154****8000")


@pytest.mark.gen_test(timeout=20)
async def test_a_line_and_an_error_name_the_request_they_are_about(logged: io.StringIO, stack: Stack) -> None:
    """By REST each request has an id, on a websocket each message has one of its own."""
    page, rest = await stack.page(), stack.rest()

    async def fail(_: object) -> set[str]:
        raise RuntimeError("boom")

    stack.services.mobiles.surely_free = fail  # type: ignore[method-assign]
    told = [(await page.ask("mobile.check", mobile=MOBILE))["data"]["request_id"] for _ in range(2)]
    told.append((await rest.get(f"/user/mobile/{MOBILE}/")).error["request_id"])
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert [line["request_id"] for line in lines if line["event"] == "question.failed"] == told
    assert len(set(told)) == 3

"""The one rule for mobile numbers, in the schema and through a running service."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.schemas.base import canonical_mobile
from server.schemas.mobile import MobileCheck
from tests.conftest import Stack
from tests.helpers import MOBILE

ACCEPTED = [
    "15400000001",
    "+8615400000001",
    "008615400000001",
    "8615400000001",
    "154 0000 0001",
    "154-0000-0001",
    "+86 154-0000-0001",
    "+86-154-0000-0001",
    "0086 154 0000 0001",
    "86 154 0000 0001",
    "  15400000001  ",
    "-15400000001-",
    "1-5-4-0-0-0-0-0-0-0-1",
    "1 5 4 0 0 0 0 0 0 0 1",
    "+ 8 6 1 5 4 0 0 0 0 0 0 0 1",
    "- - +86 - - 15400000001",
    "0-0-8-6-15400000001",
]
WRONG_DIGITS = [
    "",
    " ",
    "-",
    "1",
    "+86",
    "86",
    "0086",
    "1540000000",
    "154000000011",
    "12400000001",
    "10400000001",
    "25400000001",
    "01540000000",
    "015400000001",
    "861540000000",
    "86154000000011",
    "+861540000000",
    "+86154000000011",
    "00861540000000",
    "0086154000000011",
    "86154000000",
    "868615400000001",
    "+86+8615400000001",
    "+868615400000001",
    "+008615400000001",
    "++8615400000001",
    "+15400000001",
    "15400000001+86",
    "0015400000001",
    "08615400000001",
    "+8515400000001",
    "+852 15400000001",
]
WRONG_CHARACTERS = [
    "1540000000a",
    "1540000000O",
    "15400000001x",
    "tel:15400000001",
    "(154)00000001",
    "154.0000.0001",
    "154_0000_0001",
    "15400000001;",
    "15400000001'--",
    "15400000001\x00",
    "\x0015400000001",
    "1.5400000001e10",
    "0x15400000001",
]
WHITE_SPACE = [
    "15400000001\n",
    "\n15400000001",
    "15400000001\r\n",
    "15400000001\r",
    "1540000\n0001",
    "15400000001\t",
    "154\t00000001",
    "15400000001\v",
    "15400000001\f",
    "15400000001\x1c",
    "15400000001\x85",
    "15400000001\u00a0",
    "154\u00a00000\u00a00001",
    "15400000001\u1680",
    "154\u20090000\u20090001",
    "15400000001\u2028",
    "15400000001\u202f",
    "154\u300000000001",
]
INVISIBLE = [
    "15400000001\u200b",
    "154\u200b00000001",
    "154\u200c00000001",
    "154\u200d00000001",
    "154\u206000000001",
    "\ufeff15400000001",
    "\u200e15400000001",
    "\u200f15400000001",
    "15400000001\u200f",
    "\u202e10000000451",
    "\u206615400000001\u2069",
    "154\u00ad0000\u00ad0001",
    "15400000001\u0301",
    "15400000001\ufe0f",
]
FOREIGN_SIGNS = [
    "١٥٤٠٠٠٠٠٠٠١",
    "1540000000١",
    "۱۵۴۰۰۰۰۰۰۰۱",
    "१५४०००००००१",
    "１５４０００００００１",
    "1540000000１",
    "𝟏𝟓𝟒𝟎𝟎𝟎𝟎𝟎𝟎𝟎𝟏",
    "1540000000¹",
    "1540000000①",
    "一五四〇〇〇〇〇〇〇一",
    "＋8615400000001",
    "+８６15400000001",
    "154－0000－0001",
    "154−0000−0001",
    "154–0000–0001",
    "154—0000—0001",
    "154‐0000‐0001",
    "154‑0000‑0001",
    "154﹣00000001",
]
REFUSED = [*WRONG_DIGITS, *WRONG_CHARACTERS, *WHITE_SPACE, *INVISIBLE, *FOREIGN_SIGNS]


@pytest.mark.parametrize("text", ACCEPTED)
def test_ws_10_any_usual_notation_is_the_same_number(text: str) -> None:
    """Spaces and hyphens go from anywhere, then one prefix; eleven digits are left."""
    assert MobileCheck().load({"mobile": text}) == {"mobile": MOBILE}


@pytest.mark.parametrize("text", [*WRONG_DIGITS, *WRONG_CHARACTERS], ids=ascii)
def test_ws_10_wrong_digits_are_refused(text: str) -> None:
    """Too few, too many, another range, a prefix without eleven digits, or anything between."""
    assert MobileCheck().validate({"mobile": text}) == {"mobile": ["field.mobile"]}


@pytest.mark.parametrize("text", [*WHITE_SPACE, *INVISIBLE, *FOREIGN_SIGNS], ids=ascii)
def test_seed_10_only_ascii_digits_and_nothing_unseen_make_a_number(text: str) -> None:
    """A trailing newline, other scripts' digits, full-width signs and unseen characters are no part of a number."""
    assert MobileCheck().validate({"mobile": text}) == {"mobile": ["field.mobile"]}


@pytest.mark.parametrize("value", [15400000001, 1.54e10, True, [], {}, ["15400000001"], {"$ne": None}, {"$gt": ""}])
def test_api_5_a_mobile_is_a_string(value: Any) -> None:
    """Nothing is made into a number that was not written as one."""
    assert MobileCheck().validate({"mobile": value}) == {"mobile": ["field.mobile"]}


def test_a_missing_mobile_is_asked_for() -> None:
    """Left out or null is "required", not "wrong"."""
    assert MobileCheck().validate({}) == {"mobile": ["field.required"]}
    assert MobileCheck().validate({"mobile": None}) == {"mobile": ["field.required"]}


@given(st.text("0123456789+- ", max_size=20), st.data())
def test_separators_never_change_the_verdict(text: str, data: st.DataObject) -> None:
    """A space or a hyphen put anywhere leaves the number as it was, valid or not."""
    place = data.draw(st.integers(0, len(text)))
    separator = data.draw(st.sampled_from(" -"))
    assert canonical_mobile(text[:place] + separator + text[place:]) == canonical_mobile(text)


@given(st.text(max_size=20))
def test_a_canonical_number_is_eleven_ascii_digits_and_stays(text: str) -> None:
    """Whatever is read, what comes out is canonical already."""
    mobile = canonical_mobile(text)
    if mobile is not None:
        assert len(mobile) == 11
        assert mobile.isascii()
        assert mobile.isdigit()
        assert canonical_mobile(mobile) == mobile


@pytest.mark.gen_test(timeout=30)
async def test_ws_10_both_transports_give_the_same_verdict(start: Callable[..., Coroutine[Any, Any, Stack]]) -> None:
    """The same text is the same number, or none, over the websocket and over REST."""
    stack = await start(LIMITS="observe")
    page, rest = await stack.page(), stack.rest()
    for text in [*ACCEPTED, *REFUSED]:
        socket = await page.ask("mobile.check", mobile=text)
        answer = await rest.get(f"/user/mobile/{quote(text, safe='')}/")
        if text in ACCEPTED:
            assert socket["data"] == {"mobile": MOBILE, "available": True}, ascii(text)
            assert (answer.status, answer.body) == (200, socket["data"]), ascii(text)
        else:
            assert socket["data"]["code"] == "mobile_invalid", ascii(text)
            assert (answer.status, answer.error["code"]) == (400, "mobile_invalid"), ascii(text)
            assert (
                socket["data"]["params"] == answer.error["params"] == {"fields": {"mobile": ["手机号码格式有误！"]}}
            )


@pytest.mark.gen_test(timeout=30)
async def test_rl_4_every_notation_is_one_number_to_the_interval(stack: Stack) -> None:
    """Writing the number in another way does not buy another SMS."""
    page, rest = await stack.page(), stack.rest()
    assert (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["type"] == "sms.queued"
    for text in ACCEPTED:
        asked = {"mobile": text, "purpose": "register"}
        assert (await page.ask("sms.send", **asked))["data"]["code"] == "sms_too_soon"
        assert (await rest.post("/user/sms/", asked)).error["code"] == "sms_too_soon"

"""A captcha counts once, for what and where it was issued."""

import base64
import json
from collections.abc import Callable, Coroutine
from typing import Any

import altcha
import pytest

from server.captcha.altcha import Altcha
from tests.conftest import Stack
from tests.helpers import MOBILE, PageClient

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]


@pytest.fixture
def guarded(io_loop: Any, start: Start) -> Stack:
    return io_loop.run_sync(lambda: start(CAPTCHA_PROVIDER="altcha"))  # type: ignore[no-any-return]


def solve(challenge: dict[str, Any]) -> str:
    """What the browser's worker does."""
    parsed = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(parsed)
    assert solution is not None
    return str(altcha.Payload(parsed, solution).to_base64())


async def _solved(page: PageClient, purpose: str = "register") -> str:
    issued = (await page.ask("captcha.new", purpose=purpose))["data"]
    assert issued["provider"] == "altcha"
    return solve(issued["challenge"])


async def _send(page: PageClient, captcha: str | None, mobile: str = MOBILE) -> str:
    more = {} if captcha is None else {"captcha": captcha}
    answer = await page.ask("sms.send", mobile=mobile, purpose="register", **more)
    return "ok" if answer["type"] == "sms.queued" else str(answer["data"]["code"])


async def test_rl_8_no_sms_leaves_without_a_captcha(guarded: Stack) -> None:
    """403 `captcha_required`, which says for what; with a solved one it goes (seed: nothing asked for it)."""
    page = await guarded.page()
    refused = await page.ask("sms.send", mobile=MOBILE, purpose="register")
    assert refused["data"]["code"] == "captcha_required"
    assert refused["data"]["params"] == {"purpose": "register"}
    assert await _send(page, await _solved(page)) == "ok"


async def test_rl_8_a_captcha_counts_once(guarded: Stack) -> None:
    """Also when its text is written differently: what counts is the challenge."""
    page = await guarded.page()
    answer = await _solved(page)
    assert await _send(page, answer) == "ok"
    decoded = json.loads(base64.b64decode(answer))
    decoded["solution"]["time"] = 12345
    disguised = base64.b64encode(json.dumps(decoded).encode()).decode()
    for again in (answer, disguised, answer[:20] + "\n" + answer[20:]):
        assert await _send(page, again, "15400000002") == "captcha_failed"


async def test_rl_8_a_captcha_is_spent_even_if_a_later_step_refuses(guarded: Stack) -> None:
    """Order of judgement: captcha, then taken, then limits (docs/rest.md)."""
    page = await guarded.page()
    await _send(page, await _solved(page))
    answer = await _solved(page)
    assert await _send(page, answer) == "sms_too_soon"
    assert await _send(page, answer, "15400000002") == "captcha_failed"


async def test_rl_8_a_captcha_is_bound_to_its_purpose_and_device(guarded: Stack) -> None:
    """One for another purpose or from another browser is refused."""
    page = await guarded.page()
    assert await _send(page, await _solved(page, "login")) == "captcha_failed"
    other = await guarded.page(Cookie="device=somebody-else")
    assert await _send(page, await _solved(other)) == "captcha_failed"
    same = await guarded.page(Cookie="device=somebody-else")
    assert await _send(same, await _solved(other)) == "ok"


async def test_rl_8_a_captcha_lives_two_minutes(guarded: Stack) -> None:
    """By the service's clock."""
    page = await guarded.page()
    answer = await _solved(page)
    guarded.clock.advance(121)
    assert await _send(page, answer) == "captcha_failed"


@pytest.mark.parametrize(
    "answer", ["", "!", "bnVsbA==", "W10=", "e30=", base64.b64encode(b"x" * 2000).decode(), "é" * 10]
)
async def test_rl_8_nonsense_is_no_captcha(guarded: Stack, answer: str) -> None:
    """It is refused, not an error of ours."""
    page = await guarded.page()
    assert await _send(page, answer) in ("captcha_failed", "captcha_required")


async def test_rl_8_a_tampered_challenge_is_no_captcha(guarded: Stack) -> None:
    """Cheaper, longer, or for another purpose: the signature no longer holds."""
    page = await guarded.page()
    for change in ({"cost": 1}, {"expiresAt": 9999999999}, {"data": {"purpose": "register", "device": ""}}):
        issued = (await page.ask("captcha.new", purpose="register"))["data"]["challenge"]
        issued["parameters"] |= change
        decoded = json.loads(base64.b64decode(solve(issued))) if "cost" not in change else {"challenge": issued}
        forged = base64.b64encode(json.dumps(decoded).encode()).decode()
        assert await _send(page, forged) == "captcha_failed"


def test_a_challenge_of_an_older_key_is_still_good() -> None:
    """Keys can be rotated while pages are open."""
    old = Altcha([b"a" * 32], cost=10, tries=(2, 4))
    new = Altcha([b"b" * 32, b"a" * 32], cost=10, tries=(2, 4))
    challenge = old.challenge(data={"purpose": "register"}, expires_at=9999999999, dearer=False)
    assert new.verify(solve(challenge)) is not None
    assert Altcha([b"b" * 32]).verify(solve(challenge)) is None

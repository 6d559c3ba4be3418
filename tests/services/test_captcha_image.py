"""The picture for browsers that cannot run altcha, and the pass for an answer that was checked."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from server.captcha.image import ALPHABET, DEARER_LETTERS, LETTERS, Image
from tests.conftest import Stack
from tests.helpers import MOBILE, PageClient

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]
_PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def guarded(io_loop: Any, start: Start) -> Stack:
    return io_loop.run_sync(lambda: start(CAPTCHA_PROVIDER="image"))  # type: ignore[no-any-return]


async def read(stack: Stack, challenge_id: str) -> str:
    """What a person reads in the picture."""
    kept = json.loads(await stack.redis.call("GET", f"captcha:open:{challenge_id}"))
    letters = Image(dict(stack.settings.ring("CODE_KEYS").keys)).letters(challenge_id, kept)
    assert letters is not None
    return letters


async def solved(stack: Stack, page: PageClient, purpose: str = "register", **wish: str) -> dict[str, str]:
    """The right answer to a new picture."""
    offer = (await page.ask("captcha.new", purpose=purpose, **wish))["data"]
    assert offer["provider"] == "image"
    return {"id": offer["id"], "answer": await read(stack, offer["id"])}


async def send(page: PageClient, captcha: Any, mobile: str = MOBILE) -> str:
    answer = await page.ask("sms.send", mobile=mobile, purpose="register", captcha=captcha)
    return "ok" if answer["type"] == "sms.queued" else str(answer["data"]["code"])


async def check(page: PageClient, captcha: Any, purpose: str = "register") -> tuple[str, str]:
    """The code of a refusal or "ok", and the pass."""
    answer = await page.ask("captcha.check", purpose=purpose, captcha=captcha)
    return answer["data"].get("code", "ok"), answer["data"].get("captcha_token", "")


async def test_rl_8_a_picture_is_shown_and_its_letters_are_the_answer(guarded: Stack) -> None:
    """Over REST, as a page shows it: a PNG that nobody caches; the letters in any case, spaced, full-width."""
    rest, page = guarded.rest(), await guarded.page()
    offer = (await rest.get("/user/captcha/?purpose=register")).body
    assert offer.keys() == {"provider", "id", "url", "expires_at"}
    picture = await rest.get(offer["url"])
    assert (picture.status, picture.headers["Content-Type"]) == (200, "image/png")
    assert picture.body.startswith(_PNG)
    assert picture.headers["Cache-Control"] == "no-store"
    letters = await read(guarded, offer["id"])
    typed = "".join(chr(ord(letter) + 0xFEE0) for letter in letters[:2]) + f" {letters[2:].lower()} "
    assert await send(page, {"id": offer["id"], "answer": typed}) == "ok"


async def test_rl_8_the_answer_to_a_picture_counts_once(guarded: Stack) -> None:
    """A wrong one uses the picture up too, so nobody can try letter after letter."""
    page = await guarded.page()
    answer = await solved(guarded, page)
    assert await send(page, answer | {"answer": "wrong"}) == "captcha_failed"
    assert await send(page, answer) == "captcha_failed"
    answer = await solved(guarded, page)
    assert await send(page, answer) == "ok"
    assert await send(page, answer, "15400000002") == "captcha_failed"


async def test_rl_8_of_parallel_answers_to_a_picture_one_counts(guarded: Stack) -> None:
    """Looking and using up is one step."""
    page = await guarded.page()
    answer = await solved(guarded, page)
    codes = [code for code, _ in await asyncio.gather(*(check(page, answer) for _ in range(20)))]
    assert sorted(codes) == ["captcha_failed"] * 19 + ["ok"]


async def test_rl_8_a_picture_is_bound_to_its_purpose_and_device(guarded: Stack) -> None:
    """Neither its answer nor the picture itself is for another browser."""
    page = await guarded.page()
    assert await send(page, await solved(guarded, page, "login")) == "captcha_failed"
    other = await guarded.page(Cookie="device=somebody-else")
    answer = await solved(guarded, other)
    url = f"/user/captcha/{answer['id']}.png"
    assert (await guarded.rest().get(url)).status == 404
    assert (await guarded.rest().get(url, Cookie="device=somebody-else")).status == 200
    assert await send(page, answer) == "captcha_failed"


async def test_rl_8_a_picture_lives_two_minutes(guarded: Stack) -> None:
    """It and its answer, by the service's clock."""
    page = await guarded.page()
    answer = await solved(guarded, page)
    guarded.clock.advance(121)
    assert (await guarded.rest().get(f"/user/captcha/{answer['id']}.png")).status == 404
    assert await send(page, answer) == "captcha_failed"


async def test_rl_8_a_dearer_picture_has_more_letters(guarded: Stack) -> None:
    """An address that asks for much is asked for the dearer one, and that one is taken."""
    page = await guarded.page()
    for number in range(5):
        assert await send(page, await solved(guarded, page), f"1540000010{number}") == "ok"
    answer = await solved(guarded, page)
    assert len(answer["answer"]) == DEARER_LETTERS > LETTERS
    assert await send(page, answer, "15400000200") == "ok"


async def test_rl_8_no_letter_of_a_picture_lies_in_redis(guarded: Stack) -> None:
    """They follow from a key that is not there."""
    answer = await solved(guarded, await guarded.page())
    kept = await guarded.redis.call("GET", f"captcha:open:{answer['id']}")
    assert answer["answer"] not in str(kept)
    assert set(answer["answer"]) <= set(ALPHABET)


@pytest.mark.parametrize(
    "captcha",
    [
        {},
        {"id": "0" * 32},
        {"id": "0" * 31, "answer": "AAAAA"},
        {"id": "0" * 32, "answer": ""},
        {"id": "0" * 32, "answer": 5},
        {"id": "0" * 32, "answer": "A", "more": "A"},
        {"id": ["0" * 32], "answer": "A"},
    ],
)
async def test_rl_8_an_answer_of_another_shape_is_refused_as_such(guarded: Stack, captcha: Any) -> None:
    """Before anything is looked up."""
    assert await send(await guarded.page(), captcha) == "validation_failed"


async def test_rl_8_an_unknown_picture_is_no_captcha(guarded: Stack) -> None:
    """A made-up id, and a pass given out as a picture's answer."""
    page = await guarded.page()
    assert await send(page, {"id": "0" * 32, "answer": "AAAAA"}) == "captcha_failed"
    _, token = await check(page, await solved(guarded, page))
    assert await send(page, {"id": token.removeprefix("pass_"), "answer": "AAAAA"}) == "captcha_failed"


async def test_a_picture_of_an_older_key_is_still_good() -> None:
    """Keys can be rotated while pages are open; a key that is gone makes the answer wrong, not an error."""
    old, new = Image({"a": b"a" * 32}), Image({"b": b"b" * 32, "a": b"a" * 32})
    _, kept = await old.begin("1" * 32, dearer=False)
    letters = old.letters("1" * 32, kept)
    assert letters is not None
    assert await new.passes("1" * 32, kept, {"answer": letters})
    gone = Image({"b": b"b" * 32})
    assert not await gone.passes("1" * 32, kept, {"answer": letters})
    assert gone.draw("1" * 32, kept) is None


async def test_the_answer_to_a_picture_travels_in_a_header_too(guarded: Stack) -> None:
    """As JSON in `X-Captcha`, where a GET asks for a captcha; what looks like JSON and is none is refused."""
    page, rest = await guarded.page(), guarded.rest()
    answer = json.dumps(await solved(guarded, page, "check"))
    assert (await rest.get(f"/user/mobile/{MOBILE}/", X_Captcha=answer)).status == 200
    assert (await rest.get(f"/user/mobile/{MOBILE}/", X_Captcha=answer)).error["code"] == "captcha_failed"
    assert (await rest.get(f"/user/mobile/{MOBILE}/", X_Captcha="{")).error["code"] == "json_invalid"


async def test_rl_8_who_cannot_run_altcha_gets_a_picture(start: Start) -> None:
    """Where the site is not reached by HTTPS; elsewhere every browser can, and who asks for less is not heard."""
    plain = await start(CAPTCHA_PROVIDER="altcha")
    page = await plain.page()
    assert await send(page, await solved(plain, page, provider="image")) == "ok"
    assert (await page.ask("captcha.new", purpose="register"))["data"]["provider"] == "altcha"
    secure = await start(CAPTCHA_PROVIDER="altcha", SITE_URL="https://haoma.example")
    offer = (await (await secure.page()).ask("captcha.new", purpose="register", provider="image"))["data"]
    assert offer["provider"] == "altcha"


async def test_rl_8_a_pass_is_as_good_as_the_answer_that_bought_it_and_no_better(guarded: Stack) -> None:
    """It counts once, for its purpose and device, for two minutes, and buys no further pass."""
    page = await guarded.page()
    code, token = await check(page, await solved(guarded, page))
    assert code == "ok"
    assert await send(page, token) == "ok"
    assert await send(page, token, "15400000002") == "captcha_failed"

    _, token = await check(page, await solved(guarded, page, "login"), "login")
    assert await send(page, token, "15400000002") == "captcha_failed"
    other = await guarded.page(Cookie="device=somebody-else")
    _, token = await check(other, await solved(guarded, other))
    assert await send(page, token, "15400000002") == "captcha_failed"
    _, token = await check(page, await solved(guarded, page))
    assert (await check(page, token))[0] == "captcha_failed"
    guarded.clock.advance(121)
    assert await send(page, token, "15400000002") == "captcha_failed"


async def test_rl_8_a_pass_is_given_for_a_right_answer_only(guarded: Stack) -> None:
    """The seed's POST, over REST: 200 with the pass, else the refusal; a wrong answer is used up."""
    rest, page = guarded.rest(), await guarded.page()
    right = await solved(guarded, page)
    wrong = await rest.post("/user/captcha/", {"purpose": "register", "captcha": right | {"answer": "AAAAAAAAA"}})
    assert (wrong.status, wrong.error["code"]) == (400, "captcha_failed")
    late = await rest.post("/user/captcha/", {"purpose": "register", "captcha": right})
    assert late.error["code"] == "captcha_failed"
    assert (await rest.post("/user/captcha/", {"purpose": "register"})).error["code"] == "captcha_required"
    passed = await rest.post("/user/captcha/", {"purpose": "register", "captcha": await solved(guarded, page)})
    assert passed.status == 200
    assert passed.body.keys() == {"captcha_token", "expires_at"}
    assert await send(page, passed.body["captcha_token"]) == "ok"


async def test_a_service_without_captcha_passes_everybody(stack: Stack) -> None:
    """Scripts that do the seed's steps need not know."""
    page = await stack.page()
    code, token = await check(page, "anything")
    assert code == "ok"
    assert await send(page, token) == "ok"

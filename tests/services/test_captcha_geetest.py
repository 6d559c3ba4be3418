"""GeeTest, against a stand-in that checks what it is sent; and what is asked while it is away."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.captcha.geetest3 import DIGESTS
from server.captcha.geetest4 import sign_token
from tests.conftest import Stack
from tests.helpers import MOBILE, PageClient
from tests.services.test_captcha import solve
from tests.vendors.geetest import CAPTCHA_ID, KEY, GeetestStandIn

pytestmark = pytest.mark.gen_test(timeout=30)
Start = Callable[..., Coroutine[Any, Any, Stack]]
OTHER = "15400000002"


@asynccontextmanager
async def guarded(start: Start, provider: str, **how: str) -> AsyncIterator[tuple[GeetestStandIn, Stack, PageClient]]:
    """A service that asks GeeTest, and a page."""
    async with GeetestStandIn(**how) as vendor:
        stack = await start(**vendor.environ(provider))
        yield vendor, stack, await stack.page()
        assert vendor.faults == []


async def send(page: PageClient, captcha: Any, mobile: str = MOBILE) -> str:
    answer = await page.ask("sms.send", mobile=mobile, purpose="register", captcha=captcha)
    return "ok" if answer["type"] == "sms.queued" else str(answer["data"]["code"])


async def offered(page: PageClient, purpose: str = "register") -> dict[str, Any]:
    return dict((await page.ask("captcha.new", purpose=purpose))["data"])


async def solved(vendor: GeetestStandIn, page: PageClient, purpose: str = "register") -> dict[str, str]:
    """What the vendor's script would have the page send."""
    offer = await offered(page, purpose)
    if offer["provider"] == "geetest4":
        return {"id": offer["id"]} | vendor.solve4()
    return {"id": offer["id"]} | vendor.solve3(offer["challenge"]["challenge"])


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        ("md5", "0a481c446cbac8edb13fd4ab09a1dc7d"),
        ("sha256", "d438ee550fcef7b466b2bb4d70eec73f8f25c395d9999cc8c991b513d1ca9e5e"),
        ("hmac-sha256", "faf2b0c0c70f848e8c8fd0f5139bdfad89a1608a63359fd0e7677baa6e73eaa3"),
    ],
)
def test_a_challenge_of_version_3_is_signed_as_its_sdk_does(digest: str, expected: str) -> None:
    """The vendor's own figures."""
    assert DIGESTS[digest]("fedcba9876543210fedcba9876543210", KEY) == expected


def test_an_answer_of_version_4_is_signed_as_its_demo_does() -> None:
    """The vendor's own figures."""
    signed = "32c4d2f3f4a138401448c9f838c0e192495c9655a038c10d00870aed166c9899"
    assert sign_token(KEY, "4dc3cfc2cdff448cad8d13107198d473") == signed


@pytest.mark.parametrize("digest", ["md5", "sha256", "hmac-sha256"])
async def test_rl_8_version_3_from_registering_to_the_verdict(start: Start, digest: str) -> None:
    """The challenge that the browser gets is the registered one, signed; the sliding kind's answer passes too."""
    async with guarded(start, "geetest3", digest=digest) as (vendor, _, page):
        offer = await offered(page)
        assert offer["challenge"].keys() == {"gt", "challenge", "success", "new_captcha"}
        assert (offer["challenge"]["gt"], offer["challenge"]["success"]) == (CAPTCHA_ID, 1)
        answer = {"id": offer["id"]} | vendor.solve3(offer["challenge"]["challenge"], more="7a")
        assert await send(page, answer) == "ok"
        assert vendor.asked == ["/register.php", "/validate.php"]


async def test_rl_8_version_4_asks_for_the_verdict_on_our_own_captcha(start: Start) -> None:
    """The browser is told the id, and has no say in which one is verified."""
    async with guarded(start, "geetest4") as (vendor, _, page):
        assert (await offered(page))["challenge"] == {"captchaId": CAPTCHA_ID}
        answer = await solved(vendor, page)
        assert await send(page, answer | {"captcha_id": "0" * 32}) == "validation_failed"
        assert await send(page, answer) == "ok"


@pytest.mark.parametrize("provider", ["geetest3", "geetest4"])
async def test_rl_8_geetest_is_bound_and_counts_once(start: Start, provider: str) -> None:
    """As every captcha; and nobody bothers GeeTest with what would not be taken anyway."""
    async with guarded(start, provider) as (vendor, stack, page):
        answer = await solved(vendor, page)
        assert await send(page, answer) == "ok"
        assert await send(page, answer, OTHER) == "captcha_failed"
        asked = len(vendor.asked)
        login = await solved(vendor, page, "login")
        other = await stack.page(Cookie="device=somebody-else")
        foreign = await solved(vendor, other)
        late = await solved(vendor, page)
        stack.clock.advance(121)
        for refused in (login, foreign, late):
            assert await send(page, refused, OTHER) == "captcha_failed"
        assert not [path for path in vendor.asked[asked:] if path.startswith("/validate")]


async def test_rl_8_an_answer_of_version_4_does_not_count_under_a_second_challenge(start: Start) -> None:
    """Even if GeeTest would let it pass again."""
    async with guarded(start, "geetest4") as (vendor, _, page):
        fields = vendor.solve4()
        assert await send(page, fields | {"id": (await offered(page))["id"]}) == "ok"
        assert await send(page, fields | {"id": (await offered(page))["id"]}, OTHER) == "captcha_failed"


async def test_rl_8_an_answer_of_version_3_is_for_its_own_challenge(start: Start) -> None:
    """A right answer to another challenge of ours is none."""
    async with guarded(start, "geetest3") as (vendor, _, page):
        mine, other = await offered(page), await offered(page)
        fields = vendor.solve3(other["challenge"]["challenge"])
        assert await send(page, fields | {"id": mine["id"]}) == "captcha_failed"


@pytest.mark.parametrize("provider", ["geetest3", "geetest4"])
async def test_rl_8_whom_geetest_refuses_is_refused(start: Start, provider: str) -> None:
    """And so is what was made up."""
    async with guarded(start, provider) as (vendor, _, page):
        vendor.mode = "refuse"
        assert await send(page, await solved(vendor, page)) == "captcha_failed"
        vendor.mode = "ok"
        answer = await solved(vendor, page)
        made_up = {name: "0" * 32 if name != "id" else text for name, text in answer.items()}
        assert await send(page, made_up) == "captcha_failed"
        assert await send(page, await solved(vendor, page) | {"id": "0" * 32}) == "captcha_failed"


@pytest.mark.parametrize("mode", ["error", "garbage", "empty", "hang"])
@pytest.mark.parametrize("provider", ["geetest3", "geetest4"])
async def test_rl_8_while_geetest_is_away_altcha_is_asked_and_nobody_passes(
    start: Start, provider: str, mode: str
) -> None:
    """The answer that could not be verified buys nothing; all that follow get the dearer altcha, and that counts."""
    async with guarded(start, provider) as (vendor, _, page):
        answer = await solved(vendor, page)
        vendor.mode = mode
        assert await send(page, answer) == "captcha_required"
        assert await send(page, answer) == "captcha_failed"
        asked = len(vendor.asked)
        offer = await offered(page)
        assert (offer["provider"], len(vendor.asked)) == ("altcha", asked)
        assert offer["challenge"]["parameters"]["data"]["dearer"] == "1"
        assert await send(page, solve(offer["challenge"])) == "ok"


@pytest.mark.parametrize("mode", ["error", "empty"])
async def test_rl_8_a_challenge_that_cannot_be_registered_falls_to_altcha(start: Start, mode: str) -> None:
    """For every purpose, a login too: it is not denied, it costs the dearer altcha."""
    async with guarded(start, "geetest3") as (vendor, _, page):
        vendor.mode = mode
        for purpose in ("register", "check", "login"):
            offer = await offered(page, purpose)
            assert offer["provider"] == "altcha"
        captcha = solve(offer["challenge"])
        login = await page.ask("session.login", account=MOBILE, password="wrong password", captcha=captcha)
        assert login["data"]["code"] == "credentials_invalid"
        assert vendor.asked == ["/register.php"]


async def test_rl_8_geetest_is_asked_again_when_it_has_been_away(start: Start) -> None:
    """The mark that it is away lapses in Redis."""
    async with guarded(start, "geetest3") as (vendor, stack, page):
        vendor.mode = "error"
        assert (await offered(page))["provider"] == "altcha"
        vendor.mode = "ok"
        assert (await offered(page))["provider"] == "altcha"
        assert 0 < await stack.redis.call("TTL", "captcha:away:geetest3") <= 30
        await stack.redis.call("DEL", "captcha:away:geetest3")
        assert await send(page, await solved(vendor, page)) == "ok"


async def test_rl_8_a_browser_cannot_choose_a_cheaper_captcha_than_geetest(start: Start) -> None:
    """The wish for a picture is heard only where GeeTest is away."""
    async with guarded(start, "geetest4") as (_, _, page):
        wish = await page.ask("captcha.new", purpose="register", provider="image")
        assert wish["data"]["provider"] == "geetest4"


async def test_rl_8_a_verified_answer_buys_a_pass(start: Start) -> None:
    """The seed's POST, for GeeTest as well."""
    async with guarded(start, "geetest3") as (vendor, stack, page):
        body = {"purpose": "register", "captcha": await solved(vendor, page)}
        passed = await stack.rest().post("/user/captcha/", body)
        assert await send(page, passed.body["captcha_token"]) == "ok"

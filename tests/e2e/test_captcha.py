"""The picture that stands in for altcha, as a visitor lives it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Route, expect

from server.captcha.image import Image
from tests.conftest import Stack
from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage, Visitor
from tests.helpers import MOBILE, PASSWORD
from tests.vendors.geetest import CAPTCHA_ID, GeetestStandIn

pytestmark = pytest.mark.gen_test(timeout=60)


async def read_picture(stack: Stack, page: Page) -> str:
    """What a person reads in the picture that the dialog shows."""
    address = await page.locator("#captcha-picture").get_attribute("src")
    assert address is not None
    challenge_id = address.rsplit("/", 1)[1].removesuffix(".png")
    kept = json.loads(await stack.redis.call("GET", f"captcha:open:{challenge_id}"))
    letters = Image(dict(stack.settings.ring("CODE_KEYS").keys)).letters(challenge_id, kept)
    assert letters is not None
    return letters


async def is_drawn(page: Page, width: int = 264) -> None:
    """The picture has arrived."""
    await expect(page.locator("#captcha-picture")).to_have_js_property("naturalWidth", width)


@pytest.mark.parametrize(
    ("lang", "wrong", "failed"),
    [
        ("", "不对，或者已过期，请看新的图片", "安全验证没有完成，请再试一次"),
        (
            "en",
            "Not right, or too late: please try this new picture",
            "The security check did not finish; please try again",
        ),
    ],
    ids=["zh-CN", "en"],
)
async def test_rl_8_a_visitor_types_what_the_picture_shows(
    start: Start, visit: Visit, lang: str, wrong: str, failed: str
) -> None:
    """By keyboard alone: giving up, another picture, a wrong answer, the right one; then the SMS is on its way."""
    stack = await start(CAPTCHA_PROVIDER="image")
    visitor = await visit(stack, lang=lang)
    visitor.expects("400 /user/captcha/")
    page, form = visitor.page, RegisterPage(visitor.page)
    await form.connected()
    await form.fill(MOBILE, PASSWORD)
    await form.send.focus()
    dialog, answer = page.locator("#captcha-dialog"), page.locator("#captcha-answer")

    await page.keyboard.press("Enter")
    await expect(answer).to_be_focused()
    await is_drawn(page)
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(form.message).to_have_text(failed)
    await expect(form.send).to_be_focused()

    await page.keyboard.press("Enter")
    await expect(answer).to_be_focused()
    first = await page.locator("#captcha-picture").get_attribute("src")
    await page.keyboard.press("Shift+Tab")
    await expect(page.locator("#captcha-another")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#captcha-picture")).not_to_have_attribute("src", first or "")
    await expect(answer).to_be_focused()

    await page.keyboard.type("wrong")
    await page.keyboard.press("Enter")
    await form.shows_fault("captcha-answer", wrong)
    await expect(answer).to_be_focused()
    await is_drawn(page)
    await page.keyboard.type((await read_picture(stack, page)).lower())
    await page.keyboard.press("Enter")
    await expect(form.timeline).to_be_visible()
    await expect(dialog).to_be_hidden()
    await expect(form.code).to_be_focused()
    await stack.provider.nth(1)


async def test_rl_8_a_browser_without_a_secure_context_is_shown_the_picture(start: Start, visit: Visit) -> None:
    """As on a plain http address in a local network: there altcha cannot run."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    visitor = await visit(stack, None)
    await visitor.context.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    await visitor.open("/register")
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.fill(MOBILE, PASSWORD)
    await form.send.click()
    await is_drawn(visitor.page)
    await visitor.page.locator("#captcha-answer").fill(await read_picture(stack, visitor.page))
    await visitor.page.locator("#captcha-confirm").click()
    await expect(form.timeline).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_the_picture_fits_the_page_and_everybody_can_use_it(start: Start, visit: Visit, width: int) -> None:
    """The longest one too, nothing of the dialog is cut off, and axe finds nothing, light or dark."""
    stack = await start(CAPTCHA_PROVIDER="image")
    await stack.services.limits.ask_dearer("sms.send", "127.0.0.1")
    visitor = await visit(stack, viewport={"width": width, "height": 844})
    form = RegisterPage(visitor.page)
    await form.connected()
    await form.fill(MOBILE, PASSWORD)
    await form.send.click()
    await is_drawn(visitor.page, 396)
    box = await visitor.page.locator("#captcha-dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    for part in ("#captcha-picture", "#captcha-another", "#captcha-cancel", "#captcha-confirm"):
        inner = await visitor.page.locator(part).bounding_box()
        assert inner is not None
        assert inner["x"] >= box["x"]
        assert inner["x"] + inner["width"] <= box["x"] + box["width"]
    await visitor.page.locator("#captcha-confirm").click()
    await expect(visitor.page.locator("#captcha-answer-verdict")).to_have_attribute("data-state", "invalid")
    for scheme in ("light", "dark"):
        await visitor.page.emulate_media(color_scheme=scheme)
        found = await Axe().run(visitor.page)
        assert found.violations_count == 0, found.generate_report()


# What the vendor's script does, as far as a page can see it: `solved` asks the stand-in what a person's work gives.
_SCRIPT = """
globalThis.%(begin)s = (options, made) => {
  const heard = {};
  const captcha = {
    onReady: (ready) => { setTimeout(ready); return captcha; },
    onSuccess: (success) => { heard.success = success; return captcha; },
    onError: () => captcha,
    onClose: (close) => { heard.close = close; return captcha; },
    getValidate: () => heard.result,
    async %(show)s() {
      if (options.product !== "bind") throw new Error("not bound");
      heard.result = await globalThis.solved(options);
      heard.result ? heard.success() : heard.close();
    },
  };
  made(captcha);
};
"""


class GeetestPage:
    """What the vendor's script and the person at it do, with the stand-in as the vendor."""

    def __init__(self, vendor: GeetestStandIn, version: str) -> None:
        self.vendor = vendor
        self.version = version
        self.gives_up = False

    async def deliver(self, route: Route) -> None:
        """The script that the page asks for."""
        names = {"geetest3": ("initGeetest", "verify"), "geetest4": ("initGeetest4", "showCaptcha")}[self.version]
        script = _SCRIPT % dict(zip(("begin", "show"), names, strict=True))
        await route.fulfill(body=script, content_type="text/javascript")

    async def solved(self, options: dict[str, str]) -> dict[str, str] | None:
        """The answer; None if the person gives up."""
        if self.gives_up:
            return None
        if self.version == "geetest3":
            return self.vendor.solve3(options["challenge"])
        assert options["captchaId"] == CAPTCHA_ID
        return self.vendor.solve4() | {"captcha_id": CAPTCHA_ID}


@asynccontextmanager
async def at_geetest(
    start: Start, visit: Visit, version: str
) -> AsyncIterator[tuple[GeetestPage, Stack, Visitor, RegisterPage]]:
    """A visitor whose form is filled in as far as the SMS."""
    async with GeetestStandIn() as vendor:
        stack = await start(**vendor.environ(version))
        visitor = await visit(stack, None)
        there = GeetestPage(vendor, version)
        await visitor.context.route("https://static.geetest.com/**", there.deliver)
        await visitor.context.expose_function("solved", there.solved)
        await visitor.open("/register")
        form = RegisterPage(visitor.page)
        await form.connected()
        await form.fill(MOBILE, PASSWORD)
        yield there, stack, visitor, form


@pytest.mark.parametrize("version", ["geetest3", "geetest4"])
async def test_rl_8_a_visitor_solves_geetest_in_a_script_of_its_own(start: Start, visit: Visit, version: str) -> None:
    """Giving up sends nothing and says so; a right answer sends the SMS."""
    async with at_geetest(start, visit, version) as (there, stack, _, form):
        there.gives_up = True
        await form.send.click()
        await expect(form.message).to_have_text("安全验证没有完成，请再试一次")
        there.gives_up = False
        await form.send_code()
        await stack.provider.nth(1)


@pytest.mark.parametrize(("version", "told"), [("geetest3", []), ("geetest4", ["403 /user/captcha/"])])
async def test_rl_8_a_visitor_solves_altcha_while_geetest_is_away(
    start: Start, visit: Visit, version: str, told: list[str]
) -> None:
    """Also if that is found out only when the answer has been given."""
    async with at_geetest(start, visit, version) as (there, stack, visitor, form):
        visitor.expects(*told)
        there.vendor.mode = "error"
        await form.send_code()
        await stack.provider.nth(1)

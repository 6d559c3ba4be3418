"""The picture that stands in for altcha, as a visitor lives it."""

import json

import pytest
from playwright.async_api import Page, expect

from server.captcha.image import Image
from tests.conftest import Stack
from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage
from tests.helpers import MOBILE, PASSWORD

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


@pytest.mark.parametrize("width", [390, 1280])
async def test_the_picture_fits_a_narrow_page(start: Start, visit: Visit, width: int) -> None:
    """The longest one too, and nothing of the dialog is cut off."""
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

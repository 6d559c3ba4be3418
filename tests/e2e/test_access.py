"""Everybody can use the pages: with a screen reader, with a keyboard only, on any screen, in the dark."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.conftest import Stack
from tests.e2e.conftest import Start, Visit
from tests.e2e.states import SETTINGS, STATES, Reach, inbox
from tests.e2e.visitor import RegisterPage, Visitor
from tests.helpers import MOBILE, PASSWORD

pytestmark = pytest.mark.gen_test(timeout=60)
each_state = pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
HEIGHT = 844

# A ring around the control itself, or around the box that stands for it.
_FOCUS_IS_VISIBLE = """() => {
  const ring = (element) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
  };
  const control = document.activeElement;
  return control !== document.body && (ring(control) || ring(control.closest(".box") ?? control));
}"""


async def bring_to(reach: Reach, start: Start, visit: Visit, lang: str = "") -> Visitor:
    """A visitor for whom a page is in that state."""
    stack = await start(sandbox=reach is inbox, **SETTINGS.get(reach, {}))
    visitor = await visit(stack, None, lang=lang)
    await reach(visitor, stack, f"?lang={lang}" if lang else "")
    return visitor


@each_state
async def test_axe_finds_nothing(start: Start, visit: Visit, reach: Reach) -> None:
    """No violation on a phone and on a desktop, light and dark."""
    page = (await bring_to(reach, start, visit)).page
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            found = await Axe().run(page)
            assert found.violations_count == 0, f"{width} px, {scheme}: {found.generate_report()}"


@each_state
@pytest.mark.parametrize("lang", ["", "en"], ids=["zh-CN", "en"])
async def test_nothing_is_wider_than_the_screen(start: Start, visit: Visit, reach: Reach, lang: str) -> None:
    """From the smallest phone up, in both languages."""
    page = (await bring_to(reach, start, visit, lang)).page
    for width in (320, 390, 1280):
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        needed = await page.evaluate("() => document.documentElement.scrollWidth")
        assert needed <= width, f"{needed} px are needed on {width} px"


async def tab_to(page: Page, control: str) -> None:
    """Press Tab until that control has the focus; each one on the way shows it."""
    for _ in range(12):
        await page.keyboard.press("Tab")
        assert await page.evaluate(_FOCUS_IS_VISIBLE), await page.evaluate("() => document.activeElement.outerHTML")
        if await page.evaluate("() => document.activeElement.id") == control:
            return
    pytest.fail(f"{control} cannot be reached by Tab")


async def test_one_can_register_with_the_keyboard_alone(stack: Stack, visit: Visit) -> None:
    """Tab, Enter and typing are enough, and the focus is always to be seen."""
    visitor = await visit(stack)
    page, form = visitor.page, RegisterPage(visitor.page)
    await form.connected()
    await tab_to(page, "mobile")
    await page.keyboard.type(MOBILE)
    await tab_to(page, "password")
    await page.keyboard.type(PASSWORD)
    await tab_to(page, "password2")
    await page.keyboard.type(PASSWORD)
    await expect(form.send).to_be_enabled()
    await tab_to(page, "send-code")
    await page.keyboard.press("Enter")
    await expect(form.code).to_be_focused()
    assert await page.evaluate(_FOCUS_IS_VISIBLE)
    await page.keyboard.type((await stack.provider.nth(1)).code)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="注册成功！")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#username")).to_be_visible()
    await tab_to(page, "logout")
    await page.keyboard.press("Enter")
    await expect(page.locator("#signed-out")).to_be_visible()


async def test_one_can_sign_in_with_the_keyboard_alone(stack: Stack, visit: Visit) -> None:
    """A password can be looked at, and Enter in a field sends; what is refused can be typed anew at once."""
    visitor = await visit(stack, "/login")
    visitor.expects("401 /user/login/")
    page = visitor.page
    await tab_to(page, "account")
    await page.keyboard.type(MOBILE)
    await tab_to(page, "password")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await expect(page.locator("#password")).to_have_attribute("type", "text")
    await expect(page.get_by_role("button", name="隐藏密码")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#form-message")).to_be_visible()
    await page.keyboard.type("another")
    await expect(page.locator("#password")).to_have_value("another")


async def test_the_skip_link_leads_past_the_header(stack: Stack, visit: Visit) -> None:
    """It is the first stop, shows when it has the focus, and the next stop is in the page itself."""
    page = (await visit(stack, "/login")).page
    skip = page.get_by_role("link", name="跳到正文")
    await page.keyboard.press("Tab")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("() => document.activeElement.closest('main') !== null")

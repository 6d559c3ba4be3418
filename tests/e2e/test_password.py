"""A new password, judged as it is typed and by the server's own rule."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import expect

from server.password_rule import PasswordRule, common_passwords
from tests.conftest import Stack
from tests.e2e.conftest import Visit
from tests.e2e.visitor import RegisterPage
from tests.test_password_rule import MOBILE, STRONG, WEAK

pytestmark = pytest.mark.gen_test(timeout=60)
_LETTERS = st.text(alphabet=st.sampled_from("a1bAé😀密ßİΣς0129qwert"), min_size=8, max_size=12)


async def test_pw_4_the_page_judges_like_the_server(stack: Stack, visit: Visit) -> None:
    """By the list that it was sent, over a few hundred passwords, also made-up ones."""
    samples = [*WEAK, *STRONG, *sorted(common_passwords(8))[::50]]

    @settings(max_examples=40, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(_LETTERS, min_size=5, max_size=10))
    def invent(words: list[str]) -> None:
        samples.extend(words)

    invent()
    page = (await visit(stack, "/register")).page
    judged = await page.evaluate(
        """async ([samples, mobile]) => {
          const { imports } = JSON.parse(document.querySelector("script[type=importmap]").textContent);
          const { learnCommon, weaknessOf } = await import(imports["/static/js/password.js"]);
          await learnCommon();
          return samples.map((sample) => weaknessOf(sample, mobile));
        }""",
        [samples, MOBILE],
    )
    rule = PasswordRule(site=stack.settings.site_name, shortest=stack.settings.password_min)
    assert len(samples) > 300
    assert dict(zip(samples, judged, strict=True)) == {one: rule.weakness(one, mobile=MOBILE) for one in samples}


async def test_pw_4_the_page_says_why_before_anything_is_asked(stack: Stack, visit: Visit) -> None:
    """As it is typed, on a phone too; and the form does not go out with it."""
    page = (await visit(stack, "/register")).page
    await page.set_viewport_size({"width": 390, "height": 844})
    form = RegisterPage(page)
    await form.fill_number(MOBILE)
    words = "这个密码太常见，很容易被猜到，请换一个。"
    async with page.expect_response("**/passwords.json*"):
        await form.password.focus()
    await form.password.press_sequentially("iloveyou")
    await expect(form.verdict("password")).to_have_text(words)
    await expect(page.locator("#password-strength")).to_have_attribute("data-level", "1")
    await form.submit.click()
    await form.shows_fault("password", words)
    await form.password.fill(f"{MOBILE}!")
    await expect(form.verdict("password")).to_have_text("密码里不要用手机号，请换一个。")
    assert await page.evaluate("() => document.documentElement.scrollWidth") <= 390

"""Somebody with a browser: a context, its pages, and all the trouble they met."""

import re
from fnmatch import fnmatch
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Response, expect

# A violation is told to the page only; this makes it a line on the console.
_TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP ${event.effectiveDirective} ${event.blockedURI}`));
"""
_REFUSED = "Failed to load resource: the server responded"
_LEFT_EARLY = "WebSocket is closed before the connection is established"


class Visitor:
    """One browser context. Its first page is `page`."""

    def __init__(self, context: BrowserContext, page: Page, port: int) -> None:
        self.context = context
        self.page = page
        self.origin = f"http://127.0.0.1:{port}"
        self._met: list[str] = []
        self._expected: list[str] = []

    @classmethod
    async def arrive(cls, browser: Browser, port: int, **options: Any) -> "Visitor":
        context = await browser.new_context(**options)
        await context.add_init_script(_TELL_VIOLATIONS)
        visitor = cls(context, await context.new_page(), port)
        context.on("console", visitor._on_console)
        context.on("weberror", lambda fault: visitor._met.append(f"uncaught {fault.error}"))
        context.on("response", visitor._on_response)
        return visitor

    async def open(self, path: str) -> None:
        """Go to an address of ours in the first page."""
        await self.page.goto(self.origin + path)

    async def new_tab(self, path: str) -> Page:
        """The same person, one more tab."""
        tab = await self.context.new_page()
        await tab.goto(self.origin + path)
        return tab

    async def loses_websockets(self) -> None:
        """From the next page on, as behind a proxy that knows nothing of them: each one closes at once."""
        await self.context.route_web_socket(re.compile("/ws"), lambda socket: socket.close())

    def expects(self, *troubles: str) -> None:
        """Trouble that this test provokes: `409 /user/mobile/*`, or the pattern of a line on the console."""
        self._expected += troubles

    def require_only_expected_trouble(self) -> None:
        """All that was expected, and no other uncaught error, console line, refused request or CSP violation."""
        surprises = [met for met in self._met if not any(fnmatch(met, pattern) for pattern in self._expected)]
        assert not surprises, f"the page met {surprises}"
        missing = [pattern for pattern in self._expected if not any(fnmatch(met, pattern) for met in self._met)]
        assert not missing, f"the page did not meet {missing}"

    def _on_console(self, message: ConsoleMessage) -> None:
        # A refused request has its own line, from the response. A page may be left while its socket still opens.
        if message.type not in ("error", "warning") or message.text.startswith(_REFUSED):
            return
        if _LEFT_EARLY not in message.text:
            self._met.append(message.text)

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self._met.append(f"{response.status} {urlsplit(response.url).path}")


class RegisterPage:
    """The sign-up page, as one finds one's way on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.mobile = page.locator("#mobile")
        self.password = page.locator("#password")
        self.password2 = page.locator("#password2")
        self.code = page.locator("#sms_code")
        self.agree = page.locator("#agree")
        self.send = page.locator("#send-code")
        self.submit = page.locator("#submit")
        self.pill = page.locator("#connection")
        self.message = page.locator("#form-message")
        self.captcha = page.locator("#captcha-status")
        self.timeline = page.locator("#sms-timeline")
        self.note = page.locator(".timeline-note")
        self.hint = page.locator(".timeline-hint")
        self.attempts = page.locator("#attempts")

    def verdict(self, field: str) -> Locator:
        """The line under a field."""
        return self.page.locator(f"#{field}-verdict")

    def step(self, name: str) -> Locator:
        """One step of the SMS."""
        return self.timeline.locator(f"[data-step={name}]")

    async def connected(self) -> None:
        """Wait for the websocket."""
        await expect(self.pill).to_have_attribute("data-state", "live")

    async def fill_number(self, mobile: str) -> None:
        """Enter it and wait for the answer."""
        await self.mobile.fill(mobile)
        await expect(self.verdict("mobile")).to_have_attribute("data-state", "free")

    async def fill(self, mobile: str, password: str) -> None:
        """All that can be said before the SMS."""
        await self.fill_number(mobile)
        await self.password.fill(password)
        await self.password2.fill(password)

    async def send_code(self) -> None:
        """Press the button and see that the SMS is on its way."""
        await self.send.click()
        await expect(self.timeline).to_be_visible()

    async def seconds_left(self) -> int:
        """What the countdown shows."""
        await expect(self.send).to_have_attribute("data-state", "waiting")
        return seconds_in(await self.send.inner_text())

    async def shows_fault(self, field: str, text: str) -> None:
        """The text stands under the field, and the field says to assistive technology that it is wrong, and why."""
        control = self.page.locator(f"#{field}")
        await expect(self.verdict(field)).to_have_text(text)
        await expect(control).to_have_attribute("aria-invalid", "true")
        await expect(control).to_have_attribute("aria-describedby", re.compile(rf"\b{field}-verdict\b"))

    async def values(self) -> dict[str, str]:
        """What stands in the fields."""
        fields = {"mobile": self.mobile, "password": self.password, "password2": self.password2, "code": self.code}
        return {name: await field.input_value() for name, field in fields.items()}


def seconds_in(text: str) -> int:
    """59 for `59秒后可重发` and for `Again in 59 s`."""
    return int(re.findall("[0-9]+", text)[0])

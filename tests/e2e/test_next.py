"""`?next=`: somebody comes from a customer's page to sign in, and is taken back there."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Route, expect
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.conftest import Stack
from tests.e2e.accounts import take_number
from tests.e2e.conftest import Start, Visit
from tests.e2e.visitor import RegisterPage, Visitor
from tests.helpers import MOBILE, PASSWORD, ROOT

pytestmark = pytest.mark.gen_test(timeout=60)
SHOP = "https://shop.example"
CART = f"{SHOP}/cart?id=7#pay"
LOGIN = f"/login?next={quote(CART, safe='')}"


async def _come(start: Start, visit: Visit, path: str | None, page: str = "<h1>Shop</h1>") -> tuple[Stack, Visitor]:
    """A visitor, and a customer's shop at another site with the same `page` at every address."""
    stack = await start(NEXT_URLS=SHOP)
    visitor = await visit(stack, None)

    async def shop(route: Route) -> None:
        await route.fulfill(body=page, content_type="text/html")

    await visitor.context.route(f"{SHOP}/**", shop)
    if path:
        await visitor.open(path)
    return stack, visitor


async def _sign_in(visitor: Visitor) -> None:
    await visitor.page.locator("#account").fill(MOBILE)
    await visitor.page.locator("#password").fill(PASSWORD)
    await visitor.page.locator("#submit").click()


async def test_signing_in_leads_on_and_the_address_has_no_token(start: Start, visit: Visit) -> None:
    """Also after a look at the other page and in the other language."""
    stack, visitor = await _come(start, visit, LOGIN)
    visitor.expects("401 /user/refresh/")
    await take_number(stack)
    page = visitor.page
    await page.get_by_role("link", name="立即注册").click()
    await RegisterPage(page).connected()
    await page.get_by_role("link", name="EN", exact=True).click()
    await RegisterPage(page).connected()
    await page.get_by_role("navigation").get_by_role("link", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
    await _sign_in(visitor)
    await expect(page).to_have_url(CART)


async def test_registering_leads_on_once_one_has_seen_that_it_worked(start: Start, visit: Visit) -> None:
    """The success, with a link for the impatient, then the customer's page."""
    stack, visitor = await _come(start, visit, f"/register?next={quote(CART, safe='')}")
    page, form = visitor.page, RegisterPage(visitor.page)
    await form.connected()
    await form.fill(MOBILE, PASSWORD)
    await form.send_code()
    await form.code.fill((await stack.provider.nth(1)).code)
    await form.submit.click()
    await expect(page.get_by_role("heading", name="注册成功！")).to_be_visible()
    assert await page.get_by_role("link", name="立即前往").get_attribute("href") == CART
    await expect(page).to_have_url(CART)


async def test_who_is_signed_in_already_is_taken_on_at_once(start: Start, visit: Visit) -> None:
    """Also when the link stands on another site, from which the cookie does not come along; and Back leads back."""
    stack, visitor = await _come(start, visit, "/login")
    await take_number(stack)
    await _sign_in(visitor)
    page = visitor.page
    await expect(page.locator("#username")).to_be_visible()
    await page.goto(f"{SHOP}/start")
    await page.evaluate("(url) => { location.href = url }", visitor.origin + LOGIN)
    await expect(page).to_have_url(CART)
    await page.go_back()
    await expect(page).to_have_url(f"{SHOP}/start")


async def test_who_is_sent_back_is_not_sent_to_and_fro(start: Start, visit: Visit) -> None:
    """A customer's page that does not recognise the person sends them here again: then a link asks them."""
    stack, visitor = await _come(start, visit, None)
    back = f"<script>setTimeout(() => location.replace({(visitor.origin + LOGIN)!r}), 50)</script>"
    await visitor.context.route(f"{SHOP}/**", lambda route: route.fulfill(body=back, content_type="text/html"))
    visitor.expects("401 /user/refresh/")
    await take_number(stack)
    await visitor.open(LOGIN)
    await _sign_in(visitor)
    page = visitor.page
    await expect(page.locator("#form-message")).to_have_text("你已登录。")
    link = page.get_by_role("link", name="继续前往")
    await expect(link).to_be_visible()
    assert await link.get_attribute("href") == CART


async def test_a_page_of_ours_is_opened_in_the_language_that_was_chosen(stack: Stack, visit: Visit) -> None:
    """`/me` knows no more of the choice than what stands in its address."""
    visitor = await visit(stack, "/login?lang=en&next=%2Fme%23sessions")
    visitor.expects("401 /user/refresh/")
    await take_number(stack)
    await _sign_in(visitor)
    await expect(visitor.page).to_have_url(f"{visitor.origin}/me?lang=en#sessions")


async def test_what_is_not_allowed_leads_home(start: Start, visit: Visit) -> None:
    """As if it were not there."""
    stack, visitor = await _come(start, visit, "/login?next=https%3A%2F%2Fevil.example")
    await take_number(stack)
    await _sign_in(visitor)
    await expect(visitor.page).to_have_url(f"{visitor.origin}/")
    await expect(visitor.page.locator("#username")).to_be_visible()


class _Yours(RequestHandler):
    """A customer's page."""

    def get(self) -> None:
        self.finish("<h1>Yours</h1>")


@pytest.fixture
def other_origin(io_loop: IOLoop) -> Iterator[str]:
    """A server of a customer's: another origin, and the same site."""
    listener, port = bind_unused_port()
    server = HTTPServer(Application([(r".*", _Yours)]))
    server.add_sockets([listener])
    yield f"http://127.0.0.1:{port}"
    server.stop()
    io_loop.run_sync(server.close_all_connections)


def _script() -> str:
    """What docs/backend.md gives a customer's page."""
    found = re.search(r"```js\n(.*?)```", (ROOT / "docs" / "backend.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


async def test_a_page_of_the_same_origin_gets_its_token(stack: Stack, visit: Visit) -> None:
    """A customer's application behind the same proxy: it sends one to sign in, is led back to, and then knows who."""
    username = await take_number(stack)
    visitor = await visit(stack, None)
    visitor.expects("401 /user/refresh/")
    page = visitor.page
    await visitor.context.route(
        f"{visitor.origin}/club/**", lambda route: route.fulfill(body="<h1>Yours</h1>", content_type="text/html")
    )
    await visitor.open("/club/7?x=1")
    with_next = f"{visitor.origin}/login?next=%2Fclub%2F7%3Fx%3D1"
    async with page.expect_navigation(url=with_next):
        await page.evaluate(f"() => {{ {_script()} accessToken(); }}")
    await _sign_in(visitor)
    await expect(page).to_have_url(f"{visitor.origin}/club/7?x=1")
    token = await page.evaluate(f"() => {{ {_script()} return accessToken(); }}")
    assert stack.services.tokens.claims_of(token)["preferred_username"] == username


async def test_a_page_of_another_origin_gets_a_token_by_its_own_form_only(
    start: Start, visit: Visit, other_origin: str
) -> None:
    """Though it is allowed and of the same site: no answer of REST is shown to it, but a websocket answers."""
    stack = await start(ALLOWED_ORIGINS=other_origin)
    await take_number(stack)
    visitor = await visit(stack, "/login")
    await _sign_in(visitor)
    page = visitor.page
    await expect(page.locator("#username")).to_be_visible()
    visitor.expects("*CORS policy*", "*net::ERR_FAILED")
    await page.goto(other_origin)
    refused = await page.evaluate(
        """(site) => fetch(`${site}/user/refresh/`, {
          method: "POST", credentials: "include", headers: { "Content-Type": "application/json" }, body: "{}",
        }).catch((fault) => fault.name)""",
        visitor.origin,
    )
    assert refused == "TypeError"
    answer: dict[str, Any] = await page.evaluate(
        """([site, account, password]) => new Promise((done) => {
          const socket = new WebSocket(`${site.replace("http", "ws")}/ws`);
          socket.onmessage = ({ data }) => done(JSON.parse(data));
          socket.onopen = () =>
            socket.send(JSON.stringify({ type: "session.login", id: 1, data: { account, password } }));
        })""",
        [visitor.origin, MOBILE, PASSWORD],
    )
    assert answer["type"] == "session.opened", answer
    assert stack.services.tokens.claims_of(answer["data"]["token"])["sub"] == answer["data"]["id"]

"""REST as a script, a browser and somebody with a raw socket see it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from typing import Any

import pytest

from server.operations import OPERATIONS
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, Answer, RestClient

pytestmark = pytest.mark.gen_test(timeout=30)

Start = Callable[..., Coroutine[Any, Any, Stack]]
OTHER = "15400000002"
UNKNOWN_TRANSACTION = "0123abcd." + "A" * 22
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


async def send(rest: RestClient, mobile: str = MOBILE, **more: Any) -> Answer:
    """Ask for an SMS."""
    return await rest.post("/user/sms/", {"mobile": mobile, "purpose": "register"} | more)


async def form_of(stack: Stack, rest: RestClient, mobile: str = MOBILE) -> dict[str, Any]:
    """A registration that is right in everything."""
    sent = len(stack.provider.sent)
    queued = await send(rest, mobile)
    assert queued.status == 202, queued.body
    sms = await stack.provider.nth(sent + 1)
    transaction = queued.body["transaction"]
    return {"mobile": mobile, "password": PASSWORD, "sms_code": sms.code, "transaction": transaction}


async def register(stack: Stack, rest: RestClient, mobile: str = MOBILE) -> Answer:
    """An account, and the answer that made it."""
    answer = await rest.post("/user/", await form_of(stack, rest, mobile))
    assert answer.status == 201, answer.body
    return answer


@asynccontextmanager
async def paused_redis(stack: Stack, for_ms: int = 1500) -> AsyncIterator[None]:
    """Redis takes commands and answers none; ends when it answers again."""
    patient = stack.redis.dedicated(None)
    await stack.redis.call("CLIENT", "PAUSE", for_ms, "ALL")
    try:
        yield
    finally:
        await patient.ping()
        await patient.aclose()


def cookie_of(answer: Answer) -> SimpleCookie:
    return SimpleCookie(answer.headers["Set-Cookie"])


def other_code(code: str) -> str:
    """A code of the right shape that is not `code`."""
    return f"{(int(code) + 1) % 1_000_000:06}"


@asynccontextmanager
async def wire(stack: Stack) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def tell(stack: Stack, *parts: bytes) -> bytes:
    """All that the server says to these bytes until it closes."""
    async with wire(stack) as (reader, writer), asyncio.timeout(10):
        for part in parts:
            writer.write(part)
        return await reader.read()


def head(stack: Stack, line: str, *headers: str) -> bytes:
    """The beginning of a request."""
    own = (f"Host: 127.0.0.1:{stack.port}", "Content-Type: application/json", "Connection: close")
    return "\r\n".join([f"{line} HTTP/1.1", *own, *headers, "", ""]).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# API-1


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/json",
        "application/json5",
        "application/jsonp",
        "application/vnd.api+json",
        "application/json; charset=gbk",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "text/plain; application/json",
        " ",
    ],
)
async def test_api_1_a_body_that_is_not_json_is_refused(stack: Stack, kind: str) -> None:
    """415, whatever the body says: a form of another site cannot speak for its visitor."""
    body = f'{{"mobile":"{MOBILE}","purpose":"register"}}'
    for path in ("/user/sms/", "/user/", "/user/login/", "/user/refresh/", "/user/logout/"):
        answer = await stack.rest().ask("POST", path, body, Content_Type=kind)
        assert (answer.status, answer.error["code"]) == (415, "unsupported_media_type"), path
    assert stack.provider.sent == []


async def test_api_1_a_missing_content_type_is_refused(stack: Stack) -> None:
    """Nobody guesses what a body is."""
    typed = head(stack, "POST /user/sms/", "Content-Length: 2") + b"{}"
    assert status_of(await tell(stack, typed)) == 400
    assert status_of(await tell(stack, typed.replace(b"Content-Type: application/json\r\n", b""))) == 415


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"],
)
async def test_api_1_json_may_name_its_charset(stack: Stack, kind: str) -> None:
    """UTF-8 is the only one there is, named or not."""
    answer = await stack.rest().post("/user/sms/", {"mobile": MOBILE, "purpose": "register"}, Content_Type=kind)
    assert answer.status == 202


async def test_api_1_a_form_is_not_read(stack: Stack, rest: RestClient) -> None:
    """What stands in form notation is no field, even under the right type."""
    answer = await rest.post("/user/sms/", f"mobile={MOBILE}&purpose=register")
    assert (answer.status, answer.error["code"]) == (400, "json_invalid")


async def test_api_1_query_parameters_are_no_fields_of_a_post(stack: Stack, rest: RestClient) -> None:
    """Only the body counts where something is changed."""
    answer = await rest.post(f"/user/sms/?mobile={MOBILE}&purpose=register", {})
    assert answer.status == 400
    assert set(answer.error["params"]["fields"]) == {"mobile", "purpose"}
    answer = await rest.post(f"/user/sms/?mobile={OTHER}&role=admin", {"mobile": MOBILE, "purpose": "register"})
    assert answer.status == 202
    assert (await stack.provider.nth(1)).mobile == MOBILE


# API-2 (what the reader itself refuses is in test_strict_json.py)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "[]",
        "null",
        '{"mobile":1,"mobile":2}',
        '{"a":NaN}',
        '{"a":1e999}',
        '{"a":' * 1000 + "1" + "}" * 1000,
        '{"a":"\\ud800"}',
        "\ufeff{}",
        '{"a":"' + "x" * 5000 + '"}',
    ],
    ids=lambda body: ascii(body[:20]),
)
async def test_api_2_bad_json_is_one_error(stack: Stack, body: str) -> None:
    """400, never 500, and the same at every address that takes a body."""
    for path in ("/user/sms/", "/user/", "/user/login/"):
        answer = await stack.rest().post(path, body)
        assert (answer.status, answer.error["code"]) == (400, "json_invalid")


# API-3


@pytest.mark.parametrize("length", [16 * 1024 + 1, 1_000_000, 50_000_000, 10**15])
async def test_api_3_a_long_body_is_refused_by_its_announcement(stack: Stack, length: int) -> None:
    """413 before a byte of it has arrived, and the connection ends."""
    answer = await tell(stack, head(stack, "POST /user/", f"Content-Length: {length}"))
    assert status_of(answer) == 413
    assert b'"payload_too_large"' in answer


async def test_api_3_a_chunked_body_is_cut_at_the_limit(stack: Stack) -> None:
    """413 while the sender still goes on, without waiting for an end that may never come."""
    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    async with wire(stack) as (reader, writer), asyncio.timeout(10):
        writer.write(head(stack, "POST /user/", "Transfer-Encoding: chunked") + chunk * 3)
        answer = await reader.read()
    assert status_of(answer) == 413
    assert answer.count(b"HTTP/1.1") == 1
    assert b'"payload_too_large"' in answer


async def test_api_3_one_huge_chunk_is_cut_at_the_limit_too(stack: Stack) -> None:
    """413 in our own shape, however large the piece that was announced."""
    answer = await tell(stack, head(stack, "POST /user/", "Transfer-Encoding: chunked"), b"200000\r\n", b"x" * 32768)
    assert status_of(answer) == 413


async def test_api_3_a_body_up_to_the_limit_is_read(stack: Stack, rest: RestClient) -> None:
    """16 KiB are judged by what they say, whole or in chunks."""
    body = ('{"mobile":"' + MOBILE + '","purpose":"register"').encode().ljust(16 * 1024 - 1) + b"}"
    assert (await rest.post("/user/sms/", body)).status == 202
    stack.clock.advance(60)
    chunks = b"2000\r\n" + body[:0x2000] + b"\r\n2000\r\n" + body[0x2000:] + b"\r\n0\r\n\r\n"
    answer = await tell(stack, head(stack, "POST /user/sms/", "Transfer-Encoding: chunked") + chunks)
    assert status_of(answer) == 202


@pytest.mark.parametrize("length", ["abc", "-1", "1_0", "0x10", "2, 2", "2, 3", "9" * 5000])
async def test_api_3_a_length_that_is_no_number_is_the_senders_fault(stack: Stack, length: str) -> None:
    """Any refusal in the 400s will do, a fault of ours will not."""
    answer = await tell(stack, head(stack, "POST /user/", f"Content-Length: {length}") + b"{}")
    assert 400 <= status_of(answer) < 500


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/register",
        f"/user/mobile/{MOBILE}/",
        "/ws",
        "/healthz",
        "/readyz",
        "/metrics",
        "/static/css/base.css",
        "/.well-known/jwks.json",
        "/user/reg",
        "/nothing",
    ],
)
async def test_api_3_long_headers_are_refused(stack: Stack, path: str) -> None:
    """431 from 8 KiB on, at every address, by one long header or by many short ones."""
    for padding in (["X-Pad: " + "a" * 8192], [f"X-Pad-{n}: {'a' * 70}" for n in range(100)]):
        answer = await tell(stack, head(stack, f"GET {path}", *padding))
        assert status_of(answer) == 431
        assert b"X-Content-Type-Options: nosniff" in answer


async def test_api_3_headers_below_the_limit_are_read(stack: Stack) -> None:
    """A browser with many cookies is not turned away."""
    answer = await tell(stack, head(stack, "GET /healthz", "Cookie: a=" + "a" * 7900))
    assert status_of(answer) == 200


# API-4

ALLOWED = {
    "/": {"GET", "HEAD"},
    "/register": {"GET", "HEAD"},
    "/login": {"GET", "HEAD"},
    "/dev/inbox": {"GET", "HEAD"},
    "/reset": {"GET", "HEAD"},
    "/me": {"GET", "HEAD"},
    "/admin": {"GET", "HEAD"},
    "/claim": {"GET", "HEAD"},
    "/docs": {"GET", "HEAD"},
    "/docs/realtime": {"GET", "HEAD"},
    "/register/": {"GET"},
    "/reset/": {"GET"},
    "/me/": {"GET"},
    "/admin/": {"GET"},
    "/claim/": {"GET"},
    "/docs/": {"GET"},
    "/docs/realtime/": {"GET"},
    "/openapi.json": {"GET"},
    "/asyncapi.json": {"GET"},
    "/login/": {"GET"},
    "/user/reg": {"GET"},
    "/user/reg/": {"GET"},
    "/user/login": {"GET"},
    "/user/login/": {"GET", "POST"},
    "/user/": {"GET", "POST"},
    "/admin/ticket/": {"POST"},
    "/admin/audit/": {"GET"},
    "/user/sms/": {"POST"},
    f"/user/sms/{UNKNOWN_TRANSACTION}/": {"GET"},
    f"/user/mobile/{MOBILE}/": {"GET"},
    "/user/captcha/": {"GET", "POST"},
    "/user/captcha/00112233445566778899aabbccddeeff.png": {"GET"},
    "/user/refresh/": {"POST"},
    "/user/logout/": {"POST"},
    "/user/password/": {"POST"},
    "/user/password/reset/": {"POST"},
    "/user/mobile/": {"POST"},
    "/user/mobile/recovery/": {"POST"},
    "/user/claim/": {"GET", "POST", "DELETE"},
    "/user/me/": {"GET", "PATCH", "PUT", "DELETE"},
    "/user/sessions/": {"GET", "DELETE"},
    "/user/sessions/x/": {"DELETE"},
    "/receipts/x/y/": {"POST"},
    "/passwords.json": {"GET"},
    "/healthz": {"GET", "HEAD"},
    "/readyz": {"GET", "HEAD"},
    "/metrics": {"GET"},
    "/.well-known/jwks.json": {"GET"},
    "/dev/inbox.json": {"GET"},
    "/dev/sandbox/": {"GET", "POST"},
    "/static/css/base.css": {"GET", "HEAD"},
    "/robots.txt": {"GET", "HEAD"},
    "/favicon.ico": {"GET", "HEAD"},
    "/ws": {"GET"},
    "/ws/admin": {"GET"},
    "/dev/inbox/ws": {"GET"},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO")


@pytest.mark.parametrize("path", ALLOWED)
async def test_api_4_only_declared_methods_are_allowed(stack: Stack, path: str) -> None:
    """Any other is 405 and told which ones there are."""
    rest = stack.rest()
    for method in METHODS:
        if method in ALLOWED[path]:
            continue
        answer = await rest.ask(method, path, b"" if method != "HEAD" else None, Origin=rest.base)
        assert answer.status == 405, method
        assert set(answer.headers["Allow"].split(", ")) == ALLOWED[path], method
    assert stack.provider.sent == []


async def test_api_4_every_address_is_in_this_table(stack: Stack) -> None:
    """A new route cannot be forgotten above, nor a method of an operation."""
    assert stack.app.whole.keys() <= ALLOWED.keys()
    for rule in stack.app.wildcard_router.rules:
        assert [path for path in ALLOWED if rule.matcher.regex.fullmatch(path)], rule.matcher.regex.pattern
    for row in OPERATIONS.values():
        if row.rest:
            path = row.rest.path.format(mobile=MOBILE, transaction=UNKNOWN_TRANSACTION, id="x")
            assert row.rest.method in ALLOWED[path]


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_api_4_a_method_cannot_be_overridden(stack: Stack, name: str) -> None:
    """A header or a parameter does not turn one method into another."""
    rest = stack.rest()
    answer = await rest.ask("GET", "/user/sms/?_method=POST", None, **{name: "POST"})
    assert answer.status == 405
    answer = await rest.post("/user/sms/?_method=GET", {}, **{name: "DELETE"})
    assert answer.status == 400
    assert stack.provider.sent == []


async def test_seed_4_a_get_never_sends_an_sms(stack: Stack, rest: RestClient) -> None:
    """The seed's address of sending only describes a transaction, and a number is none."""
    for method in ("GET", "HEAD", "OPTIONS"):
        answer = await rest.ask(method, f"/user/sms/{MOBILE}/")
        assert answer.status == (404 if method == "GET" else 405)
    assert (await rest.get(f"/user/sms/?mobile={MOBILE}&purpose=register")).status == 405
    assert (await send(rest)).status == 202
    await stack.provider.nth(1)
    assert len(stack.provider.sent) == 1


# API-7


async def test_api_7_answers_are_not_kept(stack: Stack, rest: RestClient) -> None:
    """No cache keeps an answer or an error, and none of them has an entity tag."""
    registered = await register(stack, rest)
    cookie = cookie_of(registered)["refresh"].value
    for answer in (
        registered,
        await rest.get(f"/user/mobile/{MOBILE}/"),
        await rest.get(f"/user/mobile/{OTHER}/"),
        await rest.get("/user/mobile/1/"),
        await rest.get("/user/captcha/?purpose=register"),
        await send(rest, OTHER),
        await rest.post("/user/login/", {"account": MOBILE, "password": PASSWORD}),
        await rest.post("/user/refresh/", {}, Cookie=f"refresh={cookie}", Origin=rest.base),
        await rest.post("/user/logout/", {}, Origin=rest.base),
        await rest.post("/user/", "x"),
        await rest.get("/user/"),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Etag" not in answer.headers


async def test_api_7_answers_vary_with_the_language(stack: Stack, rest: RestClient) -> None:
    """An error is written in a language, so it says what that depended on, as an answer does."""
    for path in (f"/user/mobile/{MOBILE}/", "/user/mobile/1/", "/nothing"):
        assert "Accept-Language" in (await rest.get(path)).headers["Vary"], path


# API-8

EVERY_KIND = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/register"),
    ("GET", "/login"),
    ("GET", "/dev/inbox"),
    ("GET", "/docs"),
    ("GET", "/docs/realtime"),
    ("GET", "/openapi.json"),
    ("POST", "/register"),
    ("GET", "/user/reg"),
    ("GET", "/user/login/"),
    ("GET", f"/user/mobile/{MOBILE}/"),
    ("GET", "/user/mobile/1/"),
    ("GET", "/user/captcha/?purpose=register"),
    ("POST", "/user/"),
    ("POST", "/user/logout/"),
    ("GET", "/user/"),
    ("FOO", "/user/"),
    ("GET", "/static/css/base.css"),
    ("GET", "/static/img/favicon.svg"),
    ("GET", "/static/nothing.js"),
    ("GET", "/static/../run.py"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/dev/inbox.json"),
    ("GET", "/dev/sandbox/"),
    ("GET", "/ws"),
    ("GET", "/nothing"),
    ("GET", "/user/mobile/%ff/"),
]


@pytest.mark.parametrize(("method", "path"), EVERY_KIND)
async def test_api_8_every_answer_has_the_security_headers(stack: Stack, method: str, path: str) -> None:
    """Pages, API, static files, redirects and errors of all kinds, for programs and for people."""
    rest = stack.rest()
    for accept in ("*/*", "text/html"):
        answer = await rest.ask(method, path, b"{}" if method == "POST" else None, Accept=accept, Origin=rest.base)
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value
        max_age = re.match(r"max-age=(\d+)", answer.headers["Strict-Transport-Security"])
        assert max_age
        assert int(max_age[1]) >= 365 * 86400
        policy = policy_of(answer)
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == ["'none'"]
        assert policy["default-src"] == ["'none'"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "*" not in answer.headers["Content-Security-Policy"]
        assert "Server" not in answer.headers


async def test_api_8_an_unknown_host_gets_the_headers_too(stack: Stack, rest: RestClient) -> None:
    """A refusal before all others is no exception."""
    for path in ("/register", "/user/", "/nothing", "/static/css/base.css"):
        answer = await rest.get(path, Host="evil.example")
        assert answer.status == 421
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value
        assert policy_of(answer)["frame-ancestors"] == ["'none'"]


@pytest.mark.parametrize("host", ["haoma.example", "my-site.example", "haoma.example:8443", "[2001:db8::1]:8888"])
async def test_api_8_the_page_may_connect_to_its_own_websocket(start: Start, host: str) -> None:
    """Whatever the host's name looks like, `connect-src` names it."""
    stack = await start(ALLOWED_HOSTS=host)
    policy = policy_of(await stack.rest().get("/register", Host=host))
    assert "'self'" in policy["connect-src"]
    assert f"wss://{host}" in policy["connect-src"]


async def test_api_8_scripts_need_a_nonce_that_no_two_answers_share(stack: Stack, rest: RestClient) -> None:
    """The page's own inline script has it; a script that was smuggled in cannot know it."""
    nonces = set()
    for _ in range(3):
        answer = await rest.get("/register")
        (nonce,) = re.findall(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        assert f'nonce="{nonce}"' in answer.body.decode()
        assert len(nonce) >= 22
        nonces.add(nonce)
    assert len(nonces) == 3


GEETEST = {"CAPTCHA_GEETEST_ID": "c9c4facd1a6feeb80802222cbb74ca8e", "CAPTCHA_GEETEST_KEY": "0123456789abcdef" * 2}


@pytest.mark.parametrize(
    ("provider", "vendors"),
    [
        ("none", []),
        ("altcha", []),
        ("image", []),
        ("geetest3", ["api.geetest.com", "static.geetest.com"]),
        (
            "geetest4",
            [
                *("gcaptcha4.geetest.com", "gcaptcha4.geevisit.com", "gcaptcha4.gsensebot.com"),
                *("static.geetest.com", "static.geevisit.com"),
            ],
        ),
    ],
)
async def test_api_8_a_page_loads_nothing_but_ours_and_the_captcha_vendors(
    start: Start, provider: str, vendors: list[str]
) -> None:
    """The vendor's hosts are named on pages, only where it is chosen, and never inline code or styles."""
    stack = await start(CAPTCHA_PROVIDER=provider, **GEETEST)
    rest = stack.rest()
    answer = await rest.get("/register")
    policy = policy_of(answer)
    for directive in ("script-src", "style-src", "img-src", "connect-src"):
        others = sorted(source for source in policy[directive] if source.startswith("http"))
        assert others == [f"https://{vendor}" for vendor in vendors], directive
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    elsewhere = await rest.get("/user/captcha/?purpose=login", Accept="application/json")
    assert "geetest" not in elsewhere.headers["Content-Security-Policy"]


def policy_of(answer: Answer) -> dict[str, list[str]]:
    rules = [rule.split() for rule in answer.headers["Content-Security-Policy"].split(";")]
    return {name: values for name, *values in rules}


# API-9: Host and origin


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", "haoma.example.evil.example"]
)
async def test_api_9_an_unknown_host_is_refused(stack: Stack, host: str) -> None:
    """421 everywhere, so that a name rebound to our address reaches nothing."""
    rest = stack.rest()
    for path in ("/", "/register", f"/user/mobile/{MOBILE}/", "/static/css/base.css", "/nothing", "/ws", "/user/reg"):
        answer = await rest.get(path, Host=host, Origin=rest.base)
        assert answer.status == 421, path
    sent = await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "register"}, Host=host)
    assert (sent.status, sent.error["code"]) == (421, "host_unknown")
    assert stack.provider.sent == []


async def test_api_9_probes_may_use_any_host(stack: Stack, rest: RestClient) -> None:
    """A balancer knows us by our address."""
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await rest.get(path, Host="10.0.0.7:8888")).status == 200


async def test_api_9_configured_hosts_are_ours(start: Start) -> None:
    """SITE_URL, ALLOWED_ORIGINS and ALLOWED_HOSTS all name hosts, in any case."""
    stack = await start(
        SITE_URL="https://haoma.example", ALLOWED_ORIGINS="https://shop.example:8443", ALLOWED_HOSTS="inner.example"
    )
    rest = stack.rest()
    for host in ("haoma.example", "HAOMA.example", "shop.example:8443", "inner.example", f"localhost:{stack.port}"):
        assert (await rest.get("/register", Host=host)).status == 200
    for host in ("shop.example", "haoma.example:8443", "www.haoma.example"):
        assert (await rest.get("/register", Host=host)).status == 421


async def test_api_9_no_answer_opens_itself_to_other_origins(stack: Stack, rest: RestClient) -> None:
    """There is no CORS header for anybody, `null` least of all."""
    for origin in ("https://evil.example", "null", rest.base):
        for method, path in (("GET", f"/user/mobile/{MOBILE}/"), ("OPTIONS", "/user/sms/")):
            answer = await rest.ask(method, path, None, Origin=origin, Access_Control_Request_Method="POST")
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]


# API-10


async def test_api_10_every_refusal_has_the_one_shape(stack: Stack, rest: RestClient) -> None:
    """Code, text, params and the id that the header names too."""
    for method, path, status, code in (
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/static/nothing.js", 404, "not_found"),
        ("GET", "/user/password/", 405, "method_not_allowed"),
        ("FOO", "/user/", 405, "method_not_allowed"),
        ("POST", "/user/", 400, "mobile_invalid"),
        ("GET", "/user/mobile/1/", 400, "mobile_invalid"),
        ("GET", "/user/mobile//", 400, "mobile_invalid"),
        ("GET", f"/user/sms/{MOBILE}/", 404, "transaction_unknown"),
        ("POST", "/user/logout/", 403, "origin_refused"),
    ):
        answer = await rest.ask(method, path, b"{}" if method == "POST" else None)
        assert (answer.status, answer.error["code"]) == (status, code), path
        assert set(answer.body) == {"error"}
        assert set(answer.error) == {"code", "message", "params", "request_id"}
        assert answer.error["message"]
        assert answer.error["request_id"] == answer.headers["X-Request-Id"]
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_api_10_an_address_that_is_not_text_is_the_askers_fault(stack: Stack, rest: RestClient) -> None:
    """Bytes that are no UTF-8, NUL and other rubbish in a path or query are refused in the one shape."""
    for path in (
        "/user/mobile/%ff/",
        "/user/mobile/%00/",
        "/user/sms/%ff/",
        "/user/mobile/1/?lang=%ff",
        "/user/captcha/?purpose=%ff",
        "/static/%ff",
        "/static/%00",
        "/static/css/%00/base.css",
        "/static/" + "a" * 300,
        "/%00",
        "/%ff",
        "/..%2f..%2frun.py",
        "/static/..%2f..%2frun.py",
    ):
        answer = await rest.get(path)
        assert 400 <= answer.status < 500, path
        assert set(answer.error) == {"code", "message", "params", "request_id"}, path


async def test_api_10_a_plain_request_to_the_websocket_is_refused_in_the_one_shape(stack: Stack) -> None:
    """Without an upgrade, with an unknown version or without its key, as for any other refusal."""
    rest = stack.rest()
    upgrade = {"Origin": rest.base, "Upgrade": "websocket", "Connection": "Upgrade"}
    for headers in (
        {"Origin": rest.base},
        upgrade | {"Sec_WebSocket_Version": "9", "Sec_WebSocket_Key": "A" * 22 + "=="},
        upgrade | {"Sec_WebSocket_Version": "13"},
    ):
        answer = await rest.get("/ws", **headers)
        assert 400 <= answer.status < 500
        assert set(answer.error) == {"code", "message", "params", "request_id"}


async def test_api_10_nothing_of_the_input_comes_back_in_an_error(stack: Stack, rest: RestClient) -> None:
    """Neither in the body nor in the reason phrase nor in a header."""
    mark = "zzmarkzz"
    asked = [
        head(stack, f"GET /{mark}"),
        head(stack, f"GET /user/mobile/{mark}/"),
        head(stack, f"GET /user/sms/{mark}/"),
        head(stack, f"GET /static/{mark}"),
        head(stack, f"GET /user/captcha/?purpose={mark}&{mark}={mark}"),
        head(stack, f"GET /user/mobile/1/?lang={mark}", f"Accept-Language: {mark}"),
        head(stack, f"{mark} /user/"),
        head(stack, "GET /ws", f"Origin: https://{mark}.example"),
        head(stack, "POST /user/", "Content-Length: 10") + mark.encode() + b"xx",
        head(stack, "POST /user/login/", "Content-Length: 40")
        + f'{{"account":"{mark}","password":"{mark}"}}'.encode(),
    ]
    for request in asked:
        answer = await tell(stack, request)
        assert status_of(answer) >= 400, request
        assert mark.encode() not in answer.lower(), request


async def test_api_10_a_page_that_is_not_there_is_a_page_for_people(stack: Stack, rest: RestClient) -> None:
    """The same 404 as HTML, in the visitor's language, with the id."""
    answer = await rest.get("/nothing", Accept="text/html,*/*", Accept_Language="en")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    page = answer.body.decode()
    assert '<html lang="en">' in page
    assert answer.headers["X-Request-Id"] in page


async def test_api_13_unknown_fields_are_refused_by_every_post(stack: Stack, rest: RestClient) -> None:
    """400 that names them; what is asked for beside them does not happen."""
    form = await form_of(stack, rest)
    for path, body in (
        ("/user/", form),
        ("/user/sms/", {"mobile": OTHER, "purpose": "register"}),
        ("/user/login/", {"account": MOBILE, "password": PASSWORD}),
        ("/user/refresh/", {}),
        ("/user/logout/", {}),
    ):
        for extra in ("role", "is_admin", "verified", "$where"):
            answer = await rest.post(path, body | {extra: True}, Origin=rest.base)
            assert (answer.status, answer.error["code"]) == (400, "validation_failed"), path
            assert answer.error["params"]["fields"] == {extra: ["不支持的字段。"]}
    assert len(stack.provider.sent) == 1


async def test_api_5_only_text_is_text(stack: Stack, rest: RestClient) -> None:
    """Objects, lists, numbers, booleans and null are faults of their fields, all told at once."""
    for value in ({"$ne": None}, ["x"], 15400000001, True, None):
        answer = await rest.post("/user/", dict.fromkeys(["mobile", "password", "sms_code", "transaction"], value))
        assert (answer.status, answer.error["code"]) == (400, "mobile_invalid")
        assert set(answer.error["params"]["fields"]) == {"mobile", "password", "sms_code", "transaction"}
        answer = await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": value})
        assert (answer.status, answer.error["code"]) == (400, "validation_failed")
        assert set(answer.error["params"]["fields"]) == {"purpose"}
    assert stack.provider.sent == []


# The table of operations, row by row


async def test_mobile_check_says_free_taken_or_invalid(stack: Stack, rest: RestClient) -> None:
    """200, 409 and 400; the answer names the canonical number."""
    free = await rest.get("/user/mobile/+86%20154-0000-0001/")
    assert (free.status, free.body) == (200, {"mobile": MOBILE, "available": True})
    await register(stack, rest)
    taken = await rest.get(f"/user/mobile/{MOBILE}/")
    assert (taken.status, taken.error["code"], taken.error["params"]) == (409, "mobile_taken", {})
    assert taken.error["message"] == "手机号已经被注册过！"
    invalid = await rest.get("/user/mobile/12345678901/")
    assert (invalid.status, invalid.error["code"]) == (400, "mobile_invalid")
    assert invalid.error["params"] == {"fields": {"mobile": ["手机号码格式有误！"]}}


async def test_mobile_check_never_says_free_when_it_cannot_know(stack: Stack, rest: RestClient) -> None:
    """503 with a wait while the database does not answer."""
    await stack.mongo.aclose()
    answer = await rest.get(f"/user/mobile/{MOBILE}/")
    assert (answer.status, answer.error["code"]) == (503, "check_unavailable")
    assert answer.headers["Retry-After"] == str(answer.error["params"]["retry_after"])


async def test_mobile_check_has_an_end(stack: Stack, rest: RestClient) -> None:
    """429 for an address that goes on asking, and the wait that is told is the true one."""
    answers = [await rest.get(f"/user/mobile/{MOBILE}/") for _ in range(301)]
    while answers[-1].status == 200:
        answers.append(await rest.get(f"/user/mobile/{MOBILE}/"))
    refused = answers[-1]
    assert (refused.status, refused.error["code"]) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == str(refused.error["params"]["retry_after"])
    stack.clock.advance(refused.error["params"]["retry_after"])
    assert (await rest.get(f"/user/mobile/{MOBILE}/")).status == 200


async def test_captcha_new_gives_a_challenge_for_a_purpose(start: Start) -> None:
    """200 in the form that the widget takes; another purpose is a fault of that field."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    rest = stack.rest()
    for purpose in ("register", "check", "login"):
        answer = await rest.get(f"/user/captcha/?purpose={purpose}")
        assert answer.status == 200
        assert set(answer.body) == {"provider", "challenge", "expires_at"}
        assert answer.body["provider"] == "altcha"
    for query in ("", "?purpose=", "?purpose=other", "?purpose=register%20"):
        answer = await rest.get(f"/user/captcha/{query}")
        assert (answer.status, answer.error["code"]) == (400, "validation_failed")
        assert set(answer.error["params"]["fields"]) == {"purpose"}


async def test_captcha_new_says_when_there_is_none(stack: Stack, rest: RestClient) -> None:
    """The provider is "none" then, and no more."""
    answer = await rest.get("/user/captcha/?purpose=register")
    assert (answer.status, answer.body) == (200, {"provider": "none"})


async def test_sms_send_is_accepted_before_it_is_sent(stack: Stack, rest: RestClient) -> None:
    """202 with the state, the number masked, the code nowhere."""
    stack.provider.gate.clear()
    answer = await send(rest)
    stack.provider.gate.set()
    assert answer.status == 202
    assert set(answer.body) == {
        "transaction",
        "seq",
        "mobile",
        "purpose",
        "status",
        "attempt",
        "reason",
        "can_resend",
        "server_now",
        "resend_at",
        "expires_at",
        "attempts_left",
    }
    assert answer.body["mobile"] == "154****0001"
    assert answer.body["purpose"] == "register"
    assert answer.body["reason"] is None
    assert answer.body["can_resend"] is False
    assert answer.body["attempts_left"] == 5
    assert 299 <= answer.body["expires_at"] - answer.body["server_now"] <= 300


async def test_sms_send_says_how_long_to_wait(stack: Stack, rest: RestClient) -> None:
    """429 with the header equal to the param: then it works, before that it does not."""
    assert (await send(rest)).status == 202
    refused = await send(rest)
    wait = refused.error["params"]["retry_after"]
    assert (refused.status, refused.error["code"]) == (429, "sms_too_soon")
    assert refused.headers["Retry-After"] == str(wait)
    assert 59 <= wait <= 60
    assert str(wait) in refused.error["message"]
    stack.clock.advance(wait - 3)
    assert (await send(rest)).status == 429
    stack.clock.advance(3)
    assert (await send(rest)).status == 202


async def test_sms_send_stops_at_the_numbers_own_limit(stack: Stack, rest: RestClient) -> None:
    """429 `sms_limit` for the sixth within the hour."""
    for _ in range(5):
        assert (await send(rest)).status == 202
        stack.clock.advance(61)
    refused = await send(rest)
    assert (refused.status, refused.error["code"]) == (429, "sms_limit")
    assert refused.headers["Retry-After"] == str(refused.error["params"]["retry_after"])


async def test_sms_send_refuses_a_taken_number(stack: Stack, rest: RestClient) -> None:
    """409 before any limit is charged."""
    await register(stack, rest)
    refused = await send(rest)
    assert (refused.status, refused.error["code"]) == (409, "mobile_taken")
    assert len(stack.provider.sent) == 1


async def test_sms_send_needs_the_captcha(start: Start) -> None:
    """403 without one, naming its purpose; 400 for one that is no answer; nothing leaves."""
    stack = await start(CAPTCHA_PROVIDER="altcha")
    rest = stack.rest()
    missing = await send(rest)
    assert (missing.status, missing.error["code"]) == (403, "captcha_required")
    assert missing.error["params"] == {"purpose": "register"}
    for answer in ("x", "e30=", "bm90IGpzb24=", "\x00", "%"):
        wrong = await send(rest, captcha=answer)
        assert (wrong.status, wrong.error["code"]) == (400, "captcha_failed")
    assert stack.provider.sent == []


async def test_sms_send_shape_comes_first(stack: Stack, rest: RestClient) -> None:
    """400 for a bad number or purpose, with every fault at its field."""
    answer = await rest.post("/user/sms/", {"mobile": "1", "purpose": "other"})
    assert (answer.status, answer.error["code"]) == (400, "mobile_invalid")
    assert set(answer.error["params"]["fields"]) == {"mobile", "purpose"}
    answer = await rest.post("/user/sms/", {"mobile": MOBILE, "purpose": "other"})
    assert (answer.status, answer.error["code"]) == (400, "validation_failed")


async def test_sms_send_resends_only_what_it_knows(stack: Stack, rest: RestClient) -> None:
    """404 for a transaction that is unknown or belongs to another number, and that costs no interval."""
    transaction = (await send(rest)).body["transaction"]
    for mobile, named in ((OTHER, transaction), (OTHER, UNKNOWN_TRANSACTION), (OTHER, "x"), (OTHER, MOBILE)):
        refused = await send(rest, mobile, transaction=named)
        assert (refused.status, refused.error["code"]) == (404, "transaction_unknown")
    assert (await send(rest, OTHER)).status == 202
    stack.clock.advance(60)
    again = await send(rest, transaction=transaction)
    assert (again.status, again.body["transaction"]) == (202, transaction)


async def test_sms_send_answers_503_while_redis_does_not(stack: Stack, rest: RestClient) -> None:
    """Nothing is let through unmetered, and the wait is told."""
    async with paused_redis(stack):
        refused = await send(rest)
        assert (refused.status, refused.error["code"]) == (503, "unavailable")
        assert refused.headers["Retry-After"] == str(refused.error["params"]["retry_after"])
    assert stack.provider.sent == []


async def test_sms_watch_shows_the_state_and_404_for_none(stack: Stack, rest: RestClient) -> None:
    """The same state as the answer to the send, as far as it has come."""
    queued = (await send(rest)).body
    await stack.provider.nth(1)
    shown = await rest.get(f"/user/sms/{queued['transaction']}/?after={queued['seq']}&wait=0")
    assert shown.status == 200
    assert set(shown.body) == set(queued)
    assert shown.body["resend_at"] == queued["resend_at"]
    assert shown.body["seq"] >= queued["seq"]
    for unknown in (UNKNOWN_TRANSACTION, MOBILE, "x", "a" * 64):
        refused = await rest.get(f"/user/sms/{unknown}/")
        assert (refused.status, refused.error["code"]) == (404, "transaction_unknown")


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=1.5", "wait=26", "wait=-1", "wait=x", "wait="])
async def test_sms_watch_counts_in_digits(stack: Stack, rest: RestClient, query: str) -> None:
    """400 for an `after` or `wait` that is no number of its range."""
    refused = await rest.get(f"/user/sms/{UNKNOWN_TRANSACTION}/?{query}")
    assert (refused.status, refused.error["code"]) == (400, "validation_failed")
    assert refused.error["params"]["fields"] == {query.partition("=")[0]: ["格式有误。"]}


async def test_user_register_makes_the_account_and_signs_in(stack: Stack, rest: RestClient) -> None:
    """201 with what the person may see, and nothing else."""
    answer = await register(stack, rest)
    assert set(answer.body) == {"id", "username", "mobile", "token", "expires_in"}
    assert answer.body["mobile"] == "154****0001"
    assert re.fullmatch(r"hm_[a-z2-7]{10}", answer.body["username"])
    assert 0 < answer.body["expires_in"] <= 900


async def test_user_register_refuses_every_bad_code_alike(stack: Stack, rest: RestClient) -> None:
    """400 `sms_code_invalid` with empty params: wrong, of another number, never sent, used or expired."""
    form = await form_of(stack, rest)
    other = await form_of(stack, rest, OTHER)
    bad = [
        form | {"sms_code": other_code(form["sms_code"])},
        form | {"transaction": other["transaction"]},
        form | {"transaction": UNKNOWN_TRANSACTION},
        form | {"transaction": "x"},
        form | {"mobile": "15400000003"},
    ]
    shown = [await rest.post("/user/", body) for body in bad]
    stack.clock.advance(301)
    shown.append(await rest.post("/user/", form))
    for answer in shown:
        assert (answer.status, answer.error["code"], answer.error["params"]) == (400, "sms_code_invalid", {})
        assert answer.error["message"] == "验证码不存在或已过期！"


async def test_user_register_tells_every_fault_and_keeps_the_code(stack: Stack, rest: RestClient) -> None:
    """400 for what can be mended; the code is as good as before."""
    form = await form_of(stack, rest)
    refused = await rest.post("/user/", form | {"password": "short", "password2": "other", "sms_code": "12345"})
    assert (refused.status, refused.error["code"]) == (400, "validation_failed")
    assert refused.error["params"]["fields"] == {
        "password": ["密码长度为8到64个字符。"],
        "password2": ["密码和确认密码不一致！"],
        "sms_code": ["验证码是6位数字。"],
    }
    for _ in range(6):
        assert (await rest.post("/user/", form | {"sms_code": "12345"})).error["code"] == "validation_failed"
    assert (await rest.post("/user/", form)).status == 201


async def test_user_register_refuses_a_taken_number(stack: Stack, rest: RestClient) -> None:
    """409, even to somebody who holds a code from before."""
    early = await form_of(stack, rest)
    stack.clock.advance(60)
    await register(stack, rest)
    refused = await rest.post("/user/", early)
    assert (refused.status, refused.error["code"]) == (409, "mobile_taken")


async def test_session_login_opens_a_session_or_does_not_say_why(stack: Stack, rest: RestClient) -> None:
    """200, and 401 alike for an unknown account and a wrong password."""
    account = (await register(stack, rest)).body
    for name in (MOBILE, "+86 154 0000 0001", account["username"]):
        answer = await rest.post("/user/login/", {"account": name, "password": PASSWORD})
        assert answer.status == 200
        assert set(answer.body) == {"id", "username", "mobile", "token", "expires_in"}
        assert answer.body["id"] == account["id"]
    refusals = [
        await rest.post("/user/login/", {"account": name, "password": "another password"})
        for name in (MOBILE, account["username"], OTHER, "nobody", "15400000001\n")
    ]
    assert {(answer.status, answer.error["code"]) for answer in refusals} == {(401, "credentials_invalid")}
    assert {str(answer.error["params"]) for answer in refusals} == {"{}"}
    assert not [answer for answer in refusals if "Set-Cookie" in answer.headers]


async def test_session_refresh_exchanges_the_cookie(stack: Stack, rest: RestClient) -> None:
    """200 with a new token and a new cookie; 401 without a cookie or with one of nobody's."""
    cookie = cookie_of(await register(stack, rest))["refresh"].value
    renewed = await rest.post("/user/refresh/", {}, Cookie=f"refresh={cookie}", Origin=rest.base)
    assert renewed.status == 200
    assert set(renewed.body) == {"token", "expires_in"}
    assert cookie_of(renewed)["refresh"].value != cookie
    for wrong in ("", "x", "x.y", "." * 10, cookie + "x", cookie.split(".")[0] + ".x"):
        refused = await rest.post("/user/refresh/", {}, Cookie=f"refresh={wrong}", Origin=rest.base)
        assert (refused.status, refused.error["code"]) == (401, "token_invalid")
    assert (await rest.post("/user/refresh/", {}, Origin=rest.base)).status == 401


async def test_session_logout_ends_the_session(stack: Stack, rest: RestClient) -> None:
    """204 without a body, the cookie cleared; once more is no fault."""
    cookie = cookie_of(await register(stack, rest))["refresh"].value
    for _ in range(2):
        ended = await rest.post("/user/logout/", {}, Cookie=f"refresh={cookie}", Origin=rest.base)
        assert (ended.status, ended.body) == (204, b"")
        cleared = cookie_of(ended)["refresh"]
        assert cleared.value == ""
        assert cleared["path"] == "/"
    assert (await rest.post("/user/refresh/", {}, Cookie=f"refresh={cookie}", Origin=rest.base)).status == 401
    assert (await rest.post("/user/logout/", {}, Origin=rest.base)).status == 204


@pytest.mark.parametrize(("old", "new"), [("/user/reg", "/register"), ("/user/login", "/login")])
async def test_the_old_addresses_lead_to_the_pages(stack: Stack, old: str, new: str) -> None:
    """With and without slash, and the language goes along."""
    rest = stack.rest()
    for slash in ("", "/"):
        answer = await rest.get(old + slash)
        assert (answer.status, answer.headers["Location"]) == (302, new)
        answer = await rest.get(old + slash + "?lang=en")
        assert (answer.status, answer.headers["Location"]) == (302, f"{new}?lang=en")


async def test_a_redirect_stays_here(stack: Stack, rest: RestClient) -> None:
    """No query makes it lead elsewhere or writes a header of its own."""
    for query in (
        "?next=//evil.example",
        "?//evil.example",
        "?a=%0d%0aSet-Cookie:%20a=b",
        "?url=https://evil.example",
    ):
        for old in ("/user/reg", "/user/login/"):
            answer = await rest.get(old + query)
            assert re.match(r"/(register|login)\?", answer.headers["Location"])
            assert "Set-Cookie" not in answer.headers


# Cookies


async def test_tok_9_the_cookie_is_for_https_and_nobodys_script(start: Start) -> None:
    """`__Host-`, HttpOnly, Secure, SameSite=Strict, the whole site and no domain."""
    stack = await start(SITE_URL="https://haoma.example")
    rest = stack.rest()
    registered = await register(stack, rest)
    opened = await rest.post("/user/login/", {"account": MOBILE, "password": PASSWORD})
    for answer in (registered, opened):
        cookie = cookie_of(answer)["__Host-refresh"]
        assert cookie["httponly"]
        assert cookie["secure"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"
        assert cookie["domain"] == ""
    answer = await rest.post(
        "/user/logout/", {}, Cookie=f"__Host-refresh={cookie.value}", Origin="https://haoma.example"
    )
    cleared = cookie_of(answer)["__Host-refresh"]
    assert cleared["secure"]
    assert cleared["path"] == "/"


async def test_tok_9_over_plain_http_the_cookie_has_its_plain_name(stack: Stack, rest: RestClient) -> None:
    """A browser would drop the other one; all else is as strict."""
    cookie = cookie_of(await register(stack, rest))["refresh"]
    assert cookie["httponly"]
    assert not cookie["secure"]
    assert cookie["samesite"] == "Strict"


async def test_tok_9_a_cookie_alone_is_not_enough(stack: Stack, rest: RestClient) -> None:
    """403 unless the request comes from a page of ours: its Origin, or the browser's word where there is none."""
    cookie = cookie_of(await register(stack, rest))["refresh"].value
    strangers: list[dict[str, str]] = [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://127.0.0.1:{stack.port}"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": f"http://127.0.0.1:{stack.port}.evil.example"},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "none"},
        {"Referer": rest.base + "/register"},
    ]
    for path in ("/user/refresh/", "/user/logout/"):
        for headers in strangers:
            refused = await rest.post(path, {}, Cookie=f"refresh={cookie}", **headers)
            assert (refused.status, refused.error["code"]) == (403, "origin_refused"), headers
            assert "Set-Cookie" not in refused.headers
    renewed = await rest.post("/user/refresh/", {}, Cookie=f"refresh={cookie}", Sec_Fetch_Site="same-origin")
    assert renewed.status == 200
    cookie = cookie_of(renewed)["refresh"].value
    ended = await rest.post("/user/logout/", {}, Cookie=f"refresh={cookie}", Origin=f"http://localhost:{stack.port}")
    assert ended.status == 204


# Language


@pytest.mark.parametrize(
    ("lang", "accept", "expected"),
    [
        ("", "", "zh-CN"),
        ("", "en", "en"),
        ("", "en-GB,en;q=0.9", "en"),
        ("", "zh-TW", "zh-CN"),
        ("", "fr", "zh-CN"),
        ("", "fr,en;q=0.5", "en"),
        ("", "*", "zh-CN"),
        ("", "en;q=0.5,zh-CN;q=0.9", "zh-CN"),
        ("", "en; q=0.5, zh-CN; q=0.9", "zh-CN"),
        ("", "zh;q=0.5,en;q=0.9", "en"),
        ("", "zh;q=0,en;q=0.1", "en"),
        ("", "en;q=x", "en"),
        ("en", "", "en"),
        ("en", "zh-CN", "en"),
        ("zh-CN", "en", "zh-CN"),
        ("fr", "en", "en"),
        ("fr", "", "zh-CN"),
        ("%ff", "en", "en"),
    ],
)
async def test_the_language_is_the_chosen_one_or_the_browsers_or_chinese(
    stack: Stack, lang: str, accept: str, expected: str
) -> None:
    """`?lang=` over Accept-Language over Chinese, for errors and for pages."""
    rest = stack.rest()
    headers = {"Accept_Language": accept} if accept else {}
    query = f"?lang={lang}" if lang else ""
    error = (await rest.get(f"/user/mobile/1/{query}", **headers)).error
    if lang != "%ff":
        assert error["params"]["fields"]["mobile"] == [error["message"]]
    page = (await rest.get(f"/login{query}", **headers)).body.decode()
    chinese = re.search("[\u4e00-\u9fff]", error["message"]) is not None
    assert chinese == (expected == "zh-CN")
    assert f'<html lang="{expected}">' in page

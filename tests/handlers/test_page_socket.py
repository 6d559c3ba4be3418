"""The websocket as a page, a stranger and a broken client meet it."""

import asyncio
import json
import os
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from server.handlers.page_socket import FIRST_MESSAGE_S, IDLE_S, PageSocket
from tests.conftest import Stack
from tests.helpers import MOBILE, PASSWORD, PageClient

pytestmark = pytest.mark.gen_test(timeout=30)

Start = Callable[..., Coroutine[Any, Any, Stack]]
OTHER = "15400000002"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


async def refusal_of(stack: Stack, path: str = "/ws", **headers: str) -> tuple[int, str]:
    """Status and code of a handshake that is refused; (101, "") of one that is not. No header but these is sent."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        socket = await websocket_connect(HTTPRequest(f"ws://127.0.0.1:{stack.port}{path}", headers=given))
    except HTTPClientError as fault:
        if fault.response is None:
            raise
        return fault.code, json.loads(fault.response.body)["error"]["code"]
    socket.close()
    return 101, ""


async def register(stack: Stack, mobile: str = MOBILE) -> dict[str, Any]:
    """An account, made on a page that is closed again."""
    page, sent = await stack.page(), len(stack.provider.sent)
    queued = (await page.ask("sms.send", mobile=mobile, purpose="register"))["data"]
    sms = await stack.provider.nth(sent + 1)
    answer = await page.ask(
        "user.register", mobile=mobile, password=PASSWORD, sms_code=sms.code, transaction=queued["transaction"]
    )
    assert answer["type"] == "user.registered", answer
    await page.close()
    return dict(answer["data"])


async def nobody_is_left(stack: Stack) -> None:
    """Wait until the server has seen every page go."""
    async with asyncio.timeout(10):
        while stack.sockets:
            await asyncio.sleep(0)


class BareSocket:
    """A websocket that writes whatever frames the test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self.head = head
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, stack: Stack, *headers: str) -> "AsyncIterator[BareSocket]":
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        own = (
            "GET /ws HTTP/1.1",
            f"Host: 127.0.0.1:{stack.port}",
            f"Origin: http://127.0.0.1:{stack.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        writer.write("\r\n".join([*own, *headers, "", ""]).encode())
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        try:
            yield cls(reader, writer, head.decode())
        finally:
            writer.close()

    def write(self, payload: bytes, opcode: int = TEXT, *, final: bool = True, reserved: int = 0) -> None:
        """One masked frame."""
        size = len(payload)
        first = (0x80 if final else 0) | reserved << 4 | opcode
        lengths = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        self._writer.write(bytes([first]) + lengths + mask + masked)

    async def read(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame; None if the connection is over."""
        try:
            async with asyncio.timeout(10):
                first, size = await self._reader.readexactly(2)
                if size == 126:
                    (size,) = struct.unpack("!H", await self._reader.readexactly(2))
                return first & 0x0F, await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close_code(self) -> int | None:
        """The code of the closing frame that comes next, None for a cut connection."""
        frame = await self.read()
        if frame is None:
            return None
        assert frame[0] == CLOSE, frame
        return int.from_bytes(frame[1][:2])

    async def ask(self, message: bytes) -> dict[str, Any]:
        """The answer to a whole message."""
        self.write(message)
        frame = await self.read()
        assert frame is not None
        assert frame[0] == TEXT
        return dict(json.loads(frame[1]))


async def answer_to(page: PageClient, message: str) -> dict[str, Any]:
    """The next frame that is no answer to an `ask` of ours, after sending any text."""
    await page.send(message)
    return await page.next_event()


async def assert_usable(page: PageClient) -> None:
    assert (await page.ask("ping"))["type"] == "pong"


def only_socket(stack: Stack) -> PageSocket:
    """The server's side of the one page that is open."""
    (socket,) = stack.sockets
    return socket


# WS-1: who may open one


async def test_ws_1_a_page_of_ours_may_connect(stack: Stack) -> None:
    """The server's own addresses are ours in development, in any case."""
    for name in ("127.0.0.1", "localhost", "[::1]", "LOCALHOST"):
        assert await refusal_of(stack, Origin=f"http://{name}:{stack.port}") == (101, "")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "ws://127.0.0.1:{port}",
        "http://127.0.0.1:{port}/",
        "http://127.0.0.1:{port}.evil.example",
        "http://evil.example#127.0.0.1:{port}",
        "http://x@127.0.0.1:{port}",
        "127.0.0.1:{port}",
        "http://127.0.0.1:{port}, http://evil.example",
        "file://",
        "http://[::ffff:127.0.0.1]:{port}",
    ],
)
async def test_ws_1_a_foreign_origin_is_refused(stack: Stack, origin: str) -> None:
    """Scheme, host and port must all be ours; what the browser says beside it changes nothing."""
    given = origin.format(port=stack.port)
    assert await refusal_of(stack, Origin=given) == (403, "origin_refused")
    for site in ("same-origin", "none", "same-site"):
        assert await refusal_of(stack, Origin=given, Sec_Fetch_Site=site) == (403, "origin_refused")
    assert not stack.sockets


async def test_ws_1_no_origin_is_refused(stack: Stack) -> None:
    """A browser always sends one; nothing else takes its place."""
    assert await refusal_of(stack) == (403, "origin_refused")
    for headers in (
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_WebSocket_Origin": f"http://127.0.0.1:{stack.port}"},
        {"Referer": f"http://127.0.0.1:{stack.port}/register"},
        {"Cookie": "refresh=x.y"},
    ):
        assert await refusal_of(stack, **headers) == (403, "origin_refused")


async def test_ws_1_a_rebound_name_is_refused(stack: Stack) -> None:
    """An Origin that equals the Host is not ours for that, nor is ours with the Host of another."""
    evil = f"evil.example:{stack.port}"
    assert await refusal_of(stack, Host=evil, Origin=f"http://{evil}") == (421, "host_unknown")
    assert await refusal_of(stack, Host=evil, Origin=f"http://127.0.0.1:{stack.port}") == (421, "host_unknown")
    assert await refusal_of(stack, Host=evil, Sec_Fetch_Site="same-origin") == (421, "host_unknown")
    assert await refusal_of(stack, X_Forwarded_Host=evil, Origin=f"http://{evil}") == (403, "origin_refused")


async def test_ws_1_a_configured_site_is_ours_by_scheme_host_and_port(start: Start) -> None:
    """`http` is not `https`, another port is another site, and a sub-domain is a stranger."""
    stack = await start(SITE_URL="https://haoma.example", ALLOWED_ORIGINS="https://shop.example:8443")
    for origin in ("https://haoma.example", "https://shop.example:8443"):
        assert await refusal_of(stack, Host="haoma.example", Origin=origin) == (101, "")
    for origin in (
        "http://haoma.example",
        "https://haoma.example:8443",
        "https://haoma.example:443",
        "https://shop.example",
        "http://shop.example:8443",
        "https://www.haoma.example",
        "https://haoma.example.evil.example",
    ):
        assert await refusal_of(stack, Host="haoma.example", Origin=origin) == (403, "origin_refused"), origin


async def test_ws_1_a_program_may_come_with_a_token(stack: Stack) -> None:
    """A good bearer token stands in for the Origin that a program has not."""
    token = (await register(stack))["token"]
    assert await refusal_of(stack, Authorization=f"Bearer {token}") == (101, "")
    assert await refusal_of(stack, Authorization=f"bearer {token}") == (101, "")


async def test_ws_1_a_bad_token_is_refused(stack: Stack) -> None:
    """401 for a forged, cut or expired one; and a good one does not make a foreign Origin ours."""
    token = (await register(stack))["token"]
    header, claims, signature = token.split(".")
    for bad in (
        "",
        "x",
        "a.b.c",
        f"{header}.{claims}.",
        f"{header}.{claims}.{signature[::-1]}",
        token + "A",
        "\u00e9",
    ):
        assert await refusal_of(stack, Authorization=f"Bearer {bad}") == (401, "token_invalid"), bad
    for scheme in ("Basic", "Token", ""):
        assert await refusal_of(stack, Authorization=f"{scheme} {token}") == (403, "origin_refused")
    assert await refusal_of(stack, f"/ws?token={token}") == (403, "origin_refused")
    foreign = await refusal_of(stack, Authorization=f"Bearer {token}", Origin="https://evil.example")
    assert foreign == (403, "origin_refused")
    stack.clock.advance(15 * 60 + 31)
    assert await refusal_of(stack, Authorization=f"Bearer {token}") == (401, "token_invalid")


async def test_ws_7_handshakes_of_one_address_have_an_end(stack: Stack) -> None:
    """429 with a wait, and after it there is room again."""
    refused = [await refusal_of(stack, Origin=f"http://127.0.0.1:{stack.port}") for _ in range(320)]
    assert refused[0] == (101, "")
    assert (429, "rate_limited") in refused
    stack.clock.advance(60)
    assert await refusal_of(stack, Origin=f"http://127.0.0.1:{stack.port}") == (101, "")


# WS-3: size


async def test_ws_3_a_message_up_to_the_limit_is_read(stack: Stack) -> None:
    """4 KiB are judged by what they say."""
    async with BareSocket.open(stack) as socket:
        message = b'{"type":"ping","id":1}'
        assert (await socket.ask(message.ljust(4096)))["type"] == "pong"


async def test_ws_3_a_longer_message_ends_the_connection(stack: Stack) -> None:
    """Close 1009, and nothing of it is run."""
    async with BareSocket.open(stack) as socket:
        socket.write(b'{"type":"ping","id":1}'.ljust(4097))
        assert await socket.close_code() == 1009


async def test_ws_3_fragments_count_in_sum(stack: Stack) -> None:
    """Many small pieces of one message are one long message."""
    async with BareSocket.open(stack) as socket:
        socket.write(b"x" * 100, TEXT, final=False)
        for _ in range(40):
            socket.write(b"x" * 100, 0, final=False)
        assert await socket.close_code() == 1009


async def test_ws_3_fragments_within_the_limit_are_one_message(stack: Stack) -> None:
    """Also with a ping between them."""
    async with BareSocket.open(stack) as socket:
        socket.write(b'{"type":"pi', TEXT, final=False)
        socket.write(b"now", PING)
        socket.write(b'ng","id":"a"}', 0)
        assert await socket.read() == (PONG, b"now")
        frame = await socket.read()
        assert frame is not None
        assert json.loads(frame[1])["id"] == "a"


async def test_ws_3_compression_is_not_negotiated(stack: Stack) -> None:
    """A small message stays small: no deflate, whatever a client offers."""
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    async with BareSocket.open(stack, offer) as socket:
        assert "101" in socket.head.partition("\r\n")[0]
        assert "sec-websocket-extensions" not in socket.head.lower()
        socket.write(b"\x00\x01\x02", TEXT, reserved=4)
        assert await socket.close_code() in (None, 1002)


# WS-6: silence. Time is not waited for: what the handler remembers is made older, then its timer's callback runs.


def grow_older(socket: PageSocket, seconds: float) -> None:
    """As if the page had been silent for so long, and the timer had fired."""
    socket._heard_at -= seconds
    socket._patience.cancel()
    socket._close_idle()


async def test_ws_6_a_page_that_never_speaks_is_sent_away(stack: Stack) -> None:
    """4408 after ten seconds without a first message; a ping frame of the protocol is none."""
    async with BareSocket.open(stack) as socket:
        socket.write(b"here", PING)
        assert await socket.read() == (PONG, b"here")
        grow_older(only_socket(stack), FIRST_MESSAGE_S)
        assert await socket.close_code() == 4408
    await nobody_is_left(stack)


async def test_ws_6_a_page_that_spoke_may_be_silent_for_longer(stack: Stack) -> None:
    """Its first message counts, `ping` too; 4408 comes after ten minutes."""
    page = await stack.page()
    await assert_usable(page)
    socket = only_socket(stack)
    grow_older(socket, FIRST_MESSAGE_S * 2)
    await assert_usable(page)
    grow_older(socket, IDLE_S - 1)
    await assert_usable(page)
    grow_older(socket, IDLE_S)
    assert (await page.closed)[0] == 4408


async def test_ws_6_the_timer_is_armed_from_the_handshake(stack: Stack) -> None:
    """First for the short patience, then for the long one."""
    page = await stack.page()
    socket = only_socket(stack)
    assert socket._patience.when() - socket._heard_at == pytest.approx(FIRST_MESSAGE_S, abs=1)
    await assert_usable(page)
    assert socket._patience.when() - socket._heard_at == pytest.approx(IDLE_S, abs=1)


# WS-8 and WS-9: bad input

UNREADABLE = [
    "",
    "x",
    "{",
    "[]",
    "null",
    "1",
    '"ping"',
    '[{"type":"ping","id":7}]',
    '{"type":"ping","id":7}{"type":"ping","id":7}',
    '{"type":"ping","id":7,"id":7}',
    '{"type":"ping","id":7,"data":{"a":1,"a":1}}',
    '{"type":"ping","id":7,"data":{"a":NaN}}',
    '{"type":"ping","id":7,"data":{"a":-Infinity}}',
    '{"type":"ping","id":7,"data":{"a":1e999}}',
    '{"type":"ping","id":7,"data":' + '{"a":' * 400 + "1" + "}" * 401,
    '{"type":"ping","id":7,"data":' + "[" * 1000 + "]" * 1000 + "}",
    "[" * 4000,
    '{"type":"ping","id":7,"data":{"a":"\\ud800"}}',
    '{"type":"ping","id":7,"data":{"\\udfff":1}}',
    '\ufeff{"type":"ping","id":7}',
    '{"type":"ping","id":7,"data":{"a":"\x00"}}',
    '{"type":"ping","id":7,}',
    "{'type':'ping','id':7}",
    json.dumps({"type": "ping", "id": 7, "data": {str(n): 0 for n in range(65)}}),
]
WRONG_FRAMES = [
    {"id": 7},
    {"id": 7, "data": {}},
    {"type": None, "id": 7},
    {"type": 1, "id": 7},
    {"type": ["ping"], "id": 7},
    {"type": {"$ne": None}, "id": 7},
    {"type": "x" * 65, "id": 7},
    {"type": "ping", "id": 7, "extra": 1},
    {"type": "ping", "id": 7, "request_id": "x", "token": "y"},
    {"type": "ping", "id": 7, "data": []},
    {"type": "ping", "id": 7, "data": None},
    {"type": "ping", "id": 7, "data": "x"},
    {"type": "ping", "id": 7, "data": 1},
]
UNKNOWN_TYPES = [
    "",
    "pong",
    "PING",
    "ping ",
    "mobile.checked",
    "session.refresh",
    "session.logout",
    "__class__",
    "error",
    "ping\x00",
]
WRONG_IDS: list[Any] = [None, True, 1.5, "", "x" * 65, "é", "a\nb", "a\x00", [], {}, [7], {"$ne": 1}, 2**53, -(2**53)]


@pytest.mark.parametrize("message", UNREADABLE, ids=lambda message: ascii(message[:48]))
async def test_ws_8_what_is_not_our_json_is_one_error(stack: Stack, message: str) -> None:
    """`json_invalid` without an id, and the connection goes on."""
    page = await stack.page()
    frame = await answer_to(page, message)
    assert (frame["type"], frame["id"], frame["data"]["code"]) == ("error", None, "json_invalid")
    assert frame["data"]["params"] == {}
    await assert_usable(page)


@pytest.mark.parametrize("message", WRONG_FRAMES, ids=repr)
async def test_ws_8_a_wrong_frame_is_one_error_that_echoes_its_id(stack: Stack, message: dict[str, Any]) -> None:
    """`request_invalid` with the id, which can be read, so that the page knows which request it was."""
    page = await stack.page()
    frame = await answer_to(page, json.dumps(message))
    assert (frame["type"], frame["data"]["code"]) == ("error", "request_invalid")
    await assert_usable(page)
    assert frame["id"] == 7


@pytest.mark.parametrize("kind", UNKNOWN_TYPES, ids=ascii)
async def test_ws_8_an_unknown_type_is_one_error_that_echoes_its_id(stack: Stack, kind: str) -> None:
    """`message_unknown`, for the operations that only REST has too."""
    page = await stack.page()
    frame = await answer_to(page, json.dumps({"type": kind, "id": 7}))
    assert (frame["type"], frame["id"], frame["data"]["code"]) == ("error", 7, "message_unknown")
    await assert_usable(page)


@pytest.mark.parametrize("bad", WRONG_IDS, ids=repr)
async def test_ws_8_a_bad_id_is_one_error_and_is_not_echoed(stack: Stack, bad: Any) -> None:
    """An id is a number that every browser can hold or short printable ASCII."""
    page = await stack.page()
    frame = await answer_to(page, json.dumps({"type": "ping", "id": bad}))
    assert (frame["type"], frame["id"], frame["data"]["code"]) == ("error", None, "request_invalid")
    await assert_usable(page)


@pytest.mark.parametrize("message", ["{}", '{"type":"ping"}', '{"data":{}}'])
async def test_ws_8_a_missing_id_is_one_error(stack: Stack, message: str) -> None:
    """An object is JSON, but a request that cannot be answered is none."""
    page = await stack.page()
    frame = await answer_to(page, message)
    assert (frame["type"], frame["id"], frame["data"]["code"]) == ("error", None, "request_invalid")
    await assert_usable(page)


async def test_ws_8_bad_fields_are_one_error_with_all_faults(stack: Stack) -> None:
    """Missing, of another type, unknown, with NUL: told by field, and the id comes back."""
    page = await stack.page()
    for kind, data, code, fields in (
        ("mobile.check", {}, "mobile_invalid", {"mobile"}),
        ("mobile.check", {"mobile": 15400000001}, "mobile_invalid", {"mobile"}),
        ("mobile.check", {"mobile": "15400000001\x00"}, "mobile_invalid", {"mobile"}),
        ("mobile.check", {"mobile": MOBILE, "role": "admin"}, "validation_failed", {"role"}),
        ("sms.send", {"mobile": MOBILE, "purpose": "register\x00"}, "validation_failed", {"purpose"}),
        ("sms.send", {"mobile": {"$ne": None}, "purpose": []}, "mobile_invalid", {"mobile", "purpose"}),
        ("sms.watch", {"transaction": "a\x00b"}, "validation_failed", {"transaction"}),
        ("session.login", {"account": None, "password": 1}, "validation_failed", {"account", "password"}),
        ("ping", {"a": 1}, "validation_failed", {"a"}),
    ):
        frame = await page.ask(kind, **data)
        assert (frame["type"], frame["data"]["code"]) == ("error", code)
        assert set(frame["data"]["params"]["fields"]) == fields
    assert stack.provider.sent == []
    await assert_usable(page)


@pytest.mark.parametrize("value", [None, -1, 2**63, 10**30, 1.0, "1", True, [], {}], ids=repr)
async def test_ws_8_a_bad_count_is_told_in_the_pages_language(stack: Stack, value: Any) -> None:
    """`after` is a small whole number; whatever else it is, the text is ours."""
    page = await stack.page()
    frame = await page.ask("sms.watch", transaction="0123abcd." + "A" * 22, after=value)
    assert frame["data"]["code"] == "validation_failed"
    (text,) = frame["data"]["params"]["fields"]["after"]
    assert text in ("格式有误。", "此项为必填项。")


async def test_ws_8_nothing_of_the_input_comes_back(stack: Stack) -> None:
    """An error tells what was wrong, not what was said."""
    page = await stack.page()
    for message in (
        "zzmarkzz",
        '{"type":"zzmarkzz","id":7}',
        '{"type":"ping","id":"zzmarkzz\\n"}',
        '{"type":"mobile.check","id":7,"data":{"mobile":"zzmarkzz"}}',
        '{"type":"ping","id":7,"data":"zzmarkzz"}',
    ):
        assert "zzmarkzz" not in json.dumps(await answer_to(page, message))


async def test_ws_9_a_binary_message_ends_the_connection(stack: Stack) -> None:
    """Close 1003, even if it would be a good request."""
    page, other = await stack.page(), await stack.page()
    await page.send(b'{"type":"ping","id":1}')
    assert (await page.closed)[0] == 1003
    await assert_usable(other)


@pytest.mark.parametrize(
    "frame",
    [
        {"payload": b'{"type":"\xff"}'},
        {"payload": b"\xed\xa0\x80"},
        {"payload": b"x", "reserved": 4},
        {"payload": b"x", "reserved": 1},
        {"payload": b"x", "opcode": 3},
        {"payload": b"x", "opcode": 11},
        {"payload": b"x" * 126, "opcode": PING},
        {"payload": b"x", "opcode": PING, "final": False},
        {"payload": b"x", "opcode": 0},
    ],
    ids=repr,
)
async def test_ws_9_a_broken_frame_ends_only_its_own_connection(stack: Stack, frame: dict[str, Any]) -> None:
    """1002, 1007 or a cut; the page beside it does not notice."""
    other = await stack.page()
    async with BareSocket.open(stack) as socket:
        socket.write(**frame)
        assert await socket.close_code() in (None, 1002, 1007)
    await assert_usable(other)


# WS-11: which answer belongs to which request


@pytest.mark.parametrize("frame_id", [0, 7, -7, 2**53 - 1, "a", "7", "x" * 64, "a b", '"', "~!@#$%^&*()"], ids=repr)
async def test_ws_11_the_id_comes_back_as_it_was(stack: Stack, frame_id: int | str) -> None:
    """Number or text, in replies and in errors."""
    page = await stack.page()
    for kind, answer in (("ping", "pong"), ("mobile.check", "error")):
        frame = await answer_to(page, json.dumps({"type": kind, "id": frame_id}))
        assert frame["type"] == answer
        assert frame["id"] == frame_id
        assert type(frame["id"]) is type(frame_id)


async def test_ws_11_answers_name_their_number_and_keep_their_order(stack: Stack) -> None:
    """A page that asked twice can tell a stale answer by its number."""
    page = await stack.page()
    numbers = [f"1540000{n:04}" for n in range(20)]
    for n, mobile in enumerate(numbers):
        await page.send({"type": "mobile.check", "id": f"c{n}", "data": {"mobile": mobile}})
    frames = [await page.next_event("mobile.checked") for _ in numbers]
    assert [frame["id"] for frame in frames] == [f"c{n}" for n in range(20)]
    assert [frame["data"]["mobile"] for frame in frames] == numbers


async def test_ws_12_only_the_last_number_is_watched(stack: Stack) -> None:
    """And a number that is none ends the watch."""
    page, silent = await stack.page(), await stack.page()
    for mobile in (MOBILE, OTHER):
        await page.ask("mobile.check", mobile=mobile)
    await silent.ask("mobile.check", mobile=OTHER)
    await silent.ask("mobile.check", mobile="1")
    for mobile in (MOBILE, OTHER):
        await register(stack, mobile)
    assert (await page.next_event("mobile.taken"))["data"] == {"mobile": OTHER}
    await assert_usable(silent)
    assert silent._events.empty()


# WS-4: rate


async def test_ws_4_a_burst_is_answered_and_then_refused_with_a_wait(stack: Stack) -> None:
    """Forty at once; what comes on top is an error frame with its id and the wait, and the connection stays."""
    page = await stack.page()
    for n in range(200):
        await page.send({"type": "ping", "id": f"p{n}"})
    frames = [await page.next_event() for _ in range(200)]
    assert [frame["id"] for frame in frames] == [f"p{n}" for n in range(200)]
    assert {frame["type"] for frame in frames[:40]} == {"pong"}
    refused = [frame for frame in frames if frame["type"] == "error"]
    assert refused
    for frame in refused:
        assert frame["data"]["code"] == "rate_limited"
        assert frame["data"]["params"] == {"retry_after": 1}
    assert not page.closed.done()


async def test_ws_4_a_flood_that_goes_on_is_cut_off(stack: Stack) -> None:
    """At five times the rate for ten seconds' worth of messages: close 4429. Neighbours do not notice."""
    page, neighbour = await stack.page(), await stack.page()
    try:
        for n in range(3000):
            await page.send({"type": "ping", "id": n})
    except WebSocketClosedError:
        pass
    assert (await page.closed)[0] == 4429
    await assert_usable(neighbour)


async def test_ws_4_bad_messages_count_too(stack: Stack) -> None:
    """A flood of rubbish is no way around the rate."""
    page = await stack.page()
    for _ in range(200):
        await page.send("rubbish")
    codes = [(await page.next_event())["data"]["code"] for _ in range(200)]
    assert codes[:40] == ["json_invalid"] * 40
    assert "rate_limited" in codes


async def test_shape_is_judged_before_the_rate_of_checks(stack: Stack) -> None:
    """A number that is none is told so, also by a page that has used up its checks."""
    page = await stack.page()
    for _ in range(31):
        await page.ask("mobile.check", mobile=MOBILE)
    assert (await page.ask("mobile.check", mobile=MOBILE))["data"]["code"] == "rate_limited"
    assert (await page.ask("mobile.check", mobile="12345"))["data"]["code"] == "mobile_invalid"


async def test_ws_4_checks_have_a_rate_of_their_own(stack: Stack) -> None:
    """Thirty numbers a minute from one page; other requests go on meanwhile."""
    page = await stack.page()
    answers = [await page.ask("mobile.check", mobile=MOBILE) for _ in range(34)]
    assert {answer["type"] for answer in answers[:30]} == {"mobile.checked"}
    assert answers[-1]["data"]["code"] == "rate_limited"
    assert 1 <= answers[-1]["data"]["params"]["retry_after"] <= 2
    assert (await page.ask("sms.send", mobile=MOBILE, purpose="register"))["type"] == "sms.queued"


async def test_ws_4_one_page_does_not_use_up_anothers_rate(stack: Stack) -> None:
    """The burst belongs to the connection."""
    loud, quiet = await stack.page(), await stack.page()
    for _ in range(100):
        await loud.send({"type": "ping", "id": 1})
    await assert_usable(quiet)


# The server's own news


async def test_ws_14_the_end_is_announced_and_then_comes(stack: Stack) -> None:
    """`server.closing` with a moment to come back at, then 1001, for every page."""
    pages = [await stack.page() for _ in range(3)]
    await stack.sockets.announce_end()
    for page in pages:
        event = await page.next_event("server.closing")
        assert event["id"] is None
        assert 1 <= event["data"]["retry_after"] <= 10
        await assert_usable(page)
    await stack.sockets.close_all()
    for page in pages:
        assert (await page.closed)[0] == 1001
    await nobody_is_left(stack)


async def test_ws_14_a_page_that_opens_while_all_are_told_hears_it_too(stack: Stack) -> None:
    """It was let in before the end, and opened when the others had been told."""
    stack.services.health.draining = True
    page = await stack.page()
    assert (await page.next_event("server.closing"))["data"]["retry_after"] >= 1
    await assert_usable(page)


async def test_st_1_pages_hear_that_a_store_went_and_came_back(stack: Stack) -> None:
    """`degraded` while Redis takes commands and answers none, `restored` after; the sockets stay."""
    page, other = await stack.page(), await stack.page()
    patient = stack.redis.dedicated(None)
    await stack.redis.call("CLIENT", "PAUSE", 4000, "ALL")
    for one in (page, other):
        event = await one.next_event("degraded")
        assert (event["id"], event["data"]) == (None, {"what": "redis"})
    refused = await page.ask("sms.send", mobile=MOBILE, purpose="register")
    assert refused["data"]["code"] == "unavailable"
    assert refused["data"]["params"]["retry_after"] >= 1
    for one in (page, other):
        event = await one.next_event("restored")
        assert (event["id"], event["data"]) == (None, {"what": "redis"})
        await assert_usable(one)
    await patient.ping()
    await patient.aclose()


async def test_st_5_a_page_that_opens_late_hears_what_is_down(stack: Stack) -> None:
    """And its check says that it does not know."""
    early = await stack.page()
    await stack.mongo.aclose()
    assert (await early.next_event("degraded"))["data"] == {"what": "mongo"}
    page = await stack.page()
    assert (await page.next_event("degraded"))["data"] == {"what": "mongo"}
    assert (await page.ask("mobile.check", mobile=MOBILE))["data"] == {"mobile": MOBILE, "available": None}


async def test_a_page_reads_its_own_language(stack: Stack) -> None:
    """Chosen by the address of the socket, else by the browser, else Chinese."""
    for lang, accept, expected in (
        ("", "", "手机号码格式有误！"),
        ("en", "", "This is not a valid mobile number."),
        ("", "en", "This is not a valid mobile number."),
        ("zh-CN", "en", "手机号码格式有误！"),
    ):
        page = await stack.page(lang, **({"Accept_Language": accept} if accept else {}))
        assert (await page.ask("mobile.check", mobile="1"))["data"]["message"] == expected


async def test_a_page_that_leaves_is_forgotten(stack: Stack) -> None:
    """Its place, its watches and its timer go with it."""
    page = await stack.page()
    await page.ask("mobile.check", mobile=MOBILE)
    await page.ask("sms.send", mobile=OTHER, purpose="register")
    socket = only_socket(stack)
    await page.close()
    await nobody_is_left(stack)
    assert socket._patience.cancelled()
    assert not stack.services.mobiles._watched


async def test_pr_6_a_page_that_leaves_during_its_handshake_takes_no_slot(stack: Stack) -> None:
    """A reset while the address is being judged: nothing is counted, nothing stays."""
    gate, waiting = asyncio.Event(), asyncio.Event()
    real = stack.dispatcher.admit_socket

    async def slow(address: str) -> None:
        waiting.set()
        await gate.wait()
        await real(address)

    stack.dispatcher.admit_socket = slow  # type: ignore[method-assign]
    _, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{stack.port}\r\nOrigin: http://127.0.0.1:{stack.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode()
    )
    await waiting.wait()
    writer.transport.abort()
    await asyncio.sleep(0.1)
    gate.set()
    stack.dispatcher.admit_socket = real  # type: ignore[method-assign]
    page = await stack.page()
    await page.ask("ping")
    assert len(stack.sockets) == 1
    assert len(stack.services.rooms._taken) == 1


async def test_ws_5_a_page_that_stops_reading_is_cut_off_and_harms_nobody(stack: Stack) -> None:
    """So much may wait for it and no more; a neighbour is served meanwhile."""
    neighbour = await stack.page()
    await neighbour.ask("ping")
    others = set(stack.sockets)
    async with BareSocket.open(stack) as socket:
        socket.write(b'{"type":"ping","id":1,"data":{}}')
        assert await socket.read()
        (deaf,) = stack.sockets - others
        async with asyncio.timeout(20):
            while deaf in stack.sockets:
                for _ in range(200):
                    deaf.push("degraded", {"what": "x" * 1000})
                await asyncio.sleep(0)
    await assert_usable(neighbour)

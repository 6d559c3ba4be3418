"""The wrapper to all vendors, against sockets that do as they like: what may the vendor have taken?"""

import asyncio
import datetime
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from server.http import BODY_CAP
from server.sms.http import VendorHttp
from server.sms.provider import SendFailed

pytestmark = pytest.mark.gen_test(timeout=30)
Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(play: Play, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port behind which each connection is played."""
    ends: list[asyncio.Task[None]] = []

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await play(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


@asynccontextmanager
async def a_client(connect_s: float = 2.0, total_s: float = 5.0, max_clients: int = 10) -> AsyncIterator[VendorHttp]:
    client = VendorHttp(connect_s=connect_s, total_s=total_s, max_clients=max_clients)
    yield client
    await client.aclose()


def says(answer: bytes) -> Play:
    """Reads the request and answers so."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hello")
        writer.write(answer)
        await writer.drain()

    return play


async def forever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads, and never answers."""
    while await reader.read(1000):
        pass


async def kind_of(client: VendorHttp, url: str) -> str:
    """The kind of failure of a request that must fail."""
    with pytest.raises(SendFailed) as caught:
        await client.post(url, {}, b"hello")
    return caught.value.kind


async def test_an_answer_comes_back_as_it_is() -> None:
    """Status and bytes, also of an error."""
    answer = b"HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\n\r\n\x00\xffz"
    async with a_client() as client, a_server(says(answer)) as port:
        assert await client.post(f"http://127.0.0.1:{port}/", {}, b"hello") == (418, b"\x00\xffz")


async def test_a_request_is_sent_as_it_was_signed() -> None:
    """The body's bytes, the headers, and nothing that asks for compression."""
    got = bytearray()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.readuntil(b"hello"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with a_client() as client, a_server(play) as port:
        await client.post(f"http://127.0.0.1:{port}/a?b=%20c", {"X-Own": "1"}, b"hello")
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    assert body == b"hello"
    assert head.startswith(b"POST /a?b=%20c HTTP/1.1\r\n")
    assert b"\r\nX-Own: 1\r\n" in head
    assert b"\r\nContent-Length: 5\r\n" in head
    assert b"encoding" not in head.lower()


@pytest.mark.parametrize("size, whole", [(BODY_CAP, True), (BODY_CAP + 1, False)])
@pytest.mark.parametrize("chunked", [True, False])
async def test_pv_6_an_answer_may_have_64_kib(size: int, whole: bool, chunked: bool) -> None:
    """One byte more, with or without its length told before, and it is none."""
    body = b"x" * size
    framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body)
    if not chunked:
        framed = b"Content-Length: %d\r\n\r\n%b" % (size, body)
    async with a_client() as client, a_server(says(b"HTTP/1.1 200 OK\r\n" + framed)) as port:
        if whole:
            assert await client.post(f"http://127.0.0.1:{port}/", {}, b"hello") == (200, body)
        else:
            assert await kind_of(client, f"http://127.0.0.1:{port}/") == "unknown"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 204 None\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        b"HTTP/1.1 abc\r\n\r\n",
        b"\x00" * 100,
    ],
)
async def test_pv_6_half_an_answer_and_nonsense_leave_it_open(answer: bytes) -> None:
    """The request had been read when the answer went wrong."""
    async with a_client() as client, a_server(says(answer)) as port:
        assert await kind_of(client, f"http://127.0.0.1:{port}/") == "unknown"


async def test_pv_1_an_answer_has_its_time() -> None:
    """The vendor read the request and may have acted on it."""
    async with a_client(total_s=0.3) as client, a_server(forever) as port:
        assert await kind_of(client, f"http://127.0.0.1:{port}/") == "unknown"


async def test_pv_1_drops_of_an_answer_do_not_prolong_it() -> None:
    """The limit is on the whole."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async with a_client(total_s=0.3) as client, a_server(drip) as port:
        assert await kind_of(client, f"http://127.0.0.1:{port}/") == "unknown"


async def test_a_reset_in_the_middle_of_an_answer_leaves_it_open() -> None:
    """At the latest when its time is over."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hello")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(0.05)  # else the reset overtakes what was written
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with a_client(total_s=0.5) as client, a_server(play) as port:
        assert await kind_of(client, f"http://127.0.0.1:{port}/") == "unknown"


async def test_a_refused_connection_has_taken_nothing() -> None:
    """Nobody listens there."""
    async with a_server(forever) as port:
        pass
    async with a_client() as client:
        assert await kind_of(client, f"http://127.0.0.1:{port}/") == "transient"


async def test_a_name_that_leads_nowhere_has_taken_nothing() -> None:
    """A label may have 63 characters, so this one is refused before any resolver is asked."""
    async with a_client() as client:
        assert await kind_of(client, f"https://{'a' * 64}.invalid/") == "transient"


async def test_a_request_that_waited_in_vain_for_its_turn_has_taken_nothing() -> None:
    """The queue before the connections has the connection's time."""
    async with a_client(connect_s=0.2, total_s=5, max_clients=1) as client, a_server(forever) as port:
        first = asyncio.create_task(client.post(f"http://127.0.0.1:{port}/", {}, b"hello"))
        await asyncio.sleep(0)
        assert await kind_of(client, f"http://127.0.0.1:{port}/") == "transient"
        first.cancel()


async def test_a_handshake_that_does_not_end_has_taken_nothing() -> None:
    """TCP answered, TLS never: the connection's time is over before a byte of the request left."""
    async with a_client(connect_s=0.3) as client, a_server(forever) as port:
        assert await kind_of(client, f"https://127.0.0.1:{port}/") == "transient"


async def test_a_server_that_speaks_no_tls_has_taken_nothing() -> None:
    """An answer in plain text is no handshake."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with a_client() as client, a_server(play) as port:
        assert await kind_of(client, f"https://127.0.0.1:{port}/") == "transient"


async def test_pv_6_a_certificate_of_somebody_else_ends_it(tmp_path: Path) -> None:
    """Before a byte of the request has left."""
    got = bytearray()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.read(1000))

    async with a_client() as client, a_server(play, self_signed(tmp_path)) as port:
        assert await kind_of(client, f"https://localhost:{port}/") == "transient"
    assert got == b""


async def test_whoever_gives_up_is_not_held() -> None:
    """A cancelled send ends at once and as cancelled."""
    async with a_client() as client, a_server(forever) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.post(f"http://127.0.0.1:{port}/", {}, b"hello")


def self_signed(directory: Path) -> ssl.SSLContext:
    """A certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file = directory / "server.pem"
    file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context

"""Every way in which a vendor goes wrong: PV-6, and what networks add to it."""

import functools
import gzip
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.iostream import IOStream

HUGE = 100 * 1024 * 1024
METADATA = "http://169.254.169.254/latest/meta-data/"
Act = Callable[[HTTPServerRequest, Any, int, bytes], Coroutine[Any, Any, None] | None]


def write(request: HTTPServerRequest, status: int, body: bytes, **headers: str) -> None:
    """A whole answer."""
    named = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    assert request.connection is not None
    request.connection.write_headers(ResponseStartLine("HTTP/1.1", status, "Answer"), HTTPHeaders(named), body)
    request.connection.finish()


def answer(request: HTTPServerRequest, status: int, body: Any) -> None:
    """A whole answer in JSON."""
    write(request, status, orjson.dumps(body))


def reset(stream: IOStream) -> None:
    """Hang up with a TCP reset instead of an orderly end."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def _stream_of(request: HTTPServerRequest) -> IOStream:
    stream: IOStream = request.connection.stream  # type: ignore[union-attr]
    return stream


def _ok(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    write(request, status, thanks)


def _hang(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    """Never a word; the connection stays."""


def _status(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    write(request, how.status, how.body.encode())


def _body(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    write(request, 200, how.body.encode())


def _reset(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    reset(_stream_of(request))


def _html(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    write(request, 200, b"<!DOCTYPE html><title>Welcome</title>", Content_Type="text/html")


def _gzip(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    write(request, 200, gzip.compress(thanks), Content_Encoding="gzip")


def _gzip_bomb(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    write(request, 200, _bomb(), Content_Encoding="gzip")


def _redirect(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    write(request, 302, b"", Location=METADATA)


async def _huge(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    """100 MB in chunks, as far as the other side reads."""
    stream = _stream_of(request)
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    await stream.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(HUGE // 0x10000):
        await stream.write(piece)


async def _huge_length(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    """100 MB promised."""
    await _stream_of(request).write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{" % HUGE)


async def _cut(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    """Half an answer, then an orderly end."""
    stream = _stream_of(request)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(thanks)
    await stream.write(head + thanks[: len(thanks) // 2])
    stream.close()


async def _not_http(request: HTTPServerRequest, how: Any, status: int, thanks: bytes) -> None:
    stream = _stream_of(request)
    await stream.write(b"\x16\x03\x01 nonsense\r\n\r\n")
    stream.close()


@functools.cache
def _bomb() -> bytes:
    """Under the cap of 64 KiB as it comes, 50 MB unpacked."""
    return gzip.compress(bytes(50 * 1024 * 1024))


# Name -> whether the vendor has taken the message all the same, and what it answers.
MODES: dict[str, tuple[bool, Act]] = {
    "ok": (True, _ok),
    "hang": (True, _hang),
    "status": (False, _status),
    "error": (False, _ok),
    "body": (True, _body),
    "html": (True, _html),
    "huge": (True, _huge),
    "huge_length": (True, _huge_length),
    "gzip": (True, _gzip),
    "gzip_bomb": (True, _gzip_bomb),
    "redirect": (False, _redirect),
    "cut": (True, _cut),
    "not_http": (True, _not_http),
    "reset_after_read": (True, _reset),
    "reset_before_read": (False, _reset),
}

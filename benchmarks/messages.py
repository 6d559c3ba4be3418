"""What the load says: frames and requests, made before the clock starts wherever they can be said twice."""

import base64
import itertools
import os
import random
from collections.abc import Iterator

TEXT, CLOSE, PING, PONG, MASKED, LONG = 0x81, 0x88, 0x89, 0x8A, 0x80, 126
MESSAGES = 20_000
_BLOCK = 10**6
_blocks = iter(random.sample(range(100), 100))


def socket_hello(port: int, path: str = "/ws") -> bytes:
    """The handshake, from an origin that a development server allows."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Origin: http://127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(text: bytes) -> bytes:
    """A text frame masked with the key 0, which changes nothing and so costs nothing."""
    size = bytes([MASKED | len(text)]) if len(text) < LONG else bytes([MASKED | LONG, *len(text).to_bytes(2, "big")])
    return bytes([TEXT]) + size + bytes(4) + text


def pings() -> Iterator[bytes]:
    """`ping`."""
    return itertools.repeat(frame(b'{"type":"ping","id":7,"data":{}}'))


def checks() -> Iterator[bytes]:
    """`mobile.check` of numbers in a range that no operator uses for people (154)."""
    return itertools.cycle([_ask(b"mobile.check", b'"mobile":"%b"' % mobile) for mobile in _some_mobiles()])


def check(mobile: str) -> Iterator[bytes]:
    """`mobile.check` of one number."""
    return itertools.repeat(_ask(b"mobile.check", b'"mobile":"%b"' % mobile.encode()))


def gets(port: int, path: bytes = b"/user/mobile/%b/") -> Iterator[bytes]:
    """The same checks over REST."""
    return itertools.cycle([_get(path % mobile, port) for mobile in _some_mobiles()])


def sends() -> Iterator[bytes]:
    """`sms.send`, each for a number of its own."""
    for mobile in _new_mobiles():
        yield _ask(b"sms.send", b'"mobile":"%b","purpose":"register"' % mobile)


def sends_by_post(port: int) -> Iterator[bytes]:
    """The same over REST."""
    head = b"POST /user/sms/ HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
    for mobile in _new_mobiles():
        body = b'{"mobile":"%b","purpose":"register"}' % mobile
        yield head % port + b"Content-Length: %d\r\n\r\n" % len(body) + body


def sends_by_get(port: int) -> Iterator[bytes]:
    """As the Django peer has it."""
    return (_get(b"/user/sms/%b/" % mobile, port) for mobile in _new_mobiles())


def _ask(kind: bytes, data: bytes) -> bytes:
    return frame(b'{"type":"%b","id":7,"data":{%b}}' % (kind, data))


def _get(path: bytes, port: int) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (path, port)


def _some_mobiles() -> list[bytes]:
    """Of 200 blocks, so that the warm-up is enough for Redis to get to know them."""
    return [b"1540%07d" % random.randrange(200 * 10_000) for _ in range(MESSAGES)]


def _new_mobiles() -> Iterator[bytes]:
    """None comes twice, and neighbours in time are none in number; each caller has a million for itself."""
    block = next(_blocks) * _BLOCK
    return (b"154%08d" % (block + number * 61_803 % _BLOCK) for number in itertools.count())

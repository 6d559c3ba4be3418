"""RFC 6455, row by row, on both protocols: what comes in, and every frame that comes back until the end.

`tornado` beside a row is what Tornado's own protocol does instead where it is laxer or blunter; `cut` is the end of
the connection without a close frame.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.conftest import Stack
from tests.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Wire,
    asking,
    assert_served,
    closing,
    forgotten,
    frame,
    is_end,
    pieces,
)

pytestmark = pytest.mark.gen_test(timeout=30)

LIMIT = 4096
ASK = asking("a")
WORDS = '{"type":"é€😀","id":7}'.encode()  # of two, three and four bytes each


@dataclass(frozen=True)
class Row:
    """Segments that a client sends, and what it hears. One that hears no end is still served."""

    name: str
    sent: tuple[bytes, ...]
    heard: tuple[str, ...]
    tornado: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


def row(name: str, *sent: bytes, heard: str = "", tornado: str | None = None) -> Row:
    """`heard` in words with commas between; `tornado` is the same unless it is given."""
    told = heard if tornado is None else tornado
    return Row(name, sent, _words(heard), _words(told))


def broken(name: str, *sent: bytes) -> Row:
    """A frame that the protocol does not have."""
    return row(name, *sent, heard="close 1002", tornado="cut")


def no_text(name: str, *sent: bytes) -> Row:
    """Bytes that are not UTF-8."""
    return row(name, *sent, heard="close 1007", tornado="cut")


def _words(heard: str) -> tuple[str, ...]:
    return tuple(filter(None, heard.split(", ")))


def padded(size: int) -> bytes:
    """A message of so many bytes."""
    return ASK.ljust(size)


OPCODES = [
    broken("0 with nothing to continue", frame(ASK, CONTINUATION)),
    row("1 text", frame(ASK), heard="pong a"),
    row("2 binary", frame(ASK, BINARY), heard="close 1003"),
    *(broken(f"{code} reserved", frame(ASK, code)) for code in range(3, 8)),
    row("8 close", closing(1000), heard="close 1000"),
    row("9 ping", frame(b"x", PING), heard="PONG x"),
    row("10 pong", frame(b"x", PONG)),
    *(broken(f"{code} reserved", frame(b"x", code)) for code in range(11, 16)),
]
RESERVED_BITS = [
    broken(f"{bits:03b} on {name}", frame(payload, opcode, reserved=bits))
    for bits in range(1, 8)
    for name, payload, opcode in (("text", ASK, TEXT), ("ping", b"x", PING), ("close", b"\x03\xe8", CLOSE))
] + [broken("on a continuation", frame(ASK[:5], final=False), frame(ASK[5:], 0, reserved=4))]
FRAGMENTS = [
    row("two", pieces(ASK, 5), heard="pong a"),
    row("one for each byte", pieces(ASK, *range(1, len(ASK))), heard="pong a"),
    row("empty ones", pieces(ASK, 0, 5, 5, len(ASK)), heard="pong a"),
    row("nothing but empty ones", pieces(b"", 0, 0), heard="error None"),
    row("two messages after each other", pieces(ASK, 3), pieces(asking("b"), 4), heard="pong a, pong b"),
    row("of a binary message", pieces(ASK, 5, opcode=BINARY), heard="close 1003"),
    row("a ping between", frame(ASK[:5], final=False), frame(b"x", PING), frame(ASK[5:], 0), heard="PONG x, pong a"),
    row("a pong between", frame(ASK[:5], final=False), frame(b"x", PONG), frame(ASK[5:], 0), heard="pong a"),
    row("a close between", frame(ASK[:5], final=False), closing(1000), heard="close 1002", tornado="close 1000"),
    broken("a continuation after the end", pieces(ASK, 5), frame(b"x", 0)),
    broken("another text between", frame(ASK[:5], final=False), frame(ASK)),
    broken("a binary one between", frame(ASK[:5], final=False), frame(ASK, BINARY)),
    broken("a reserved opcode first", frame(ASK[:5], 3, final=False), frame(ASK[5:], 0)),
]
CONTROL = [
    row("a ping without a payload", frame(b"", PING), heard="PONG"),
    row("a ping of 125 bytes", frame(b"x" * 125, PING), heard="PONG " + "x" * 125),
    broken("a ping of 126", frame(b"x" * 126, PING)),
    row("a ping of 64 KiB", frame(b"x" * 65536, PING)[:14], heard="close 1009", tornado="cut"),
    broken("a pong of 126", frame(b"x" * 126, PONG)),
    broken("a close of 126", closing(1000, b"x" * 124)),
    broken("a ping in fragments", frame(b"x", PING, final=False)),
    broken("a pong in fragments", frame(b"x", PONG, final=False)),
    broken("a close in fragments", frame(b"\x03\xe8", CLOSE, final=False)),
    row("each ping has its pong", *(frame(b"%d" % n, PING) for n in range(3)), heard="PONG 0, PONG 1, PONG 2"),
    row("a pong that nobody asked for", frame(b"", PONG), frame(b"x" * 125, PONG)),
]
MASKS = [
    row("text without", frame(ASK, mask=None), heard="close 1002", tornado="pong a"),
    row("ping without", frame(b"x", PING, mask=None), heard="close 1002", tornado="PONG x"),
    row("close without", frame(b"\x03\xe8", CLOSE, mask=None), heard="close 1002", tornado="close 1000"),
    row(
        "a continuation without",
        frame(ASK[:5], final=False),
        frame(ASK[5:], 0, mask=None),
        heard="close 1002",
        tornado="pong a",
    ),
    row("of zeros", frame(ASK, mask=bytes(4)), heard="pong a"),
    row("of ones", frame(ASK, mask=b"\xff" * 4), heard="pong a"),
]
LENGTHS = [
    row("0 bytes", frame(b""), heard="error None"),
    *(row(f"{size} bytes", frame(padded(size)), heard="pong a") for size in (125, 126, 127, 128, LIMIT)),
    row("7 bits' worth in 16", frame(ASK, width=16), heard="pong a"),
    row("7 bits' worth in 64", frame(ASK, width=64), heard="pong a"),
    row("16 bits' worth in 64", frame(padded(200), width=64), heard="pong a"),
    row("a ping in 16", frame(b"x", PING, width=16), heard="PONG x", tornado="cut"),
    row("64 bits with the highest set", frame(length=1 << 63, width=64), heard="close 1009"),
    row("64 bits, all set", frame(length=(1 << 64) - 1, width=64), heard="close 1009"),
]
SIZES = [
    row("one over", frame(padded(LIMIT + 1)), heard="close 1009"),
    row("64 KiB", frame(padded(1 << 16)), heard="close 1009"),
    row("over, told and not sent", frame(length=LIMIT + 126), heard="close 1009"),
    row("a gigabyte, told and not sent", frame(length=1 << 30), heard="close 1009"),
    row("at the limit in fragments", pieces(padded(LIMIT), 1, 2000), heard="pong a"),
    row("one over in fragments", pieces(padded(LIMIT + 1), 1, 2000), heard="close 1009"),
    row("over before the last fragment", pieces(padded(LIMIT * 2), 1000, 5000)[:-500], heard="close 1009"),
    row("many small fragments", pieces(padded(LIMIT + 100), *range(100, LIMIT + 100, 100)), heard="close 1009"),
    row("binary, over", frame(padded(LIMIT + 1), BINARY), heard="close 1009"),
    row(
        "a ping while a message is nearly full",
        frame(padded(LIMIT - 1), final=False),
        frame(b"x" * 125, PING),
        frame(b" ", 0),
        heard="PONG " + "x" * 125 + ", pong a",
        tornado="close 1009",
    ),
]
UTF_8 = [
    row("of one to four bytes", frame(WORDS), heard="error 7"),
    row("cut within each character", pieces(WORDS, *range(1, len(WORDS))), heard="error 7"),
    row(
        "a ping within a character",
        frame(WORDS[:10], final=False),
        frame(b"x", PING),
        frame(WORDS[10:], 0),
        heard="PONG x, error 7",
    ),
    no_text("a lone continuation byte", frame(b"\x80")),
    no_text("a byte that is none", frame(b'{"type":"\xff"}')),
    no_text("a surrogate", frame(b"\xed\xa0\x80")),
    no_text("overlong", frame(b"\xc0\xaf")),
    no_text("beyond U+10FFFF", frame(b"\xf4\x90\x80\x80")),
    no_text("a message ends within a character", frame(b"\xe2\x82")),
    no_text("so does one in fragments", pieces(b"ab\xe2\x82", 1, 3)),
    no_text("bad across fragments", pieces(b"\xe2\x82\x41", 1)),
    row("bytes in a ping are no text", frame(b"\x41", PING), frame(b"\xff\xfe", PONG), heard="PONG A"),
    row("a good reason", closing(1000, "bis später".encode()), heard="close 1000"),
    no_text("a bad reason", closing(1000, b"\xff")),
    no_text("a reason that ends within a character", closing(1000, b"\xe2\x82")),
]
GOOD_CODES = (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999)
BAD_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
CLOSES = [
    row("without a code", frame(b"", CLOSE), heard="close"),
    row("half a code", frame(b"\x03", CLOSE), heard="close 1002", tornado="close"),
    *(row(f"{code} may be said", closing(code, b"bye"), heard=f"close {code}") for code in GOOD_CODES),
    *(row(f"{code} may not", closing(code), heard="close 1002", tornado=f"close {code}") for code in BAD_CODES),
    row("a reason of 123 bytes", closing(1000, b"x" * 123), heard="close 1000"),
    row("a message behind it", closing(1000) + frame(ASK), heard="close 1000"),
    row("a ping behind it", closing(1000) + frame(b"x", PING), heard="close 1000"),
    row("another behind it", closing(1000) + closing(1001), heard="close 1000"),
    row("rubbish behind it", closing(1000) + b"\xff" * 100, heard="close 1000"),
    row("a message before it", frame(ASK) + closing(1000), heard="close 1000"),
    row("a message behind what we refuse", frame(ASK, BINARY) + frame(ASK), heard="close 1003"),
    broken("a message behind a broken frame", frame(ASK, 3) + frame(ASK)),
]
GROUPS = {
    "opcode": OPCODES,
    "reserved": RESERVED_BITS,
    "fragments": FRAGMENTS,
    "control": CONTROL,
    "mask": MASKS,
    "length": LENGTHS,
    "size": SIZES,
    "utf-8": UTF_8,
    "close": CLOSES,
}
TABLE = [pytest.param(each, id=f"{group}: {each.name}") for group, rows in GROUPS.items() for each in rows]


@pytest.mark.parametrize("each", TABLE)
async def test_ws_9_a_row(wired: Stack, protocol: str, unhandled: Callable[[], list[str]], each: Row) -> None:
    """Exactly this is heard, the end is an end, nobody else notices, and nothing stays."""
    expected = each.tornado if protocol == "tornado" else each.heard
    neighbour = await wired.page()
    (its_socket,) = wired.sockets
    async with Wire.open(wired.port) as wire:
        await wire.send(*each.sent)
        if not (expected and is_end(expected[-1])):
            await wire.send(frame(asking("end")))
            expected = (*expected, "pong end")
        heard = await wire.all_until("pong end")
        assert (_without_answers(heard) if is_end(heard[-1]) else heard) == [*expected]
        await assert_served(neighbour)
        if is_end(heard[-1]):
            await wire.finish(heard[-1])
    await forgotten(wired, its_socket)
    await assert_served(neighbour)
    assert unhandled() == []


def _without_answers(heard: list[str]) -> list[str]:
    """What was still being answered when the end came may stay unanswered."""
    return [word for word in heard if not word.startswith("pong ")]

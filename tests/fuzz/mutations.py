"""What a client says on one connection: good frames, and some of them spoiled. The same seed says the same."""

import random
from collections.abc import Callable

from tests.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, closing, frame, pieces

MESSAGES = (
    b'{"type":"ping","id":1}',
    b'{"type":"ping","id":"a","data":{}}',
    b'{"type":"mobile.check","id":2,"data":{"mobile":"15400000001"}}',
    b'{"type":"sms.watch","id":3,"data":{"transaction":"0123abcd.AAAAAAAAAAAAAAAAAAAAAA"}}',
    b'{"type":"session.login","id":4,"data":{"account":"","password":""}}',
    '{"type":"é€😀","id":5}'.encode(),
    b"[]",
    b"",
)
_EVIL = (b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"\x00", b"\xe2\x82")
_CODES = (0, 999, 1000, 1001, 1004, 1005, 1006, 1015, 2999, 3000, 4999, 5000, 65535)
_LIES = (0, 1, 124, 125, 126, 127)
_SIZES = (125, 126, 127, 4095, 4096, 4097, 65535, 65536)
HARSHLY, DISORDERLY = 0.15, 0.2
Random = random.Random


def conversation(rng: Random, count: int) -> list[bytes]:
    """`count` frames or so that are as they should be."""
    said: list[bytes] = []
    while len(said) < count:
        message = rng.choice(MESSAGES)
        kind = rng.random()
        if kind < 0.6:
            said.append(frame(message, mask=rng.randbytes(4)))
        elif kind < 0.8:
            said.append(frame(rng.randbytes(rng.randrange(126)), rng.choice((PING, PONG))))
        else:
            cuts = sorted(rng.randrange(len(message) + 1) for _ in range(rng.randrange(1, 4)))
            said.append(pieces(message, *cuts))
    return said


def spoiled(rng: Random, said: list[bytes]) -> list[bytes]:
    """The same with every frame spoiled in one way, some in two; the order may suffer too."""
    frames = [rng.choice(GENTLE)(rng, one) for one in said]
    frames = [rng.choice(HARSH)(rng, one) if rng.random() < HARSHLY else one for one in frames]
    if rng.random() < DISORDERLY:
        rng.shuffle(frames)
    return frames


def _bytes_of_text(rng: Random, _: bytes) -> bytes:
    """Damage to UTF-8 or to JSON, within a good frame."""
    message = bytearray(rng.choice(MESSAGES))
    at = rng.randrange(len(message) + 1)
    message[at:at] = (
        rng.choice(_EVIL) if rng.random() < 0.3 else rng.choice((b'"', b"{", b"\\u", b"[" * 50, b"9" * 30))
    )
    return frame(bytes(message))


def _payload_bit(rng: Random, one: bytes) -> bytes:
    """One bit behind the head."""
    return _flip(one, rng.randrange(min(48, len(one) * 8 - 1), len(one) * 8))


def _size(rng: Random, _: bytes) -> bytes:
    """Sizes at which something begins or ends."""
    return frame(rng.choice(MESSAGES).ljust(rng.choice(_SIZES)), rng.choice((TEXT, TEXT, TEXT, PING, BINARY)))


def _wide(rng: Random, _: bytes) -> bytes:
    """A length in more bits than it needs."""
    return frame(rng.choice(MESSAGES), rng.choice((TEXT, PING)), width=rng.choice((16, 64)))


def _twice(_: Random, one: bytes) -> bytes:
    return one + one


def _any_bit(rng: Random, one: bytes) -> bytes:
    return _flip(one, rng.randrange(len(one) * 8))


def _head(rng: Random, one: bytes) -> bytes:
    """Another final bit, other reserved bits, another opcode."""
    return bytes([rng.randrange(256)]) + one[1:]


def _opcode(rng: Random, one: bytes) -> bytes:
    return bytes([one[0] & 0xF0 | rng.choice((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))]) + one[1:]


def _length(rng: Random, one: bytes) -> bytes:
    """A length that is not true."""
    return one[:1] + bytes([0x80 | rng.choice(_LIES)]) + one[2:]


def _huge(rng: Random, one: bytes) -> bytes:
    """A length that nobody will send."""
    return frame(one, length=rng.choice((4097, 1 << 20, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)), width=64)


def _cut(rng: Random, one: bytes) -> bytes:
    return one[: rng.randrange(len(one)) or 1]


def _unmasked(rng: Random, _: bytes) -> bytes:
    return frame(rng.choice(MESSAGES), mask=None)


def _close(rng: Random, _: bytes) -> bytes:
    """A goodbye, right or wrong."""
    return closing(rng.choice(_CODES), rng.choice((b"", b"bye", *_EVIL)))


def _noise(rng: Random, _: bytes) -> bytes:
    return rng.randbytes(rng.randrange(1, 64))


def _flip(one: bytes, bit: int) -> bytes:
    spoiled = bytearray(one)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


# After the gentle ones a connection often goes on, after the harsh ones seldom.
Mutation = Callable[[Random, bytes], bytes]
GENTLE: tuple[Mutation, ...] = (_bytes_of_text, _payload_bit, _wide, _twice)
HARSH: tuple[Mutation, ...] = (_any_bit, _head, _opcode, _length, _huge, _cut, _unmasked, _close, _noise, _size)

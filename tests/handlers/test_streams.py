"""Streams that nobody thought of, on both protocols: good frames cut anywhere, and bytes that are none."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.ioloop import IOLoop

from tests.conftest import Stack
from tests.fuzz.mutations import Random, conversation, spoiled
from tests.fuzz.run import Heard
from tests.handlers.test_wire import only_socket
from tests.wire import CONTINUATION, PING, PONG, TEXT, Wire, asking, assert_served, closing, forgotten, frame

PATIENCE_S = 60
NAMES = st.text("abcdefghij0123456789", min_size=1, max_size=8)
CONTROLS = st.tuples(st.sampled_from((PING, PONG)), NAMES.map(str.encode))
MASKS = st.binary(min_size=4, max_size=4)
PLACES = st.lists(st.integers(0, 4000), max_size=30)


@dataclass
class Said:
    """A stream, and what has to come back for it."""

    stream: bytes
    answers: list[str]
    pongs: list[str]


@st.composite
def said(draw: Any) -> Said:
    """Messages in any number of fragments, and control frames anywhere between."""
    all_ = Said(b"", [], [])
    for name in draw(st.lists(NAMES, max_size=6)):
        text = asking(name).ljust(draw(st.integers(0, 300)))
        bounds = [0, *sorted(draw(st.lists(st.integers(0, len(text)), max_size=4))), len(text)]
        last = len(bounds) - 2
        for number in range(last + 1):
            for opcode, payload in draw(st.lists(CONTROLS, max_size=2)):
                all_.stream += frame(payload, opcode, mask=draw(MASKS))
                all_.pongs += [f"PONG {payload.decode()}"] if opcode == PING else []
            part = text[bounds[number] : bounds[number + 1]]
            opcode = CONTINUATION if number else TEXT
            all_.stream += frame(part, opcode, final=number == last, mask=draw(MASKS))
        all_.answers.append(f"pong {name}")
    return all_


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """In as many segments as there are places within it, and one."""
    bounds = [0, *sorted(place for place in places if place < len(stream)), len(stream)]
    return [stream[one:other] for one, other in pairwise(bounds) if one < other]


async def assert_answered(stack: Stack, all_: Said, segments: list[bytes]) -> None:
    """All that was asked, in its order, and each ping; which of the two comes first is nobody's promise."""
    async with Wire.open(stack.port) as wire:
        await wire.send(*segments)
        heard = [await wire.next() for _ in range(len(all_.answers) + len(all_.pongs))]
        await wire.send(closing(1000))
        assert await wire.all_until() == ["close 1000"]
    assert [word for word in heard if word.startswith("pong")] == all_.answers
    assert [word for word in heard if word.startswith("PONG")] == all_.pongs


def test_a_good_stream_is_answered_wherever_it_is_cut(
    io_loop: IOLoop, wired: Stack, unhandled: Callable[[], list[str]]
) -> None:
    """Segments of TCP mean nothing."""

    @settings(max_examples=60, deadline=None, database=None)
    @given(said(), PLACES)
    def holds(all_: Said, places: list[int]) -> None:
        io_loop.run_sync(lambda: assert_answered(wired, all_, cut(all_.stream, places)), timeout=PATIENCE_S)

    holds()
    assert unhandled() == []


def test_one_stream_cut_at_every_place(io_loop: IOLoop, wired: Stack, unhandled: Callable[[], list[str]]) -> None:
    """One after the other, and none of them makes a difference."""
    middle = frame(b"x", PING, mask=b"\x01\x02\x03\x04")
    stream = frame(asking("a")[:7], final=False) + middle + frame(asking("a")[7:], 0) + frame(asking("b").ljust(130))
    all_ = Said(stream, ["pong a", "pong b"], ["PONG x"])

    async def every() -> None:
        for place in range(1, len(stream)):
            await assert_answered(wired, all_, cut(stream, [place]))

    io_loop.run_sync(every, timeout=PATIENCE_S)
    assert unhandled() == []


def test_bytes_that_are_no_frames_end_only_their_own_connection(
    io_loop: IOLoop, wired: Stack, unhandled: Callable[[], list[str]]
) -> None:
    """Noise, or frames that were spoiled: all is answered until there is an end, and nobody is surprised."""
    neighbour = io_loop.run_sync(wired.page)
    its_socket = only_socket(wired)
    spoilt = st.integers(0, 1 << 32).map(lambda seed: b"".join(spoiled(Random(seed), conversation(Random(seed), 6))))

    @settings(max_examples=100, deadline=None, database=None)
    @given(st.binary(max_size=400) | spoilt, PLACES)
    def holds(stream: bytes, places: list[int]) -> None:
        io_loop.run_sync(lambda: ends(stream, places), timeout=PATIENCE_S)

    async def ends(stream: bytes, places: list[int]) -> None:
        heard = Heard()
        async with Wire.open(wired.port) as wire:
            await wire.send(*cut(stream, places))
            await assert_served(neighbour)
            wire.half_close()
            await heard.all_of(wire)
        assert not heard.end.startswith("BAD"), heard.end
        await forgotten(wired, its_socket)
        assert unhandled() == []

    holds()

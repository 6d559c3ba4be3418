"""The short form of `python -m tests.fuzz`, and that it would see a fault."""

import asyncio
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.chaos.world import new_seed
from tests.fuzz.mutations import GENTLE, HARSH, Random, conversation, spoiled
from tests.fuzz.run import Heard, faults_in, run
from tests.wire import Wire, frame

pytestmark = pytest.mark.gen_test(timeout=120)
FRAMES = 2_400


async def test_spoiled_frames_harm_nobody_else(tmp_path: Path, protocol: str) -> None:
    """Each connection comes to an end, and the server and a page beside it do not notice."""
    table = await run(tmp_path, protocol=protocol, frames=FRAMES, seed=(seed := new_seed()))
    assert not table.broken, f"seed {seed}\n{table}"


def test_every_mutation_is_made() -> None:
    """And what they make is not what was said; the same seed makes the same again."""
    for seed in range(50):
        for mutate in (*GENTLE, *HARSH):
            said = conversation(Random(seed), 1)[0]
            assert mutate(Random(seed), said) == mutate(Random(seed), said)
        good = conversation(Random(seed), 12)
        assert spoiled(Random(seed), good) == spoiled(Random(seed), good)
        assert spoiled(Random(seed), good) != good


@pytest.mark.parametrize(
    "line, faults",
    [('{"event":"x","level":"error"}', 1), ("Traceback (most recent call last):", 1), ('{"level":"info"}', 0)],
)
def test_a_fault_in_the_log_is_seen(line: str, faults: int) -> None:
    """Lines of ours and of the interpreter."""
    assert len(faults_in(f'{{"level":"info"}}\n{line}\n')) == faults


@pytest.mark.parametrize(
    "said", [frame(b'{"type":"x","id":1,"data":{"code":"internal_error"}}', mask=None), b"\xc1\x00"]
)
async def test_what_no_server_should_say_is_seen(said: bytes) -> None:
    """An operation that failed, and a frame that is broken."""
    heard = Heard()
    reader = asyncio.StreamReader()
    reader.feed_data(said)
    reader.feed_eof()
    with socket.socket() as unused:
        writer = Mock(get_extra_info=lambda _: unused)
        await heard.all_of(Wire(reader, writer))
    assert heard.end.startswith("BAD")

"""Processes that could not read each other's codes and tokens do not serve together."""

import base64
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from server.keys import KeyFault, KeyRing
from server.services.members import LIFE_S, MemberService
from server.stores.members import MemberStore
from tests.conftest import Stack
from tests.helpers import ServerProcess, servers
from tests.test_start import start_in_vain

pytestmark = pytest.mark.gen_test(timeout=60)
Start = Callable[..., Coroutine[Any, Any, Stack]]
_OLD, _NEW, _OTHER = (("old", b"o" * 32), ("new", b"n" * 32), ("other", b"x" * 32))


def _member(stack: Stack, *keys: tuple[str, bytes]) -> MemberService:
    return MemberService(store=MemberStore(stack.redis), rings={"RING": KeyRing(keys)}, clock=stack.clock)


async def _members(stack: Stack) -> int:
    """How many of this test's processes are known, beside the service's own."""
    known = await stack.redis.client.hvals("members:{members}")
    return sum("RING" in record for record in known)


async def test_processes_in_the_middle_of_a_key_rotation_serve_together(stack: Stack) -> None:
    """One common key is enough."""
    first, second = _member(stack, _OLD), _member(stack, _NEW, _OLD)
    await first.start()
    await second.start()
    await first.aclose()
    await second.aclose()
    assert await _members(stack) == 0


async def test_a_process_without_a_common_key_is_refused_while_the_other_is_there(stack: Stack) -> None:
    """And leaves no trace of itself; once the other has gone it may serve."""
    first, stranger = _member(stack, _OLD), _member(stack, _OTHER)
    await first.start()
    with pytest.raises(KeyFault, match="RING has no key in common"):
        await stranger.start()
    assert await _members(stack) == 1
    await first.aclose()
    await stranger.start()
    await stranger.aclose()


async def test_a_process_that_fell_silent_is_forgotten(stack: Stack) -> None:
    """It stands in nobody's way, and leaves nothing behind."""
    dead, stranger = _member(stack, _OLD), _member(stack, _OTHER)
    await dead.start()
    await dead._tasks.aclose()  # as if it had been killed
    stack.clock.advance(LIFE_S + 1)
    await stranger.start()
    assert await _members(stack) == 1
    await stranger.aclose()


async def test_a_second_server_with_other_secrets_says_so_in_one_sentence(tmp_path: Path) -> None:
    """It names the setting, and the first goes on."""
    async with servers(tmp_path / "var", 1) as (server,):
        assert isinstance(server, ServerProcess)
        key = base64.b64encode(os.urandom(32)).decode()
        status, said = await start_in_vain(tmp_path, TOKEN_KEYS=f"k9:{key}")
    assert status == 1
    assert said.startswith("Haoma cannot start: TOKEN_KEYS has no key in common")
    assert said.count("\n") == 1

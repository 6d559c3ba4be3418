"""Processes serve together only if they can read what the others make: codes, tokens, passwords."""

import hashlib
import secrets

from server.clock import Clock
from server.errors import StoreUnavailable
from server.keys import KeyFault, KeyRing
from server.stores.members import MemberStore
from server.tasks import Tasks

BEAT_S = 5
LIFE_S = 15


class MemberService:
    """This process among the others."""

    def __init__(self, *, store: MemberStore, rings: dict[str, KeyRing], clock: Clock) -> None:
        self._store = store
        self._tasks = Tasks(clock)
        self._name = secrets.token_hex(8)
        self._keys = {name: [_fingerprint(key) for _, key in ring.keys] for name, ring in rings.items()}

    async def start(self) -> None:
        """Join; KeyFault if another process shares none of the keys of one ring with us."""
        for other in await self._store.join(self._name, self._keys, LIFE_S):
            for name, mine in self._keys.items():
                if name in other and not set(mine) & set(other[name]):
                    await self.aclose()
                    raise KeyFault(
                        f"{name} has no key in common with a process that serves on the same Redis; give both the "
                        f"same keys (or the same VAR_DIR), or stop the other and wait {LIFE_S} s."
                    )
        self._tasks.keep("members.beat", self._beat, every_s=BEAT_S)

    async def aclose(self) -> None:
        """Leave."""
        await self._tasks.aclose()
        try:
            await self._store.leave(self._name)
        except StoreUnavailable:
            pass  # It forgets us by itself.

    async def _beat(self) -> None:
        await self._store.stay(self._name, self._keys, LIFE_S)


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"fingerprint|" + key).hexdigest()[:16]

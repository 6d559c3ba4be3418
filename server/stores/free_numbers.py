"""Key family `free:`: numbers that surely nobody has.

A bitmap for each block of 10,000 numbers (those with the same first seven digits), where 1 says that no account has
the number. 0 says nothing: taken, or not read yet, or freed since. So a bitmap that is lost costs questions to
MongoDB, and calls no number free that is taken.
"""

import secrets
from collections.abc import Collection, Iterable

from server.stores.redis import Redis
from server.tags import Tagger

# Longer than any write of an account may take. So long nobody begins to read a block that one is about to change.
HOLD_S = 15
READING_S = 10  # then another process may read the block
LIFE_S = 24 * 3600  # of a bitmap, give or take a quarter, so that not all end at once
_ALL_FREE = b"\xff" * 1250


class FreeNumbers:
    """Who writes a bitmap takes its pen first. An account that is about to be written takes the pen from whoever has
    it, as that one may have read MongoDB too early."""

    def __init__(self, redis: Redis, tagger: Tagger) -> None:
        """`tagger` names the blocks, so that Redis alone does not tell who has an account."""
        self._redis = redis
        self._tagger = tagger

    async def among(self, mobiles: Collection[str]) -> set[str]:
        """Those of `mobiles` that are surely free, in one round trip. Of a node that is away none is."""
        rows = [([self.bitmap(mobile[:7])], int(mobile[7:])) for mobile in mobiles]
        bits = await self._redis.run_rows("read_free", rows)
        return {mobile for mobile, bit in zip(mobiles, bits, strict=True) if bit == 1}

    async def withdraw(self, mobile: str) -> None:
        """An account is about to take a number. To be called before it is written: then nobody hears that the number
        is free, whenever we are killed."""
        await self._redis.run("withdraw_free", self._keys(mobile[:7]), int(mobile[7:]), HOLD_S * 1000, durable=True)

    async def begin(self, block: str) -> str:
        """Take the pen of a block; its name, or "" if another is reading the block or an account of it is being
        written."""
        pen = secrets.token_hex(8)
        return pen if await self._redis.run("begin_free", self._keys(block)[1:], pen, READING_S * 1000) else ""

    async def fill(self, block: str, pen: str, taken: Iterable[int]) -> str:
        """All are free but `taken` (their last four digits), as was read under `pen`: `made`, `mended` (there was a
        bitmap), or `overtaken` (somebody took the pen) and nothing was written."""
        life_ms = LIFE_S * 750 + secrets.randbelow(LIFE_S * 500)
        return str(await self._redis.run("fill_free", self._keys(block), pen, _draw(taken), life_ms))

    def bitmap(self, block: str) -> str:
        """The key of a block's bitmap."""
        return f"free:{{{self._tagger.tag(block).name}}}"

    def _keys(self, block: str) -> list[str]:
        """Of the bitmap and of its pen."""
        bitmap = self.bitmap(block)
        return [bitmap, f"{bitmap}:pen"]


def _draw(taken: Iterable[int]) -> bytes:
    bits = bytearray(_ALL_FREE)
    for last in taken:
        bits[last >> 3] &= ~(0x80 >> (last & 7))
    return bytes(bits)

"""The time by which the service lives; tests hand in a clock of their own."""

import asyncio
import time


class Clock:
    """Wall time plus an offset that every Lua step takes too. The offset is 0 outside tests."""

    offset_ms: int = 0

    def now(self) -> float:
        """Unix seconds, by this host's clock; good for tokens, never for a rule about codes or limits."""
        return time.time() + self.offset_ms / 1000

    def monotonic(self) -> float:
        """Seconds that only ever go forward, for measuring."""
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds of real time."""
        await asyncio.sleep(delay_s)

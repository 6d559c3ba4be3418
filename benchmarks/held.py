"""`run.py` with a watch on its loop: on SIGUSR1 it writes into HELD_FILE how long, in ms, the loop was held at most
since the last time. The service's own gauge looks every 50 ms and would miss most holds of one push."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import server.main
from server.settings import Settings

STEP_S = 0.001
_serve = server.main.serve


class Watch:
    """Comes round as often as it can."""

    def __init__(self, told: Path) -> None:
        self._told = told
        self._worst_s = 0.0

    async def run(self) -> None:
        """Until the service ends."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._tell)
        while True:
            due = perf_counter() + STEP_S
            await asyncio.sleep(STEP_S)
            self._worst_s = max(self._worst_s, perf_counter() - due)

    def _tell(self) -> None:
        worst, self._worst_s = self._worst_s, 0.0
        draft = self._told.with_suffix(".new")
        draft.write_text(str(worst * 1000))
        draft.replace(self._told)


async def serve(settings: Settings) -> int:
    """As ever, watched."""
    watching = asyncio.create_task(Watch(Path(os.environ["HELD_FILE"])).run())
    try:
        return await _serve(settings)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


if __name__ == "__main__":
    server.main.serve = serve
    sys.exit(server.main.run())

"""`python -m tests.fuzz --frames 1000000 [--seed N]`: prints its counts; exit status 1 if a promise was broken."""

import argparse
import asyncio
import functools
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.chaos.__main__ import show
from tests.chaos.world import Table
from tests.fuzz.run import PROTOCOLS, run


async def tables(asked: argparse.Namespace, directory: Path, seed: int) -> AsyncIterator[Table]:
    """One for each protocol."""
    for protocol in [asked.protocol] if asked.protocol else PROTOCOLS:
        yield await run(directory / protocol, protocol=protocol, frames=asked.frames, seed=seed)


def main() -> int:
    """Exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000, help="on each protocol")
    parser.add_argument("--seed", type=int, help="repeats the frames of an earlier run")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="one of them; both without it")
    asked = parser.parse_args()
    return 0 if asyncio.run(show(asked.seed, functools.partial(tables, asked))) else 1


if __name__ == "__main__":
    sys.exit(main())

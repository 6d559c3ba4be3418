"""`python -m tests.fuzz --frames 1000000 [--seed N]`: prints its counts; exit status 1 if a promise was broken."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.world import seed_or_new
from tests.fuzz.run import PROTOCOLS, run


async def show(asked: argparse.Namespace) -> bool:
    """True if every promise held."""
    seed, directory = seed_or_new(asked.seed), Path(tempfile.mkdtemp(prefix="haoma-fuzz-"))
    print(f"seed {seed}, working in {directory}\n", flush=True)
    broken = []
    for protocol in [asked.protocol] if asked.protocol else PROTOCOLS:
        table = await run(directory / protocol, protocol=protocol, frames=asked.frames, seed=seed)
        print(table, flush=True)
        broken += table.broken
    if broken:
        print(f"The servers' logs are in {directory}.")
    else:
        shutil.rmtree(directory)
    return not broken


def main() -> int:
    """Exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000, help="on each protocol")
    parser.add_argument("--seed", type=int, help="repeats the frames of an earlier run")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="one of them; both without it")
    return 0 if asyncio.run(show(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())

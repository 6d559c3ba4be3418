"""`python -m tests.chaos kills --rounds 300`: prints its counts; exit status 1 if a promise was broken."""

import argparse
import asyncio
import functools
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tests.chaos import kills, outage, races, vendor_death
from tests.chaos.world import Table, new_seed

MODES = ("refuse", "500", "hang")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats the choices of an earlier run")
    parts = parser.add_subparsers(dest="part", required=True)
    killing = parts.add_parser("kills", help="servers are killed while SMS are on their way")
    killing.add_argument("--rounds", type=int, default=300)
    dying = parts.add_parser("vendor-death", help="one of two vendors dies in the middle of many sends")
    dying.add_argument("--sends", type=int, default=1000)
    dying.add_argument("--mode", choices=MODES, help="one way of dying; all without it")
    away = parts.add_parser("outage", help="all vendors are away for a while")
    away.add_argument("--away-s", type=float, default=15)
    away.add_argument("--mode", choices=MODES, default="refuse")
    racing = parts.add_parser("races", help="two servers are asked at the same moment for what only one may have")
    racing.add_argument("--rounds", type=int, default=200)
    racing.add_argument("--race", choices=races.RACES, help="one of them; all without it")
    return parser.parse_args()


async def run(asked: argparse.Namespace, directory: Path, seed: int) -> AsyncIterator[Table]:
    """The part that was asked for."""
    if asked.part == "kills":
        yield await kills.run(directory, rounds=asked.rounds, seed=seed)
    elif asked.part == "races":
        for race in [asked.race] if asked.race else races.RACES:
            yield await races.run(directory / race, race=race, rounds=asked.rounds)
    elif asked.part == "outage":
        yield await outage.run(directory, away_s=asked.away_s, mode=asked.mode)
    else:
        for mode in [asked.mode] if asked.mode else MODES:
            yield await vendor_death.run(directory / mode, sends=asked.sends, mode=mode)


async def show(seed: int | None, parts: Callable[[Path, int], AsyncIterator[Table]]) -> bool:
    """Print the tables of `parts(directory, seed)` as they come; True if every promise held."""
    seed = new_seed() if seed is None else seed
    directory = Path(tempfile.mkdtemp(prefix="haoma-tried-"))
    print(f"seed {seed}, working in {directory}\n", flush=True)
    broken = []
    async for table in parts(directory, seed):
        print(table, flush=True)
        broken += table.broken
    if broken:
        print(f"The servers' logs are in {directory}.")
    else:
        shutil.rmtree(directory)
    return not broken


if __name__ == "__main__":
    asked = read_arguments()
    sys.exit(0 if asyncio.run(show(asked.seed, functools.partial(run, asked))) else 1)

"""`python -m tests.chaos kills --rounds 300`: prints its counts; exit status 1 if a promise was broken."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos import kills, outage, vendor_death
from tests.chaos.world import Table, seed_or_new

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
    return parser.parse_args()


async def run(asked: argparse.Namespace, directory: Path, seed: int) -> list[Table]:
    """The part that was asked for."""
    if asked.part == "kills":
        return [await kills.run(directory, rounds=asked.rounds, seed=seed)]
    if asked.part == "outage":
        return [await outage.run(directory, away_s=asked.away_s, mode=asked.mode)]
    return [
        await vendor_death.run(directory / mode, sends=asked.sends, mode=mode)
        for mode in ([asked.mode] if asked.mode else MODES)
    ]


def main() -> int:
    asked = read_arguments()
    seed = seed_or_new(asked.seed)
    directory = Path(tempfile.mkdtemp(prefix="haoma-chaos-"))
    print(f"seed {seed}, working in {directory}", flush=True)
    tables = asyncio.run(run(asked, directory, seed))
    print(*tables, sep="\n\n")
    if any(table.broken for table in tables):
        print(f"The servers' log is {directory / 'servers.log'}.")
        return 1
    shutil.rmtree(directory)
    return 0


sys.exit(main())

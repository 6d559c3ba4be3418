"""Runs the measurements and prints one table. Where a figure has a target, its row names it."""

import argparse
import json
import resource
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import (
    accounts,
    checks,
    countdowns,
    delivery,
    gets,
    load,
    monitor,
    pages,
    pushes,
    registrations,
    registry,
    sends,
)
from benchmarks.machine import machine
from benchmarks.rows import Row, markdown, text
from benchmarks.turns import Bench, on_a_core

FILES = 11_000  # so many pages, and what else a process opens
MEASUREMENTS: dict[str, Callable[[Bench], Awaitable[list[Row]]]] = {
    "memory": pages.measure,
    "ws": checks.measure,
    "http": gets.measure,
    "send": sends.measure,
    "register": registrations.measure,
    "countdowns": countdowns.measure,
    "push": pushes.measure,
    "registry": registry.measure,
    "sms": delivery.measure,
    "accounts": accounts.measure,
    "monitor": monitor.measure,
}


async def measure(asked: argparse.Namespace) -> list[Row]:
    """One measurement after the other."""
    bench = on_a_core(asked.seconds, asked.rounds)
    return [row for name in asked.only for row in await MEASUREMENTS[name](bench)]


def about(asked: argparse.Namespace) -> dict[str, Any]:
    """When, where and how."""
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "connections": load.CONNECTIONS,
        "rounds": asked.rounds,
        "seconds": asked.seconds,
    }


def show(rows: list[Row], asked: argparse.Namespace) -> None:
    """The table; with --json FILE also there."""
    has = about(asked)
    print(f"{has['date']}; {has['machine']}")
    print(f"{has['connections']} connections, one request in flight on each; median of {has['rounds']} rounds of")
    print(f"{has['seconds']:g} s, the servers in turns on one core, the load and the stores beside it.\n")
    print(markdown(rows) if asked.markdown else text(rows))
    if asked.json:
        found = has | {"rows": [row.as_json() for row in rows]}
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=MEASUREMENTS, nargs="+", default=[*MEASUREMENTS], help="these measurements")
    options(parser)
    return parser.parse_args(arguments)


def options(parser: argparse.ArgumentParser) -> None:
    """How long, and where the table goes."""
    parser.add_argument("--seconds", type=float, default=4, help="length of a round (default: 4)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each server (default: 7)")
    parser.add_argument("--markdown", action="store_true", help="print the table for the docs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it there too; `benchmarks.chart` draws it")


def raise_file_limit() -> None:
    """Each page is a file here and in its server, which inherits the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main() -> None:
    """Measure and print."""
    asked = parse()
    raise_file_limit()
    show(uvloop.run(measure(asked)), asked)


if __name__ == "__main__":
    main()

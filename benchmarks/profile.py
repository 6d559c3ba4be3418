"""Where the microseconds of a `mobile.check` go: py-spy looks at the server under full load, from outside. Prints a
table by part and draws docs/images/profile-check.svg."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop

from benchmarks import flame, load, messages, servers
from benchmarks.clients import SocketClient
from benchmarks.machine import machine
from benchmarks.parts import shares
from benchmarks.processes import ROOT, Server
from benchmarks.turns import on_a_core

SAMPLES_A_SECOND = 250
SVG = ROOT / "docs" / "images" / "profile-check.svg"


async def measure(seconds: float) -> tuple[float, list[str]]:
    """The CPU of a check in µs, seen without py-spy; then what that saw, while the load goes on."""
    bench = on_a_core(seconds, rounds=1)
    async with servers.haoma(bench.core) as server:
        clients = await load.connect(SocketClient, server.port, load.CONNECTIONS, messages.checks())
        await load.run(clients, 1)
        await load.stop(clients)
        before = server.loop_cpu_s()
        sample = await load.run(clients, seconds)
        each_us = (server.loop_cpu_s() - before) / (sample.per_second * seconds) * 1e6
        lines = await _record(server, seconds)
        await load.stop(clients)
    return each_us, lines


async def _record(server: Server, seconds: float) -> list[str]:
    with tempfile.NamedTemporaryFile() as raw:
        py_spy = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            *("--pid", str(server.pid), "--duration", str(round(seconds)), "--rate", str(SAMPLES_A_SECOND)),
            *("--function", "--format", "raw", "--output", raw.name),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await py_spy.communicate()
        if py_spy.returncode:
            sys.exit(f"{said.decode()}\npy-spy must be allowed to look into a process: be root, or have SYS_PTRACE.")
        return Path(raw.name).read_text(encoding="utf-8").splitlines()


def table(parts: dict[str, float], each_us: float) -> str:
    """Markdown."""
    rows = [(part, f"{share:.0%}", f"{share * each_us:.1f}") for part, share in parts.items()]
    lines = [("Part", "Share", "µs"), ("---", "---:", "---:"), *rows, ("all", "100%", f"{each_us:.1f}")]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each of the two steps (default: 10)")
    asked = parser.parse_args()
    each_us, lines = uvloop.run(measure(asked.seconds))
    parts = shares(lines)
    print(f"{machine()}; {load.CONNECTIONS} connections\n\n{table(parts, each_us)}")
    flame.draw(lines, parts, f"One mobile.check over the websocket: {each_us:.0f} µs of the loop's thread", SVG)
    print(f"\n{SVG.relative_to(ROOT)}: {SVG.stat().st_size // 1000} KB", file=sys.stderr)


if __name__ == "__main__":
    main()

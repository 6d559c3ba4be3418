"""This checkout beside another commit: `python -m benchmarks.compare REV`. Both servers run on this checkout's
packages, in turns on one core, and are asked the same."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import uvloop

from benchmarks import checks, gets, messages, sends, servers
from benchmarks.__main__ import options, raise_file_limit, show
from benchmarks.clients import HttpClient, SocketClient
from benchmarks.processes import ROOT, Server
from benchmarks.rows import Row
from benchmarks.turns import Bench, Rival, details, in_turns, on_a_core, rate


@contextmanager
def worktree(rev: str) -> Iterator[Path]:
    """That commit's files, for as long as they are needed; also after Ctrl-C nothing of them is left."""
    with tempfile.TemporaryDirectory(prefix="haoma-base-") as folder:
        tree = Path(folder) / "tree"
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), rev], check=True)
        try:
            vendor = tree / "static" / "vendor"
            if not vendor.exists():
                vendor.symlink_to(ROOT / "static" / "vendor")
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


async def measure(tree: Path, rev: str, bench: Bench) -> list[Row]:
    """Checks, GET and `sms.send`."""
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        start, settings = stack.enter_async_context, sends.SETTINGS
        pair = [
            ("now", await start(servers.haoma(bench.core, **settings))),
            (rev, await start(servers.haoma(bench.core, root=tree, **settings))),
        ]
        for what, rivals in _asked(pair).items():
            now, base = await in_turns(what, rivals, bench)
            rows += [rate(what, now, base), *details(what, now, base)]
    return rows


def _asked(pair: list[tuple[str, Server]]) -> dict[str, list[Rival]]:
    check, free = messages.checks(), b'"available":true'
    return {
        checks.WHAT: [Rival(name, server, SocketClient, check, free) for name, server in pair],
        gets.WHAT: [Rival(name, server, HttpClient, messages.gets(server.port), free) for name, server in pair],
        sends.WHAT: [Rival(name, server, SocketClient, messages.sends(), b'"transaction"') for name, server in pair],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("rev", help="a commit, branch or tag")
    options(parser)
    asked = parser.parse_args()
    raise_file_limit()
    with worktree(asked.rev) as tree:
        rows = uvloop.run(measure(tree, asked.rev, on_a_core(asked.seconds, asked.rounds)))
    show(rows, asked)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

"""Several servers under the same load in turns, so that whatever else goes on on the machine meets all of them."""

import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks import load
from benchmarks.clients import Client
from benchmarks.load import Sample
from benchmarks.processes import Server, cores
from benchmarks.rows import Row
from benchmarks.targets import Target

WARM_UP_S = 3
BUSY = 0.9  # of a core; a server that had less was kept waiting


@dataclass(frozen=True)
class Bench:
    """Where the servers run, and for how long each is measured."""

    core: set[int]
    seconds: float
    rounds: int


def on_a_core(seconds: float, rounds: int) -> Bench:
    """The servers on one core; this process, and the stores that it starts, on the others."""
    core, others = cores()
    if others:
        os.sched_setaffinity(0, others)
    elif core:
        print("Only one core here: server and load share it.", file=sys.stderr)
    return Bench(core, seconds, rounds)


@dataclass(frozen=True)
class Rival:
    """A server and what it is asked."""

    name: str
    server: Server
    kind: type[Client]
    messages: Iterator[bytes]
    right: bytes


@dataclass
class Rounds:
    """All rounds of one server."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def add(self, sample: Sample, cpu_s: float, seconds: float) -> None:
        """One more round, in which the server used so much CPU."""
        self.samples.append(sample)
        self.cpu_us.append(cpu_s / max(1, sample.per_second * seconds) * 1e6)
        self.busy.append(cpu_s / seconds)

    def median(self, of: Callable[[Sample], float]) -> float:
        """Of one figure, over the rounds."""
        return statistics.median(of(sample) for sample in self.samples)

    @property
    def per_second(self) -> float:
        """Answers."""
        return self.median(lambda sample: sample.per_second)


async def in_turns(what: str, rivals: Sequence[Rival], bench: Bench) -> list[Rounds]:
    """A round of each to warm up, then those that count."""
    seen = [Rounds(rival.name) for rival in rivals]
    for rival in rivals:
        await _round(rival, WARM_UP_S)
    for number in range(bench.rounds):
        for rival, rounds in zip(rivals, seen, strict=True):
            rounds.add(*await _round(rival, bench.seconds), bench.seconds)
        rates = ", ".join(f"{rounds.name} {rounds.samples[-1].per_second:,.0f}" for rounds in seen)
        print(f"{what}: round {number + 1} of {bench.rounds}: {rates}", file=sys.stderr)
    _warn(what, seen)
    return seen


async def _round(rival: Rival, seconds: float) -> tuple[Sample, float]:
    """What was seen and the CPU that it took. Connections are new: some servers close those that wait for their turn.
    The next has its turn when this server has nothing left to do."""
    clients = await load.connect(rival.kind, rival.server.port, load.CONNECTIONS, rival.messages, rival.right)
    before = rival.server.cpu_s()
    sample = await load.run(clients, seconds)
    cpu_s = rival.server.cpu_s() - before
    await load.stop(clients)
    await load.close(clients)
    await rival.server.rests()
    return sample, cpu_s


def _warn(what: str, seen: Sequence[Rounds]) -> None:
    for rounds in seen:
        if wrong := sum(sample.wrong for sample in rounds.samples):
            one = next(sample.wrong_one for sample in rounds.samples if sample.wrong)
            print(f"{what}: {wrong} answers of {rounds.name} are not as they should be: {one!r}", file=sys.stderr)
        if 0 < statistics.median(rounds.busy) < BUSY:
            print(f"{what}: {rounds.name} did not have its core for itself; compare the CPU", file=sys.stderr)


def rate(what: str, ours: Rounds, peer: Rounds, target: Target | None = None) -> Row:
    """Answers per second beside a peer's."""
    pairs = zip(ours.samples, peer.samples, strict=True)
    ratios = [mine.per_second / theirs.per_second for mine, theirs in pairs]
    return Row(f"{what}, per second", ours.per_second, "/s", peer.per_second, peer.name, ratios, target)


def details(what: str, ours: Rounds, peer: Rounds, p99: Target | None = None) -> list[Row]:
    """Delays, and the CPU of the servers alone."""
    rows = []
    for name, of, target in (("p50", lambda s: s.p50_ms, None), ("p99", lambda s: s.p99_ms, p99)):
        rows.append(Row(f"{what}, {name}", ours.median(of), "ms", peer.median(of), peer.name, target=target))
    mine, theirs = statistics.median(ours.cpu_us), statistics.median(peer.cpu_us)
    if not mine or not theirs:
        return rows
    busy = [statistics.median(rounds.busy) * 100 for rounds in (ours, peer)]
    return [
        *rows,
        Row(f"{what}, CPU for each", mine, "µs", theirs, peer.name, [theirs / mine]),
        Row(f"{what}, of its core in use", busy[0], "%", busy[1], peer.name),
    ]

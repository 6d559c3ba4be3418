"""The table: one row for each figure, with its peer's and its target where there are such."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.targets import Target

HEAD = ("", "Haoma", "peer", "ratio", "target", "")
Cells = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class Row:
    """One figure. `ratios`, one of each round: how many times as good as the peer it is (for a
    target that is a most: how many times as long it takes)."""

    what: str
    ours: float
    unit: str
    peer: float | None = None
    beside: str = ""
    ratios: Sequence[float] = ()
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds."""
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Whether the target is; None where there is none."""
        if self.target is None:
            return None
        judged = self.ratio if self.target.unit == "×" else self.ours
        assert judged is not None, self.what
        return self.target.met(judged)

    def cells(self) -> Cells:
        """As a reader sees it."""
        peer = "" if self.peer is None else f"{amount(self.peer, self.unit)} ({self.beside})"
        sign = {None: "", True: "✓", False: "✗"}[self.met]
        return self.what, amount(self.ours, self.unit), peer, self._ratio_cell(), str(self.target or ""), sign

    def _ratio_cell(self) -> str:
        if self.ratio is None:
            return ""
        spread = f" ({min(self.ratios):.2f} to {max(self.ratios):.2f})" if len(self.ratios) > 1 else ""
        return f"{self.ratio:.2f}{spread}"

    def as_json(self) -> dict[str, Any]:
        """As a program reads it."""
        seen = {"what": self.what, "ours": self.ours, "unit": self.unit, "peer": self.peer, "beside": self.beside}
        target = str(self.target) if self.target else None
        return seen | {"ratio": self.ratio, "target": target, "met": self.met, "cells": self.cells()}


def amount(value: float, unit: str) -> str:
    """A figure with its unit, in as many digits as it can bear."""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def markdown(rows: Sequence[Row]) -> str:
    """For the docs."""
    lines = (HEAD, ("---", "---:", "---:", "---:", "---:", ":---:"), *(row.cells() for row in rows))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def text(rows: Sequence[Row]) -> str:
    """For a terminal."""
    lines = [[cell.replace("`", "") for cell in cells] for cells in (HEAD, *(row.cells() for row in rows))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])] for first, *others in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)

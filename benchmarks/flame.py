"""A flame graph in the colours of the parts: the width of a function is its share of the loop's time, and below it
are those that it calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.patches import Patch

from benchmarks.parts import LOOP, PARTS, name_of, part_of, stacks

NARROW, LETTERS = 0.004, 220  # a narrower one is not drawn; so many letters go over the whole width
COLOURS = dict(zip(PARTS, mpl.color_sequences["Set3"], strict=False))


@dataclass
class Frame:
    """A function where it was called from."""

    part: str = LOOP
    count: int = 0
    inner: dict[str, "Frame"] = field(default_factory=dict)


def tree(lines: Sequence[str]) -> Frame:
    """All stacks laid over each other."""
    root = Frame()
    for frames, count in stacks(lines):
        at = root
        at.count += count
        for frame in frames:
            at = at.inner.setdefault(frame, Frame(part_of(frame) or at.part))
            at.count += count
    return root


def draw(lines: Sequence[str], shares: dict[str, float], title: str, path: Path) -> None:
    """As SVG whose text stays text."""
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "haoma", "font.size": 8}
    root = tree(lines)
    figure, axes = pyplot.subplots(figsize=(14, 0.22 * _depth(root) + 1.4), layout="constrained")
    _draw(axes, "loop", root, 0, 0, root.count)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.axis("off")
    axes.set_title(title, loc="left", weight="bold")
    keys = [Patch(color=COLOURS[part], label=f"{part} {share:.0%}") for part, share in shares.items()]
    axes.legend(handles=keys, ncols=5, loc="upper center", bbox_to_anchor=(0.5, 0), frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _draw(axes: pyplot.Axes, frame: str, shown: Frame, depth: int, left: float, total: int) -> None:
    width = shown.count / total
    if width < NARROW:
        return
    axes.barh(depth, width, left=left, height=0.96, color=COLOURS[shown.part], edgecolor="white", linewidth=0.4)
    letters = int(width * LETTERS)
    if letters > 3:
        axes.text(left + 0.002, depth, name_of(frame)[:letters], va="center", clip_on=True)
    for name, inner in sorted(shown.inner.items()):
        _draw(axes, name, inner, depth + 1, left, total)
        left += inner.count / total


def _depth(shown: Frame) -> int:
    return 1 + max((_depth(inner) for inner in shown.inner.values()), default=0)

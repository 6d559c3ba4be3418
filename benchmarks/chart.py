"""Draws checks per second as bars: `python -m benchmarks.chart FILE.json`, which `make bench ARGS="--json FILE.json"`
wrote. The picture is docs/images/performance.svg."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from benchmarks.checks import WHAT
from benchmarks.processes import ROOT

SVG = ROOT / "docs" / "images" / "performance.svg"
OURS, THEIRS, INK = "#0b6bcb", "#9fb3c8", "#1f2933"


def bars(rows: list[dict[str, Any]]) -> list[tuple[str, float, str]]:
    """Name, checks a second, and how many times as many ours are; the fastest first."""
    rates = [row for row in rows if row["what"] == f"{WHAT}, per second"]
    if not rates:
        sys.exit(f"There is no `{WHAT}` in that file: measure with --only ws, or all.")
    peers = [(row["beside"], row["peer"], f"Haoma {row['ratio']:.3g} ×") for row in rates]
    return sorted([("Haoma", rates[0]["ours"], ""), *peers], key=lambda bar: -bar[1])


def draw(found: dict[str, Any], path: Path) -> None:
    """The same file for the same figures."""
    names, values, ratios = zip(*bars(found["rows"]), strict=True)
    # Text stays text: it can be searched, and is drawn in the reader's own font.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "haoma", "font.size": 11, "text.color": INK}
    figure, axes = pyplot.subplots(figsize=(8, 0.7 * len(names) + 1.3), layout="constrained")
    drawn = axes.barh(names, values, color=[OURS if name == "Haoma" else THEIRS for name in names])
    labels = [
        f"{value:,.0f}" + (f"  ({ratio})" if ratio else "") for value, ratio in zip(values, ratios, strict=True)
    ]
    axes.bar_label(drawn, labels, padding=6)
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * 1.3)
    axes.xaxis.set_visible(False)
    axes.tick_params(left=False, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_title("Checks of a mobile number per second, one server core", loc="left", weight="bold")
    figure.supxlabel(f"{found['date']}; {found['machine'].partition(';')[0]}", size=9)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """From the file that is named."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), SVG)
    print(SVG.relative_to(ROOT))


if __name__ == "__main__":
    main()

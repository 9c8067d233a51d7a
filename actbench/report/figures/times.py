"""Steps to the target."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.analysis.speed import Speed
from actbench.report.figures.panels import colour, fixed_panels, ink, label_width, rows
from actbench.report.figures.style import BEHIND, SMALL, TEXT, WIDTH, is_narrow
from actbench.report.sentences import short_names

ROW = 0.165  # inches
_ROOM = 0.3  # of a panel, that a text at the left of an interval takes


def times_figure(comparisons: Sequence[Comparison], width: float = WIDTH) -> Figure | None:
    """Mean steps to the target at the fastest rate with 95 % intervals, a panel per task; None where no run arrives.

    Open triangles: some runs never arrive and count with their full length, so the mean is at least that; beside them,
    how many arrive. The line is the baseline's mean.
    """
    drawn = [comparison for comparison in comparisons if any(speed.reached for speed in comparison.speeds.values())]
    if not drawn:
        return None
    names = [name for name in order(comparisons) if any(name in comparison.speeds for comparison in drawn)]
    columns, titles = (
        1 if is_narrow(width) else min(3, len(drawn)),
        short_names([comparison.task for comparison in comparisons]),
    )
    figure, axes = fixed_panels(
        [titles[comparison.task] for comparison in drawn], 0.1 + ROW * len(names), columns, width,
        left=label_width(names), bottom=0.42, gap=(0.15, 0.55),
    )  # fmt: skip
    for place, (axis, comparison) in enumerate(zip(axes, drawn, strict=True)):
        rows(axis, names, place % columns == 0)
        _panel(axis, comparison, comparison.speeds, names)
    for axis in axes[-columns:]:
        axis.set_xlabel("steps to the target", **TEXT)
    return figure


def _panel(axis: Any, comparison: Comparison, found: Mapping[str, Speed], names: Sequence[str]) -> None:
    places = {name: place for place, name in enumerate(names) if name in found}
    shades = [colour(comparison, name) for name in places]
    lines = [[(found[name].low, y), (found[name].high, y)] for name, y in places.items()]
    axis.add_collection(LineCollection(lines, colors=shades, linewidths=1.1))
    longest = max(float(np.fmax(speed.mean, speed.high)) for speed in found.values())
    axis.set_xlim(0, 1.05 * longest)
    if comparison.baseline in found:
        axis.axvline(found[comparison.baseline].mean, color=BEHIND, linewidth=1, zorder=0)
    for (name, y), shade in zip(places.items(), shades, strict=True):
        speed = found[name]
        if speed.reached == speed.runs:
            axis.plot(speed.mean, y, "o", color=shade, markersize=4.5, markeredgewidth=0)
            continue
        axis.plot(speed.mean, y, ">", color=shade, markersize=5, markerfacecolor="white")
        left, right = np.fmin(speed.mean, speed.low), np.fmax(speed.mean, speed.high)
        place, shift, side = (left, -5, "right") if left > _ROOM * longest else (right, 5, "left")
        axis.annotate(f"{speed.reached} of {speed.runs}", (place, y), (shift, 0), textcoords="offset points", ha=side,
                      va="center", color=ink(shade), **SMALL)  # fmt: skip

"""Differences to the baseline: the main figure of a report."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.report.figures.style import BAND, BASELINE, SMALL, TEXT, VERDICTS, legend, marker, panels, plain
from actbench.report.sentences import short_names

_WIDEST, _NARROWEST = 5.0, 2.0  # half of the axis, in margins


def differences_figure(comparisons: Sequence[Comparison], narrow: bool = False) -> Figure:
    """Mean differences to the baseline in points with 95 % intervals, the margin as a band; a panel per task.

    A point is drawn as its verdict has it; one outside the axis becomes an arrow with its value. comparisons: with
    differences. All panels have one order of rows and one scale.
    """
    rows = [name for name in order(comparisons) if any(name in c.differences for c in comparisons)]
    names = short_names([comparison.task for comparison in comparisons])
    height = 0.45 + 0.17 * len(rows)
    figure, axes = panels(len(comparisons), height, narrow, sharex=not narrow, sharey=not narrow)
    limit = _limit(comparisons)
    for axis, comparison in zip(axes, comparisons, strict=True):
        margin = 100 * comparison.margin
        axis.axvspan(-margin, margin, color=BAND, linewidth=0, zorder=0)
        axis.axvline(0, color=BASELINE, linewidth=0.8, zorder=1)
        for place, name in enumerate(reversed(rows)):
            if name in comparison.differences:
                _draw_row(axis, place, comparison, name, limit)
        axis.set_yticks(range(len(rows)), list(reversed(rows)))
        axis.set_ylim(-0.7, len(rows) - 0.3)
        axis.set_xlim(-limit, limit)
        score = 100 * comparison.scores[comparison.baseline].mean()
        axis.set_title(f"{names[comparison.task]}   {comparison.baseline} {score:.1f} %", weight="bold", **TEXT)
        plain(axis)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
    figure.supxlabel(f"test accuracy minus {comparisons[0].baseline}, points", **TEXT)
    shown = {difference.verdict for comparison in comparisons for difference in comparison.differences.values()}
    legend(figure, {verdict: _key(verdict) for verdict in VERDICTS if verdict in shown})
    return figure


def _limit(comparisons: Sequence[Comparison]) -> float:
    """Half of the axis in points: it holds the intervals, but is at most _WIDEST margins."""
    margin = max(comparison.margin for comparison in comparisons)
    ends = [
        abs(end)
        for comparison in comparisons
        for difference in comparison.differences.values()
        for end in (difference.mean, difference.low, difference.high)
        if end == end and (not margin or abs(difference.mean) < _WIDEST * margin)
    ]
    largest = max(ends, default=0.0)
    if not margin:
        return 105 * largest or 1.0
    return 105 * min(max(largest, _NARROWEST * margin), _WIDEST * margin)


def _draw_row(axis: Any, place: int, comparison: Comparison, name: str, limit: float) -> None:
    difference = comparison.differences[name]
    mean, look = 100 * difference.mean, marker(difference.verdict)
    if abs(mean) >= limit:
        left = mean < 0
        axis.plot(-0.96 * limit if left else 0.96 * limit, place, marker="<" if left else ">", markersize=5,
                  color=look["color"], linestyle="none")  # fmt: skip
        text = f"{mean:+.{1 if abs(mean) < 10 else 0}f}".replace("-", "−")
        axis.text(-0.88 * limit if left else 0.88 * limit, place, text, color=look["color"], va="center",
                  ha="left" if left else "right", **SMALL)  # fmt: skip
        return
    if difference.low == difference.low:
        axis.plot([100 * difference.low, 100 * difference.high], [place, place], color=look["color"], linewidth=1.5,
                  solid_capstyle="butt", zorder=2)  # fmt: skip
    axis.plot(mean, place, markersize=5, linestyle="none", zorder=3, **look)


def _key(verdict: str) -> Line2D:
    return Line2D([], [], linewidth=1.5, markersize=5, **marker(verdict))

"""Differences to the baseline: the main figure of a report."""

from collections.abc import Sequence
from typing import Any

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.report.figures.panels import bottom_legend, colour, fixed_panels, label_width, legend_height, rows
from actbench.report.figures.style import BAND, BASELINE, SMALL, TEXT, VERDICTS, WIDTH, is_narrow, marker
from actbench.report.metrics import only_metric
from actbench.report.sentences import short_names

ROW = 0.17  # inches
_WIDEST, _NARROWEST = 5.0, 2.0  # half of the axis, in margins


def differences_figure(comparisons: Sequence[Comparison], width: float = WIDTH) -> Figure:
    """Mean differences to the baseline with 95 % intervals, the margin as a band; a panel per task.

    A point is drawn as its verdict has it; one outside the axis becomes an arrow with its value. comparisons: with
    differences. All panels have one order of rows, and those of one metric one scale.
    """
    shown = [name for name in order(comparisons) if any(name in c.differences for c in comparisons)]
    names = short_names([comparison.task for comparison in comparisons])
    scores = [f"{c.baseline} {c.metric.value(c.scores[c.baseline].mean())}" for c in comparisons]
    kept = [score.replace(" ", "\N{NO-BREAK SPACE}") for score in scores]  # where a title is wrapped
    titles = [f"{names[c.task]}   {score}" for c, score in zip(comparisons, kept, strict=True)]
    found = {difference.verdict for comparison in comparisons for difference in comparison.differences.values()}
    entries = [Line2D([], [], linestyle="none", label=f"against {comparisons[0].baseline}:")]
    entries += [_entry(verdict) for verdict in VERDICTS if verdict in found]
    columns, mixed = 1 if is_narrow(width) else min(3, len(comparisons)), only_metric(comparisons) is None
    figure, axes = fixed_panels(
        titles, 0.1 + ROW * len(shown), columns, width, left=label_width(shown), top=0.35,
        bottom=0.45 + legend_height(entries, width), gap=(0.15, 0.8 if mixed else 0.6),
    )  # fmt: skip
    for place, (axis, comparison) in enumerate(zip(axes, comparisons, strict=True)):
        rows(axis, shown, place % columns == 0)
        margin = comparison.metric.scale * comparison.margin
        limit = _limit([own for own in comparisons if own.metric is comparison.metric])
        axis.axvspan(-margin, margin, color=BAND, linewidth=0, zorder=0)
        axis.axvline(0, color=BASELINE, linewidth=0.8, zorder=1)
        axis.set_xlim(-limit, limit)
        if mixed:  # numbers of several digits, which would touch those of the next panel
            axis.xaxis.get_major_locator().set_params(nbins=4)
        _draw_rows(axis, comparison, shown, limit)
    for axis, comparison in list(zip(axes, comparisons, strict=True))[0 if mixed else -columns :]:
        axis.set_xlabel(comparison.metric.difference_axis(comparison.baseline), **TEXT)
    bottom_legend(figure, entries, width)
    return figure


def _limit(comparisons: Sequence[Comparison]) -> float:
    """Half of the axis of tasks of one metric: it holds the intervals of points within _WIDEST margins, its maximum."""
    scale = 1.05 * comparisons[0].metric.scale
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
        return scale * largest or 1.0
    return scale * min(max(largest, _NARROWEST * margin), _WIDEST * margin)


def _draw_rows(axis: Any, comparison: Comparison, shown: Sequence[str], limit: float) -> None:
    segments, colours, scale = [], [], comparison.metric.scale
    for place, name in enumerate(shown):
        difference = comparison.differences.get(name)
        if difference is None:
            continue
        mean, look = scale * difference.mean, marker(difference.verdict)
        if abs(mean) >= limit:
            side = -1 if mean < 0 else 1
            axis.plot(0.96 * side * limit, place, marker="<" if mean < 0 else ">", markersize=5, color=look["color"])
            digits = 2 if scale == 1 else 1 if abs(mean) < 10 else 0
            text = f"{mean:+.{digits}f}"
            axis.text(0.88 * side * limit, place, text, color=look["color"], va="center",
                      ha="left" if mean < 0 else "right", **SMALL)  # fmt: skip
            continue
        if difference.low == difference.low:
            segments.append([(scale * difference.low, place), (scale * difference.high, place)])
            colours.append(colour(comparison, name))
        axis.plot(mean, place, markersize=5, zorder=3, **look)
    axis.add_collection(LineCollection(segments, colors=colours, linewidths=1.5, zorder=2))


def _entry(verdict: str) -> Line2D:
    return Line2D([], [], linewidth=1.5, markersize=5, label=verdict, **marker(verdict))

"""Validation scores over the learning rate."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from actbench.analysis.labels import ended_runs
from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.analysis.rates import mean_scores
from actbench.experiment.scores import ACCURACY, Metric
from actbench.report.figures.panels import (
    POINTS,
    bottom_legend,
    colour,
    crowded,
    fixed_panels,
    highlighted,
    inches,
    ink,
    legend_height,
    verdict_entries,
    write_names,
)
from actbench.report.figures.style import SMALL, TEXT, WIDTH, is_narrow
from actbench.report.metrics import only_metric
from actbench.report.sentences import short_names

_FEW = 6  # series of a panel, up to which all have their names
_SMALLEST_SPAN = 0.005  # of scores, where all are equal and the margin is 0


def rates_figure(comparisons: Sequence[Comparison], width: float = WIDTH) -> Figure:
    """Mean validation score over the learning rate, a panel per task and a line per series; better is higher up.

    Large dots: the rate that is chosen for most seeds; hollow dots: raced out. Rates below the panel are arrows at its
    lower edge with their value, or the lowest and the highest of several at the same rate. At least one run has ended.
    """
    drawn = [comparison for comparison in comparisons if len(ended_runs(comparison.planned))]
    dots = [
        Line2D([], [], marker="o", linestyle="", color="0.35", markersize=size, markerfacecolor=face, label=text)
        for size, face, text in ((6, "0.35", "chosen"), (3, "0.35", "all seeds"), (3, "white", "raced out"))
    ]
    entries, columns = [*dots, *verdict_entries(drawn)], 1 if is_narrow(width) else min(3, len(drawn))
    bottom = 0.42 + legend_height(entries, width)
    titles, names = short_names([comparison.task for comparison in comparisons]), order(comparisons)
    mixed = only_metric(drawn) is None
    figure, axes = fixed_panels(
        [titles[task.task] for task in drawn], 1.9, columns, width, left=0.6, bottom=bottom,
        gap=(0.55 if mixed else 0.35, 0.6),
    )  # fmt: skip
    for axis, comparison in zip(axes, drawn, strict=True):
        means = mean_scores(comparison)
        _panel(axis, comparison, means[[name for name in names if name in means]])
    for axis, comparison in list(zip(axes, drawn, strict=True))[:: 1 if mixed else columns]:
        axis.set_ylabel(comparison.metric.axis, **TEXT)
    for axis in axes[-columns:]:
        axis.set_xlabel("learning rate", **TEXT)
    bottom_legend(figure, entries, width)
    return figure


def zoomed(
    best: "pd.Series[float]", margin: float, below: float = 2.0, worst: float = 0.0
) -> tuple[float, float]:  # fmt: skip
    """The range of an axis of scores that shows the differences between series, not below the worst score.

    best: the highest score of each series. The unit is the distance between the best and the middle series, at
    least the margin: the range goes `below` units under the lowest series that is within five units of the best.
    """
    values = np.sort(best.dropna().to_numpy(dtype=float))
    unit = max(values[-1] - values[len(values) // 2], margin, _SMALLEST_SPAN)
    low = max(worst, values[values >= values[-1] - 5 * unit][0] - below * unit)
    return float(low), float(values[-1] + 0.18 * (values[-1] - low))


def _panel(axis: Any, comparison: Comparison, means: pd.DataFrame) -> None:
    named = [name for name in highlighted(comparison) if name in means]
    means = means[[*(name for name in means if name not in named), *reversed(named)]]  # the last is in front
    colours = {str(name): colour(comparison, str(name)) for name in means}
    low, high = zoomed(means.max(), comparison.margin, worst=comparison.worst)
    x, factor = np.log10(means.index.to_numpy(dtype=float)), comparison.metric.factor
    lines = {name: np.column_stack([x, factor * means[name]])[means[name].notna()] for name in colours}
    widths = [1.4 if name in named else 0.7 for name in lines]
    axis.add_collection(LineCollection(list(lines.values()), colors=list(colours.values()), linewidths=widths))
    pad = 0.1 * max(x[-1] - x[0], 0.5)
    axis.set_xlim(x[0] - pad, x[-1] + pad)
    axis.set_ylim(factor * low, factor * high)
    _dots(axis, comparison, means, colours, low)
    outside = [name for name in named if means[name].max() < low]
    _arrows(axis, comparison.metric, means, colours, low, outside)
    others = [] if len(colours) > _FEW else [name for name in colours if means[name].max() >= low]
    write_names(axis, lines, {name: colours[name] for name in [*named, *others] if name not in outside})
    labels = [f"{rate:.3g}" for rate in means.index]
    every = crowded(axis, x, labels)
    axis.set_xticks(x[::every], labels[::every])


def _dots(axis: Any, comparison: Comparison, means: pd.DataFrame, colours: dict[str, str], low: float) -> None:
    """A dot per series and rate inside the panel."""
    chosen = {name: rates.mode().iloc[0] for name, rates in comparison.rates.items() if len(rates)}
    rates = means.index.to_numpy(dtype=float)
    shown = [(rate, name, value) for name in colours for rate, value in zip(rates, means[name].to_numpy(), strict=True)]
    shown = [dot for dot in shown if dot[2] >= low]
    edges = [colours[name] for _, name, _ in shown]
    out = [rate in comparison.raced_out.get(name, []) for rate, name, _ in shown]
    axis.scatter(
        [np.log10(rate) for rate, _, _ in shown], [comparison.metric.factor * value for _, _, value in shown],
        zorder=3, linewidths=0.8,
        s=[36 if chosen.get(name) == rate else 9 for rate, name, _ in shown], edgecolors=edges,
        c=["white" if is_out else edge for is_out, edge in zip(out, edges, strict=True)],
    )  # fmt: skip


def arrows(
    means: pd.DataFrame, low: float, outside: Sequence[str] = (), metric: Metric = ACCURACY
) -> dict[float, tuple[str, list[str]]]:
    """The text of the arrow at each rate at which series are below `low`, and these series.

    Their score, or the lowest and the highest. outside: series whose name stands at their best rate.
    """
    texts = {}
    for rate, values in zip(means.index.to_numpy(dtype=float), means.to_numpy(dtype=float), strict=True):
        below = values < low
        if below.any():
            ends = dict.fromkeys(map(metric.mark, (values[below].min(), values[below].max())))
            texts[float(rate)] = ("-".join(ends), [str(name) for name in means.columns[below]])
    for name in outside:
        best = float(means.index[int(means[name].argmax())])
        texts[best] = (f"{name} {metric.mark(means[name].max())}", [name])
    return texts


def _arrows(
    axis: Any, metric: Metric, means: pd.DataFrame, colours: dict[str, str], low: float, outside: Sequence[str]
) -> None:
    found, edge = arrows(means, low, outside, metric), metric.factor * low
    scale = 72 * inches(axis)[0] / np.diff(axis.get_xlim())[0]  # points per decade
    taken: list[tuple[float, float]] = []
    for rate in sorted(
        found, key=lambda rate: not found[rate][0].startswith(tuple(outside))
    ):  # those with names come first
        text, below = found[rate]
        x, half = np.log10(rate) * scale, 0.5 * POINTS * len(text) + 1
        shade = colours[below[0]] if len(below) == 1 else "0.35"
        axis.plot(x / scale, edge, "v", color=shade, markersize=5, clip_on=False, markeredgewidth=0, zorder=4)
        if all(abs(x - other) >= half + width for other, width in taken):
            taken.append((x, half))
            axis.annotate(
                text, (x / scale, edge), (0, 4), textcoords="offset points", color=ink(shade), ha="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6}, **SMALL,
            )  # fmt: skip

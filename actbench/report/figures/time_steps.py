"""Gradients through the time steps of recurrent networks."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import Array
from actbench.report.figures.panels import (
    bottom_legend,
    colour,
    fixed_panels,
    inches,
    ink,
    label_width,
    legend_height,
    verdict_entries,
)
from actbench.report.figures.style import BASELINE, BEHIND, SMALL, TEXT, WIDTH, is_narrow
from actbench.report.sentences import short_names

_LINE = 0.11  # inches from one name to the next
_METRIC = re.compile(r"gradient_rms_t(\d+)")  # of layers.parquet: at the pre-activations of that time step


def time_steps_figure(comparisons: Sequence[Comparison], layers: pd.DataFrame, width: float = WIDTH) -> Figure | None:
    """RMS gradient by time step after training, a panel per task and a line per series; None where none was measured.

    Geometric means over seeds and layers at the chosen rates, on a logarithmic axis; the baseline is grey, behind.
    layers: run_id, step, layer, metric, value.
    """
    of_time = layers[layers["metric"].str.fullmatch(_METRIC) & (layers["value"] > 0)]
    drawn = [(comparison, lines) for comparison in comparisons if (lines := _lines(comparison, of_time))]
    if not drawn:
        return None
    titles = short_names([comparison.task for comparison in comparisons])
    entries = verdict_entries([comparison for comparison, _ in drawn])
    columns = 1 if is_narrow(width) else min(3, len(drawn))
    figure, axes = fixed_panels(
        [titles[comparison.task] for comparison, _ in drawn], 1.7, columns, width, left=0.6,
        bottom=0.42 + legend_height(entries, width),
    )  # fmt: skip
    names = order(comparisons)
    for axis, (comparison, lines) in zip(axes, drawn, strict=True):
        _panel(axis, comparison, {name: lines[name] for name in names if name in lines})
    for axis in axes[::columns]:
        axis.set_ylabel("RMS gradient, log10", **TEXT)
    for axis in axes[-columns:]:
        axis.set_xlabel("time step", **TEXT)
    bottom_legend(figure, entries, width)
    return figure


def _lines(comparison: Comparison, of_time: pd.DataFrame) -> dict[str, Array]:
    """Of each series (time steps, 2): time step, and log10 of the gradient at the last measurement."""
    series = dict(zip(comparison.ended["run_id"], comparison.ended["series"], strict=True))
    rows = of_time[of_time["run_id"].isin(list(series))]
    rows = rows[rows["step"] == rows["step"].max()]
    rows = rows.assign(
        series=rows["run_id"].map(series), time=rows["metric"].str.extract(_METRIC)[0].astype(float),
        value=np.log10(rows["value"].to_numpy(dtype=float)),
    )  # fmt: skip
    means = rows.groupby(["series", "time"])["value"].mean()
    return {
        str(name): np.column_stack([own.index.get_level_values("time"), own.to_numpy()])
        for name, own in means.groupby(level="series", sort=False)
    }


def _panel(axis: Any, comparison: Comparison, lines: Mapping[str, Array]) -> None:
    baseline = comparison.baseline
    shades = {name: BEHIND if name == baseline else colour(comparison, name) for name in lines}
    behind = sorted(lines, key=lambda name: name != baseline)
    axis.add_collection(LineCollection(
        [lines[name] for name in behind], colors=[shades[name] for name in behind],
        linewidths=[2.6 if name == baseline else 1.0 for name in behind],
    ))  # fmt: skip
    points = np.concatenate(list(lines.values()))
    (left, low), (right, high) = points.min(0), points.max(0)
    width = inches(axis)[0]
    room = (right - left) * label_width(list(lines)) / max(0.5, width - label_width(list(lines)))
    axis.set_xlim(left - room - 0.02 * (right - left) - 0.1, right + 0.02 * (right - left) + 0.1)
    axis.set_ylim(low - 0.12 * max(high - low, 0.5), high + 0.12 * max(high - low, 0.5))
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    _names(axis, {name: line[0] for name, line in lines.items()}, shades | {baseline: BASELINE})


def _names(axis: Any, starts: Mapping[str, Array], shades: Mapping[str, str]) -> None:
    """Writes each name at the left of its line, which starts at a point (x, y); names that would overlap move apart."""
    low, high = axis.get_ylim()
    apart = _LINE * (high - low) / inches(axis)[1]
    names = sorted(starts, key=lambda name: float(starts[name][1]))
    places = np.array([starts[name][1] for name in names])
    for place in range(1, len(places)):
        places[place] = max(places[place], places[place - 1] + apart)
    places -= max(0.0, places[-1] - (high - apart / 2))
    for name, y in zip(names, places, strict=True):
        axis.annotate(name, (starts[name][0], y), (-3, 0), textcoords="offset points", color=ink(shades[name]),
                      ha="right", va="center", **SMALL)  # fmt: skip

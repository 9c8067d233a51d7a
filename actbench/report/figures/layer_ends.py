"""Dead units and gradients in the first and the last hidden layer after training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from actbench.analysis.pairs import Comparison
from actbench.report.figures.panels import (
    bottom_legend,
    colour,
    fixed_panels,
    inches,
    label_width,
    legend_height,
    rows,
    verdict_entries,
)
from actbench.report.figures.style import TEXT, is_narrow
from actbench.report.figures.times import ROW
from actbench.report.sentences import short_names

_TICK = 0.4  # inches between the numbers of a logarithmic axis


@dataclass(frozen=True)
class Metric:
    """A metric by layer as it is drawn: times `factor`, or its logarithm to base 10.

    least: the range of its means below which it is not worth a figure.
    """

    name: str
    label: str
    least: float
    factor: float = 1.0
    logarithm: bool = False

    def of(self, layers: pd.DataFrame) -> pd.DataFrame:
        """The rows of the metric whose value is finite, with values as they are drawn."""
        rows = layers[layers["metric"] == self.name]
        values = rows["value"].to_numpy(dtype=float) * self.factor
        if self.logarithm:
            values = np.log10(np.where(values > 0, values, np.nan))
        return rows.assign(value=values)[np.isfinite(values)]

    def varies(self, values: "pd.DataFrame | pd.Series[float]") -> bool:
        """Whether values, as they are drawn, differ enough for a figure."""
        numbers = values.to_numpy(dtype=float)
        return bool(numbers.size) and float(np.nanmax(numbers) - np.nanmin(numbers)) >= self.least


Panel = tuple[Comparison, Metric, pd.DataFrame]  # with the frame of `layer_ends`

METRICS = (
    Metric("dead_fraction", "dead units, %", 1.0, factor=100.0),
    Metric("gradient_rms", "RMS gradient", 0.3, logarithm=True),
)


def layer_ends(values: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Means over seeds (series, [first, last]) of the first and the last layer at the last step.

    values: series, step, layer, value. A run that diverged has none at the last step.
    """
    ended = values[values["step"] == values["step"].max()]
    means = ended.groupby(["series", "layer"])["value"].mean().unstack()
    last = means.ffill(axis=1).iloc[:, -1:] if means.size else means.reindex(columns=[0])
    frame = pd.DataFrame({"first": means.get(0, np.nan), "last": last.squeeze(axis=1)})
    return frame.reindex([name for name in names if name in frame.index])


def layer_ends_figure(found: Sequence[Panel], names: Sequence[str], width: float) -> Figure:
    """A panel per task and metric, a row per series: the first layer hollow, the last filled."""
    names = [name for name in names if any(name in ends.index for _, _, ends in found)]
    columns, slots = _slots(found, width)
    titles = short_names([comparison.task for comparison, _, _ in found])
    entries = [
        Line2D([], [], marker="o", linestyle="", color="0.35", markersize=4, markerfacecolor=face, label=text)
        for face, text in (("white", "first hidden layer"), ("0.35", "last hidden layer"))
    ]
    entries += [] if is_narrow(width) else verdict_entries([comparison for comparison, _, _ in found])
    figure, axes = fixed_panels(
        [titles[slot[0].task] if slot else "" for slot in slots], 0.1 + ROW * len(names), columns, width,
        left=label_width(names), bottom=0.42 + legend_height(entries, width), gap=(0.15, 0.7),
    )  # fmt: skip
    for place, (axis, slot) in enumerate(zip(axes, slots, strict=True)):
        if slot is None:
            axis.axis("off")
            continue
        rows(axis, names, not any(slots[place - place % columns : place]))
        comparison, metric, ends = slot
        axis.set_xlabel(metric.label, **TEXT)
        _panel(axis, comparison, ends, names)
        _scale(axis, metric, ends)
    bottom_legend(figure, entries, width)
    return figure


def _slots(found: Sequence[Panel], width: float) -> tuple[int, list[Panel | None]]:
    """Columns, and panels in the order of their places, None where a place stays empty.

    Rows begin with a metric, or in a narrow figure with a task; up to four panels of a wide figure are one row.
    """
    metrics = [metric for metric in METRICS if any(metric is other for _, other, _ in found)]
    of_metric = [[panel for panel in found if panel[1] is metric] for metric in metrics]
    if is_narrow(width):
        tasks = list(dict.fromkeys(comparison.task for comparison, _, _ in found))
        places = {(comparison.task, metric.name): (comparison, metric, ends) for comparison, metric, ends in found}
        return len(metrics), [places.get((task, metric.name)) for task in tasks for metric in metrics]
    if len(found) <= 4:
        return len(found), [panel for group in of_metric for panel in group]
    columns = min(3, max(map(len, of_metric)))
    return columns, [panel for group in of_metric for panel in [*group, *[None] * (-len(group) % columns)]]


def _panel(axis: Any, comparison: Comparison, ends: pd.DataFrame, names: Sequence[str]) -> None:
    places = [list(names).index(name) for name in ends.index]
    shades = [colour(comparison, str(name)) for name in ends.index]
    segments = [np.column_stack([row, [y, y]]) for y, row in zip(places, ends.to_numpy(dtype=float), strict=True)]
    axis.add_collection(LineCollection(segments, colors=shades, linewidths=0.8))
    axis.scatter(ends["first"], places, s=14, c="white", edgecolors=shades, linewidths=0.9, zorder=3)
    axis.scatter(ends["last"], places, s=14, c=shades, edgecolors=shades, linewidths=0.9, zorder=3)


def _scale(axis: Any, metric: Metric, ends: pd.DataFrame) -> None:
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    pad = 0.06 * max(high - low, metric.least)
    axis.set_xlim(low - pad, high + pad)
    if metric.logarithm:
        ticks = _powers(low - pad, high + pad, int(inches(axis)[0] / _TICK))
        axis.set_xticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
    else:
        ticks = [
            tick for tick in MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(max(0, low), high) if low <= tick <= high
        ]
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def _powers(low: float, high: float, most: int) -> list[float]:
    """About `most` ticks of a logarithmic axis; round numbers within a decade. low, high: logarithms to base 10."""
    for digits, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 4)):
        powers = range(int(np.floor(low)), int(np.ceil(high)) + 1, every)
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        inside = [tick for tick in ticks if low <= np.log10(tick) <= high]
        if len(inside) <= most:
            break
    if len(inside) < 2 and high - low < 1:
        round_numbers = MaxNLocator(max(2, min(4, most)), steps=[1, 2, 5, 10]).tick_values(10**low, 10**high)
        inside = [float(tick) for tick in round_numbers if 10**low <= tick <= 10**high]
    return inside

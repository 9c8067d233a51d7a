"""Dead units and gradients by hidden layer, at the chosen rates: over steps in deep networks, after training in others.

A deep network that was measured only twice is drawn like the others. What does not vary between layers and series is
not drawn.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.report.figures.layer_ends import METRICS, Panel, layer_ends, layer_ends_figure
from actbench.report.figures.panels import fixed_panels
from actbench.report.figures.style import TEXT, is_narrow

DEEP = 5  # hidden layers, from which on a figure by layer and step shows more than the first and the last layer
_FEWEST_STEPS = 3  # of a heat map: two measurements would look like a jump half way
_TALL = 8.0  # inches of all rows of panels

Grids = Mapping[str, pd.DataFrame]  # series -> (layers, steps), means over seeds


def layers_figures(
    comparisons: Sequence[Comparison], layers: pd.DataFrame
) -> Iterator[tuple[str, str, Callable[[float], Figure]]]:
    """Yields name, caption and what draws it, of a figure for all shallow networks, and one per deep task and metric.

    layers: run_id, step, layer, metric, value.
    """
    names = order(comparisons)
    shallow, deep = [], []
    for number, comparison in enumerate(comparisons, 1):
        series = dict(zip(comparison.ended["run_id"], comparison.ended["series"], strict=True))
        of_task = layers[layers["run_id"].isin(list(series))]
        of_task = of_task.assign(series=of_task["run_id"].map(series))
        for metric in METRICS:
            values = metric.of(of_task)
            if values["layer"].nunique() >= DEEP and values["step"].nunique() >= _FEWEST_STEPS:
                deep.append((number, comparison, metric, _grids(values, names)))
            elif metric.varies(ends := layer_ends(values, names)):
                shallow.append((comparison, metric, ends))
    if shallow:
        yield "layers", _caption(shallow), partial(layer_ends_figure, shallow, names)
    for number, comparison, metric, grids in deep:
        if metric.varies(pd.concat([grid.stack() for grid in grids.values()])):
            label = f"{metric.label}, log10" if metric.logarithm else metric.label
            caption = f"{comparison.task}: {label}, by hidden layer and step; means over seeds at the chosen rates."
            yield f"layers_{metric.name}_{number}", caption, partial(_map, grids, label)


def _caption(shallow: Sequence[Panel]) -> str:
    found = [metric.label.split(",")[0] for metric in METRICS if any(metric is other for _, other, _ in shallow)]
    text = " and ".join(found)
    return f"{text[0].upper()}{text[1:]} by hidden layer after training: means over seeds, at the chosen rates."


def _grids(values: pd.DataFrame, names: Sequence[str]) -> Grids:
    """Means over seeds of each series. values: series, step, layer, value."""
    depth = range(int(values["layer"].max()) + 1)
    found = set(values["series"])
    return {
        name: values[values["series"] == name].pivot_table("value", "layer", "step").reindex(depth)
        for name in names
        if name in found
    }


def _map(grids: Grids, label: str, width: float) -> Figure:
    """Layers, the first at the bottom, by steps; the mean as colour, a panel per series."""
    values = np.concatenate([grid.to_numpy().ravel() for grid in grids.values()])
    scale = Normalize(np.nanmin(values), np.nanmax(values))
    depth = len(next(iter(grids.values())))
    columns = min(2 if is_narrow(width) else 4, len(grids))
    height = float(np.clip(min(0.12 * depth, _TALL / -(-len(grids) // columns) - 0.32), 0.35, 1.8))
    figure, axes = fixed_panels(
        list(grids),
        height,
        columns,
        width,
        left=0.42,
        bottom=0.42,
        right=0.75,
        gap=(0.24, 0.32),
        sharex=True,
        sharey=True,
    )
    for place, (axis, grid) in enumerate(zip(axes, grids.values(), strict=True)):
        steps = [int(step) for step in grid.columns]
        between = [(one + other) / 2 for one, other in pairwise(steps)]
        edges = [steps[0], *between, steps[-1]] if between else [steps[0] - 0.5, steps[0] + 0.5]
        axis.pcolormesh(edges, np.arange(depth + 1) + 0.5, grid, norm=scale, cmap="cividis")
        axis.yaxis.get_major_locator().set_params(integer=True, nbins=5)
        axis.xaxis.get_major_locator().set_params(nbins=3)
        if place % columns == 0:
            axis.set_ylabel("hidden layer", **TEXT)
        if place + columns >= len(grids):
            axis.set_xlabel("step", **TEXT)
            axis.tick_params(labelbottom=True)
    first, last = axes[0].get_position(), axes[-1].get_position()
    width = figure.get_size_inches()[0]
    place_of_bar = figure.add_axes((1 - 0.63 / width, last.y0, 0.11 / width, first.y1 - last.y0))
    bar = figure.colorbar(ScalarMappable(scale, "cividis"), cax=place_of_bar)
    bar.set_label(label, fontsize=TEXT["fontsize"])
    bar.ax.tick_params(labelsize=7)
    return figure

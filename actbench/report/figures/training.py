"""Figures of training: curves over steps with bands over seeds, layers by steps, learning-rate sensitivity."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from actbench.analysis.labels import activation_by_series
from actbench.report.figures.style import TEXT, legend, panels, plain, styles

CURVES = {  # metric -> (title, factor)
    "val_accuracy": ("validation accuracy, %", 100.0),
    "val_loss": ("validation loss", 1.0),
    "dead_fraction": ("dead units, %", 100.0),
    "gradient_ratio": ("gradient ratio, log10", 1.0),
}
_FAR = 100  # times the largest median loss of a line


def curves_figure(curves: pd.DataFrame) -> Figure:
    """Mean over seeds as a line, 10th to 90th percentile as a band; a row per metric, a column per task.

    curves: columns task, series, activation, run_id, step, metric, value, of the metrics in CURVES.
    """
    tasks, metrics = list(dict.fromkeys(curves["task"])), [m for m in CURVES if m in set(curves["metric"])]
    size = (0.8 + 2.1 * len(tasks), 0.8 + 1.5 * len(metrics))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(metrics), len(tasks), squeeze=False, sharex="col", sharey="row")
    artists: dict[str, Artist] = {}
    looks = styles(activation_by_series(curves))
    for row, metric in zip(axes, metrics, strict=True):
        for axis, task in zip(row, tasks, strict=True):
            artists |= _curves(axis, curves[(curves["task"] == task) & (curves["metric"] == metric)], metric, looks)
            plain(axis)
        row[0].set_ylabel(CURVES[metric][0], **TEXT)
    for column, task in enumerate(tasks):
        axes[0, column].set_title(task, **TEXT)
        axes[-1, column].set_xlabel("step", **TEXT)
    legend(figure, artists)
    return figure


def _curves(axis: Any, curves: pd.DataFrame, metric: str, looks: dict[str, dict[str, Any]]) -> dict[str, Artist]:
    """Draws one metric of one task; returns the lines by series."""
    artists, highest = {}, 0.0
    for series, lines in curves.groupby("series", sort=False):
        by_step, look = (lines["value"] * CURVES[metric][1]).groupby(lines["step"]), looks[str(series)]
        mean, low, high = by_step.mean(), by_step.quantile(0.1), by_step.quantile(0.9)
        mark = "." if len(mean) == 1 else "None"
        (artists[str(series)],) = axis.plot(mean.index, mean, marker=mark, linewidth=1, **look)
        axis.fill_between(mean.index, low, high, color=look["color"], alpha=0.12, linewidth=0)
        highest = max(highest, float(mean.median()))
    if metric == "val_loss" and (curves["value"] > 0).all():
        axis.set_yscale("log")
        if axis.get_ylim()[1] > _FAR * highest > 0:  # one exploding run would compress the scale of all others
            axis.set_ylim(top=_FAR * highest)
    return artists


def histograms_figure(histograms: pd.DataFrame) -> Figure:
    """Density of outputs in the first and the last hidden layer; a row per task.

    histograms: columns task, series, activation, layer, low, high, count, a line per run and bin, of one step of each
    run; bins without a lower or upper end are not drawn.
    """
    tasks = list(dict.fromkeys(histograms["task"]))
    figure = Figure(figsize=(6.8, 0.8 + 1.6 * len(tasks)), layout="constrained")
    axes = figure.subplots(len(tasks), 2, squeeze=False, sharex=True, sharey=True)
    artists: dict[str, Artist] = {}
    looks = styles(activation_by_series(histograms))
    for row, task in zip(axes, tasks, strict=True):
        of_task = histograms[histograms["task"] == task]
        deepest = of_task.groupby("series")["layer"].transform("max")
        for axis, layer, title in ((row[0], 0, "first"), (row[1], deepest, "last")):
            for series, lines in of_task[of_task["layer"] == layer].groupby("series", sort=False):
                middles, density = _density(lines)
                (artists[str(series)],) = axis.plot(middles, density, linewidth=1, **looks[str(series)])
            axis.set_yscale("log")
            axis.set_ylim(bottom=1e-3)
            axis.set_title(f"{task}: {title} hidden layer", **TEXT)
            plain(axis)
        row[0].set_ylabel("density", **TEXT)
    for axis in axes[-1]:
        axis.set_xlabel("output of a unit", **TEXT)
    legend(figure, artists)
    return figure


def _density(lines: pd.DataFrame) -> tuple[np.ndarray, pd.Series]:
    """Middles of the bins, and the density in each; NaN in an empty one."""
    bins = lines.groupby(["low", "high"], as_index=False)["count"].sum()
    density = bins["count"] / bins["count"].sum() / (bins["high"] - bins["low"])
    closed = np.isfinite(bins["low"]) & np.isfinite(bins["high"])
    edges = [*bins.loc[closed, "low"], bins.loc[closed, "high"].iloc[-1]]
    return np.add(edges[:-1], edges[1:]) / 2, density[closed].replace(0, np.nan)


def layers_figure(layers: pd.DataFrame, title: str) -> Figure:
    """Layers (first at the bottom) by steps, the mean over seeds as colour; a panel per series.

    layers: columns series, step, layer, value, of one task and metric. title: of the metric.
    """
    depth = int(layers["layer"].max()) + 1
    grids = {
        str(series): lines.pivot_table("value", "layer", "step", aggfunc="mean").reindex(range(depth))
        for series, lines in layers.groupby("series", sort=False)
    }
    columns = min(4, len(grids))
    rows = -(-len(grids) // columns)
    height = 0.55 + max(0.5, min(1.4, 0.14 * depth))
    figure = Figure(figsize=(0.9 + 1.5 * columns, 0.3 + height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    values = np.concatenate([grid.to_numpy().ravel() for grid in grids.values()])
    lowest, highest = np.nanmin(values), np.nanmax(values)
    scale = Normalize(lowest, max(highest, lowest + 1e-9))
    for axis, (series, grid) in zip(axes.flat, grids.items(), strict=False):
        steps = [int(step) for step in grid.columns]
        between = [(one + other) / 2 for one, other in pairwise(steps)]
        edges = [steps[0], *between, steps[-1]] if between else [steps[0] - 0.5, steps[0] + 0.5]
        axis.pcolormesh(edges, np.arange(depth + 1) - 0.5, grid, norm=scale, cmap="cividis")
        axis.set_title(series, **TEXT)
        axis.yaxis.get_major_locator().set_params(integer=True)
        plain(axis)
    for axis in axes.flat[len(grids) :]:
        axis.set_axis_off()
    figure.supxlabel("step", **TEXT)
    figure.supylabel("hidden layer", **TEXT)
    bar = figure.colorbar(ScalarMappable(scale, "cividis"), ax=axes, shrink=0.8)
    bar.set_label(title, fontsize=TEXT["fontsize"])
    bar.ax.tick_params(labelsize=7)
    return figure


def learning_rates_figure(runs: pd.DataFrame) -> Figure:
    """Validation accuracy over the learning rate: mean over seeds, and a point per run; a panel per task.

    runs: labelled; a run without an accuracy counts as 0.
    """
    tasks = list(dict.fromkeys(runs["task"]))
    figure, axes = panels(len(tasks))
    artists: dict[str, Artist] = {}
    looks = styles(activation_by_series(runs))
    for axis, task in zip(axes, tasks, strict=True):
        tuned = runs[runs["task"] == task].assign(score=lambda frame: 100 * frame["val_accuracy"].fillna(0))
        for series, group in tuned.groupby("series", sort=False):
            look = looks[str(series)]
            means = group.groupby("lr")["score"].mean()
            (artists[str(series)],) = axis.plot(means.index, means, linewidth=1, **look)
            axis.plot(group["lr"], group["score"], "o", color=look["color"], markersize=2, alpha=0.4, markeredgewidth=0)
        axis.set_xscale("log")
        rates = sorted(tuned["lr"].unique())
        axis.set_xticks(rates, [f"{rate:.3g}" for rate in rates])
        axis.set_xticks([], minor=True)
        axis.set_title(task, **TEXT)
        axis.set_xlabel("learning rate", **TEXT)
        plain(axis)
    axes[0].set_ylabel("validation accuracy, %", **TEXT)
    legend(figure, artists)
    return figure

"""Figures of training: curves over steps with bands over seeds, layers by steps, learning-rate sensitivity."""

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from actbench.report.figures.style import legend, panels, plain, styles

CURVES = {  # metric -> (title, factor)
    "val_accuracy": ("validation accuracy, %", 100.0),
    "val_loss": ("validation loss", 1.0),
    "dead_fraction": ("dead units, %", 100.0),
    "gradient_ratio": ("gradient ratio, log10", 1.0),
}
_TEXT = {"fontsize": 8}
_FAR = 100  # times the largest median loss of a line


def curves_figure(table: pd.DataFrame) -> Figure:
    """Mean over seeds as a line, 10th to 90th percentile as a band; a row a metric, a column a setting.

    table: columns setting, series, step, metric, value, of CURVES' metrics: a line a run.
    """
    settings, metrics = list(dict.fromkeys(table["setting"])), [m for m in CURVES if m in set(table["metric"])]
    size = (0.8 + 2.1 * len(settings), 0.8 + 1.5 * len(metrics))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(metrics), len(settings), squeeze=False, sharex="col", sharey="row")
    named: dict[str, Artist] = {}
    looks = styles(table["series"])
    for row, metric in enumerate(metrics):
        title, factor = CURVES[metric]
        for column, setting in enumerate(settings):
            axis = axes[row, column]
            own, highest = table[(table["setting"] == setting) & (table["metric"] == metric)], 0.0
            for series, lines in own.groupby("series", sort=False):
                by_step, look = (lines["value"] * factor).groupby(lines["step"]), looks[str(series)]
                mean, low, high = by_step.mean(), by_step.quantile(0.1), by_step.quantile(0.9)
                mark = "." if len(mean) == 1 else "None"
                (named[str(series)],) = axis.plot(mean.index, mean, marker=mark, linewidth=1, **look)
                axis.fill_between(mean.index, low, high, color=look["color"], alpha=0.12, linewidth=0)
                highest = max(highest, mean.quantile(0.5))
            if metric == "val_loss" and (own["value"] > 0).all():
                axis.set_yscale("log")
                if axis.get_ylim()[1] > _FAR * highest > 0:  # one run that explodes would flatten all others
                    axis.set_ylim(top=_FAR * highest)
            if row == 0:
                axis.set_title(setting, **_TEXT)
            if row == len(metrics) - 1:
                axis.set_xlabel("step", **_TEXT)
            if column == 0:
                axis.set_ylabel(title, **_TEXT)
            plain(axis)
    legend(figure, named)
    return figure


def histograms_figure(table: pd.DataFrame) -> Figure:
    """Density of outputs in the first and the last hidden layer; a row a setting.

    table: of one step a run; columns setting, series, step, layer, low, high, count: a line a run and bin; open bins
    are not drawn.
    """
    settings = list(dict.fromkeys(table["setting"]))
    figure = Figure(figsize=(6.8, 0.8 + 1.6 * len(settings)), layout="constrained")
    axes = figure.subplots(len(settings), 2, squeeze=False, sharex=True, sharey=True)
    named: dict[str, Artist] = {}
    looks = styles(table["series"])
    for row, setting in zip(axes, settings, strict=True):
        own = table[table["setting"] == setting]
        deepest = own.groupby("series")["layer"].transform("max")
        for axis, part, title in zip(
            row, (own[own["layer"] == 0], own[own["layer"] == deepest]), ("first", "last"), strict=True
        ):
            for series, lines in part.groupby("series", sort=False):
                bins = lines.groupby(["low", "high"], as_index=False)["count"].sum()
                share = bins["count"] / bins["count"].sum() / (bins["high"] - bins["low"])
                inner = np.isfinite(bins["low"]) & np.isfinite(bins["high"])
                edges = [*bins.loc[inner, "low"], bins.loc[inner, "high"].iloc[-1]]
                values = share[inner].replace(0, np.nan)
                (named[str(series)],) = axis.plot(
                    np.add(edges[:-1], edges[1:]) / 2, values, linewidth=1, **looks[str(series)]
                )
            axis.set_yscale("log")
            axis.set_ylim(bottom=1e-3)
            axis.set_title(f"{setting}: {title} hidden layer", **_TEXT)
            plain(axis)
        row[0].set_ylabel("density", **_TEXT)
    for axis in axes[-1]:
        axis.set_xlabel("output of a unit", **_TEXT)
    legend(figure, named)
    return figure


def layers_figure(table: pd.DataFrame, metric: str, title: str) -> Figure:
    """Layers (first at the bottom) by steps, the mean over seeds as colour; a panel an activation.

    table: columns series, step, layer, metric, value, of one setting.
    """
    own = table[table["metric"] == metric]
    panels = list(own.groupby("series", sort=False))
    columns = min(4, len(panels))
    rows, depth = -(-len(panels) // columns), int(own["layer"].max()) + 1
    height = 0.55 + max(0.5, min(1.4, 0.14 * depth))
    figure = Figure(figsize=(0.9 + 1.5 * columns, 0.3 + height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    grids = [lines.pivot_table("value", "layer", "step", aggfunc="mean").reindex(range(depth)) for _, lines in panels]
    lowest, highest = min(grid.min().min() for grid in grids), max(grid.max().max() for grid in grids)
    scale = Normalize(lowest, max(highest, lowest + 1e-9))
    for place, axis in enumerate(axes.ravel()):
        if place >= len(panels):
            axis.set_axis_off()
            continue
        grid = grids[place]
        steps = [int(step) for step in grid.columns]
        between = [(one + other) / 2 for one, other in pairwise(steps)]
        edges = [steps[0], *between, steps[-1]] if between else [steps[0] - 0.5, steps[0] + 0.5]
        axis.pcolormesh(edges, np.arange(depth + 1) - 0.5, grid, norm=scale, cmap="cividis")
        axis.set_title(str(panels[place][0]), **_TEXT)
        axis.yaxis.get_major_locator().set_params(integer=True)
        plain(axis)
    figure.supxlabel("step", **_TEXT)
    figure.supylabel("hidden layer", **_TEXT)
    bar = figure.colorbar(ScalarMappable(scale, "cividis"), ax=axes, shrink=0.8)
    bar.set_label(title, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def learning_rates_figure(runs: pd.DataFrame) -> Figure:
    """Validation accuracy of the tuning runs over the learning rate: mean over seeds, a point a run.

    runs: rows of runs.csv of the phase tune, with columns setting and series; runs without an accuracy count as 0.
    """
    settings = list(dict.fromkeys(runs["setting"]))
    figure, axes = panels(len(settings))
    named: dict[str, Artist] = {}
    looks = styles(runs["series"])
    for axis, setting in zip(axes, settings, strict=True):
        own = runs[runs["setting"] == setting].assign(score=lambda frame: 100 * frame["val_accuracy"].fillna(0))
        for series, lines in own.groupby("series", sort=False):
            look = looks[str(series)]
            means = lines.groupby("lr")["score"].mean()
            (named[str(series)],) = axis.plot(means.index, means, linewidth=1, **look)
            axis.plot(lines["lr"], lines["score"], "o", color=look["color"], markersize=2, alpha=0.4, markeredgewidth=0)
        axis.set_xscale("log")
        rates = sorted(own["lr"].unique())
        axis.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axis.set_xticks([], minor=True)
        axis.set_title(setting, **_TEXT)
        axis.set_xlabel("learning rate", **_TEXT)
        plain(axis)
    axes[0].set_ylabel("validation accuracy, %", **_TEXT)
    legend(figure, named)
    return figure

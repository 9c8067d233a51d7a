"""Figures of training: curves over steps with bands over seeds, layers by steps, learning-rate sensitivity."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from actbench.figures import plain, style

CURVES = {  # metric -> (title, factor)
    "val_accuracy": ("validation accuracy, %", 100.0),
    "val_loss": ("validation loss", 1.0),
    "dead_fraction": ("dead units, %", 100.0),
    "gradient_ratio": ("gradient ratio, log10", 1.0),
}
_TEXT = {"fontsize": 8}


def curves(table: pd.DataFrame) -> Figure:
    """Mean over seeds as a line, 10th to 90th percentile as a band; a row a metric, a column a setting.

    table: columns setting, series, step, metric, value, of CURVES' metrics: a line a run.
    """
    settings, metrics = list(dict.fromkeys(table["setting"])), [m for m in CURVES if m in set(table["metric"])]
    size = (0.8 + 2.1 * len(settings), 0.8 + 1.5 * len(metrics))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(metrics), len(settings), squeeze=False, sharex="col", sharey="row")
    named: dict[str, Artist] = {}
    for row, metric in enumerate(metrics):
        title, factor = CURVES[metric]
        for column, setting in enumerate(settings):
            axis = axes[row, column]
            own = table[(table["setting"] == setting) & (table["metric"] == metric)]
            for series, lines in own.groupby("series", sort=False):
                by_step, look = (lines["value"] * factor).groupby(lines["step"]), style(str(series).split()[0])
                mean, low, high = by_step.mean(), by_step.quantile(0.1), by_step.quantile(0.9)
                (named[str(series)],) = axis.plot(mean.index, mean, linewidth=1, **look)
                axis.fill_between(mean.index, low, high, color=look["color"], alpha=0.12, linewidth=0)
            if metric == "val_loss" and (own["value"] > 0).all():
                axis.set_yscale("log")
            if row == 0:
                axis.set_title(setting, **_TEXT)
            if row == len(metrics) - 1:
                axis.set_xlabel("step", **_TEXT)
            if column == 0:
                axis.set_ylabel(title, **_TEXT)
            plain(axis)
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=min(6, 2 * len(settings) + 1),
                  frameon=False, fontsize=7)  # fmt: skip
    return figure


def histograms(table: pd.DataFrame) -> Figure:
    """Density of outputs in the first and the last hidden layer at the last step; a row a setting.

    table: columns setting, series, step, layer, low, high, count: a line a run and bin; open bins are not drawn.
    """
    last = table[table["step"] == table.groupby("run_id")["step"].transform("max")]
    settings = list(dict.fromkeys(last["setting"]))
    figure = Figure(figsize=(6.8, 0.8 + 1.6 * len(settings)), layout="constrained")
    axes = figure.subplots(len(settings), 2, squeeze=False, sharex=True, sharey=True)
    named: dict[str, Artist] = {}
    for row, setting in zip(axes, settings, strict=True):
        own = last[last["setting"] == setting]
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
                    np.add(edges[:-1], edges[1:]) / 2, values, linewidth=1, **style(str(series).split()[0])
                )
            axis.set_yscale("log")
            axis.set_ylim(bottom=1e-3)
            axis.set_title(f"{setting}: {title} hidden layer", **_TEXT)
            plain(axis)
        row[0].set_ylabel("density", **_TEXT)
    for axis in axes[-1]:
        axis.set_xlabel("output of a unit", **_TEXT)
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=6, frameon=False, fontsize=7)
    return figure


def layers(table: pd.DataFrame, metric: str, title: str) -> Figure:
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
    scale = Normalize(own["value"].min(), max(own["value"].max(), own["value"].min() + 1e-9))
    for place, axis in enumerate(axes.ravel()):
        if place >= len(panels):
            axis.set_axis_off()
            continue
        series, lines = panels[place]
        grid = lines.pivot_table("value", "layer", "step", aggfunc="mean")
        steps = [int(step) for step in grid.columns]
        edges = [*steps, steps[-1] + (steps[-1] - steps[-2] if len(steps) > 1 else 1)]
        axis.pcolormesh(edges, np.arange(depth + 1) - 0.5, grid.reindex(range(depth)), norm=scale, cmap="cividis")
        axis.set_title(str(series), **_TEXT)
        axis.yaxis.get_major_locator().set_params(integer=True)
        plain(axis)
    figure.supxlabel("step", **_TEXT)
    figure.supylabel("hidden layer", **_TEXT)
    bar = figure.colorbar(ScalarMappable(scale, "cividis"), ax=axes, shrink=0.8)
    bar.set_label(title, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def learning_rates(runs: pd.DataFrame) -> Figure:
    """Validation accuracy of the tuning runs over the learning rate: mean over seeds, a point a run.

    runs: rows of runs.csv of the phase tune, with columns setting and series; runs that diverged count as 0.
    """
    settings = list(dict.fromkeys(runs["setting"]))
    columns = min(3, len(settings))
    rows = -(-len(settings) // columns)
    figure = Figure(figsize=(0.6 + 2.2 * columns, 0.9 + 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    named: dict[str, Artist] = {}
    for axis in axes[len(settings) :]:
        axis.set_axis_off()
    for axis, setting in zip(axes, settings, strict=False):
        own = runs[runs["setting"] == setting].assign(score=lambda frame: 100 * frame["val_accuracy"].fillna(0))
        for series, lines in own.groupby("series", sort=False):
            look = style(str(series).split()[0])
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
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=min(6, 2 * columns + 1),
                  frameon=False, fontsize=7)  # fmt: skip
    return figure

"""The figure of what activations cost."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from actbench.report.figures.style import TEXT, plain, styles
from actbench.training.results import COPY


def cost_figure(costs: pd.DataFrame, activations: Mapping[str, str]) -> Figure:
    """ns per output, forward filled and backward hollow, quartiles as lines; a panel per size, the costliest on top.

    costs: rows of cost.csv, in which the row `copy` becomes a dashed line. activations: of each label in the column
    `activation` but `copy`; it decides the colour.
    """
    sizes = list(dict.fromkeys(costs["size"]))
    measured = costs[costs["activation"] != COPY]
    looks = styles(activations)
    order = measured[measured["size"] == sizes[-1]].groupby("activation", sort=False)["median_ns"].sum().sort_values()
    figure = Figure(figsize=(6.8, 1.1 + 0.16 * len(order)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(sizes), sharey=True))
    for axis, size in zip(axes, sizes, strict=True):
        for direction, filled in (("forward", True), ("backward", False)):
            rows = measured[(measured["size"] == size) & (measured["direction"] == direction)].set_index("activation")
            for place, name in enumerate(order.index):
                low, middle, high = rows.loc[name, ["low_ns", "median_ns", "high_ns"]]
                colour = looks[str(name)]["color"]
                axis.plot([low, high], [place, place], color=colour, linewidth=1)
                axis.plot(middle, place, "o", markersize=4, color=colour, markerfacecolor=colour if filled else "white")
        floor = costs.loc[(costs["activation"] == COPY) & (costs["size"] == size), "median_ns"].iloc[0]
        axis.axvline(floor, color="0.4", linewidth=0.8, linestyle="--")
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_title(size, **TEXT)
        axis.set_xlabel("ns an output (dashed: copy)", **TEXT)
        axis.grid(axis="x", color="0.9", linewidth=0.6)
        axis.set_yticks(range(len(order)), list(order.index))
        axis.set_ylim(-0.7, len(order) - 0.3)
        plain(axis)
    axes[0].plot([], [], "o", color="0.3", markersize=4, label="forward")
    axes[0].plot([], [], "o", color="0.3", markersize=4, markerfacecolor="white", label="backward")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure

"""The figure of what activations cost."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from actbench.report.figures.panels import bottom_legend, fixed_panels, label_width, legend_height, rows
from actbench.report.figures.style import TEXT, VERDICTS, WIDTH
from actbench.training.results import COPY

_DARK = VERDICTS["equal"]


def cost_figure(costs: pd.DataFrame, activations: Mapping[str, str]) -> Figure:
    """ns per output, forward filled and backward hollow, quartiles as lines; a panel per size, the costliest on top.

    costs: rows of cost.csv, in which the row `copy` becomes a dashed line. activations: the keys are the labels in the
    column `activation` that are drawn.
    """
    sizes = list(dict.fromkeys(costs["size"]))
    measured = costs[costs["activation"].isin(list(activations))]
    total = measured[measured["size"] == sizes[-1]].groupby("activation", sort=False)["median_ns"].sum()
    names = [str(name) for name in total.sort_values(ascending=False).index]
    entries = [
        Line2D([], [], linestyle="", label="forward", **_dot(True)),
        Line2D([], [], linestyle="", label="backward", **_dot(False)),
        Line2D([], [], color="0.4", linewidth=0.8, linestyle="--", label="copy"),
    ]
    figure, axes = fixed_panels(
        sizes, 0.1 + 0.16 * len(names), len(sizes), left=label_width(names),
        bottom=0.42 + legend_height(entries, False), gap=(0.2, 0.0),
    )  # fmt: skip
    for place, (axis, size) in enumerate(zip(axes, sizes, strict=True)):
        rows(axis, names, place == 0)
        for direction, filled in (("forward", True), ("backward", False)):
            of_size = measured[(measured["size"] == size) & (measured["direction"] == direction)]
            quartiles = of_size.set_index("activation").loc[names, ["low_ns", "median_ns", "high_ns"]]
            low, middle, high = quartiles.to_numpy(dtype=float).T
            axis.hlines(range(len(names)), low, high, color=_DARK, linewidth=1)
            axis.plot(middle, np.arange(len(names)), linestyle="", **_dot(filled))
        floor = costs.loc[(costs["activation"] == COPY) & (costs["size"] == size), "median_ns"].iloc[0]
        axis.axvline(floor, color="0.4", linewidth=0.8, linestyle="--")
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("ns per output", **TEXT)
        axis.grid(axis="x", color="0.9", linewidth=0.6)
    bottom_legend(figure, entries, width=WIDTH)
    return figure


def _dot(filled: bool) -> dict[str, Any]:
    return {"marker": "o", "markersize": 4, "color": _DARK, "markerfacecolor": _DARK if filled else "white"}

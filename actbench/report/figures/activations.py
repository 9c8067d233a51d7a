"""Activations and their derivatives."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from actbench.report.figures.panels import bottom_legend, fixed_panels, legend_height
from actbench.report.figures.style import BASELINE, BEHIND, TEXT, WIDTH

_SLOPE = "#2B6CB0"  # no verdict has this colour
_LOWEST, _HIGHEST = -3.0, 5.0  # of the vertical axis, which squares would stretch
_COLUMNS = 6


def activation_figure(curves: Mapping[str, tuple[str, Any, Any, Any]]) -> Figure:
    """Each function and its derivative over z, a panel each.

    curves: label -> (activation, z, f, f'), arrays of (points,).
    """
    columns = min(_COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    height = min(2.2, 0.8 * 6.2 / columns, max(0.65, 7.5 / rows - 0.25))
    entries = [Line2D([], [], color=shade, label=text) for shade, text in ((BASELINE, "f(z)"), (_SLOPE, "f′(z)"))]
    values = np.concatenate([np.concatenate([f, slopes]) for _, _, f, slopes in curves.values()])
    low, high = max(_LOWEST, float(values.min())), min(_HIGHEST, float(values.max()))
    pad = 0.05 * (high - low)
    figure, axes = fixed_panels(
        list(curves), height, columns, left=0.36, bottom=0.4 + legend_height(entries, False), gap=(0.15, 0.27),
        sharex=True, sharey=True,
    )  # fmt: skip
    for place, (axis, (_, z, f, slopes)) in enumerate(zip(axes, curves.values(), strict=True)):
        axis.axhline(0, color=BEHIND, linewidth=0.7, zorder=0)
        axis.axvline(0, color=BEHIND, linewidth=0.7, zorder=0)
        axis.plot(z, slopes, color=_SLOPE, linewidth=1)
        axis.plot(z, f, color=BASELINE, linewidth=1.2)
        if place + columns >= len(curves):
            axis.set_xlabel("z", **TEXT)
            axis.tick_params(labelbottom=True)
    axes[0].set_ylim(low - pad, high + pad)
    axes[0].yaxis.set_major_locator(MaxNLocator(4, integer=True))
    bottom_legend(figure, entries, width=WIDTH)
    return figure

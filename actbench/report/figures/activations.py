"""Activations and their derivatives."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from actbench.report.figures.style import TEXT, plain, style


def activation_figure(curves: Mapping[str, tuple[str, Any, Any, Any]]) -> Figure:
    """The functions and their derivatives over z. curves: label -> (activation, z, f, f'), arrays of (points,)."""
    figure = Figure(figsize=(6.8, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for label, (activation, z, values, slopes) in curves.items():
        line = style(activation)
        left.plot(z, values, label=label, **line)
        right.plot(z, slopes, **line)
    for axis, title in ((left, "f(z)"), (right, "f′(z)")):
        axis.set_title(title, **TEXT)
        axis.set_xlabel("z", **TEXT)
        axis.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axis.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        plain(axis)
    figure.legend(loc="outside lower center", ncols=-(-len(curves) // -(-len(curves) // 6)), frameon=False, fontsize=8)
    return figure

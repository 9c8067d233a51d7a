"""Test accuracies, a point per run."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from actbench.analysis.labels import activation_by_series
from actbench.report.figures.style import TEXT, plain, styles

_FAR = 4.0  # interquartile ranges below the lower quartile: a point there would compress the scale of all others


def accuracy_figure(runs: pd.DataFrame) -> Figure:
    """A point per run and a bar at the mean, a panel per task, the best series on top; far below most runs, an
    arrowhead at the edge instead of a point. runs: labelled, all with a test accuracy."""
    panels = list(runs.groupby("task", sort=False))
    names = max(frame["series"].nunique() for _, frame in panels)
    looks = styles(activation_by_series(runs))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.3 * columns + 0.6, rows * (0.7 + 0.19 * names)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis, (task, frame) in zip(axes, panels, strict=False):
        means = frame.groupby("series", sort=False)["test_accuracy"].mean().sort_values()
        lower, upper = np.quantile(frame["test_accuracy"], [0.25, 0.75])
        edge = 100 * max(frame["test_accuracy"].min(), lower - _FAR * max(upper - lower, 0.005))
        for place, (name, mean) in enumerate(means.items()):
            values = 100 * frame.loc[frame["series"] == name, "test_accuracy"]
            colour = looks[str(name)]["color"]
            for shown, marker in ((values[values >= edge], "o"), (np.full((values < edge).sum(), edge), "<")):
                axis.plot(
                    shown, np.full(len(shown), place), marker, color=colour, markersize=3, alpha=0.5, markeredgewidth=0
                )
            if 100 * mean >= edge:
                axis.plot(100 * mean, place, "|", color=colour, markersize=10, markeredgewidth=2)
        axis.set_yticks(range(len(means)), list(means.index))
        axis.set_ylim(-0.7, len(means) - 0.3)
        axis.set_title(str(task), **TEXT)
        axis.set_xlabel("test accuracy (%)", **TEXT)
        axis.grid(axis="x", color="0.9", linewidth=0.6)
        plain(axis)
    return figure

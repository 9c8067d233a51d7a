"""The figure of the path to a recommendation."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from actbench.analysis.recommendation import Decision
from actbench.report.figures.style import PALETTE, TEXT


def decisions_figure(decisions: Mapping[str, Decision]) -> Figure:
    """A row per task, a column per criterion: the series that are left. decisions: by task."""
    titles = ("all", "as accurate", "as soon", "as cheap", "take")
    heights = [0.45 + 0.135 * max(map(len, _lists(decision))) for decision in decisions.values()]
    figure = Figure(figsize=(6.8, sum(heights) + 0.1), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(decisions), 1, gridspec_kw={"height_ratios": heights}))
    for axis, (task, decision) in zip(axes, decisions.items(), strict=True):
        axis.set_axis_off()
        axis.set_title(task, loc="left", **TEXT)
        for column, (title, names) in enumerate(zip(titles, _lists(decision), strict=True)):
            edge = (
                {"edgecolor": PALETTE[0], "linewidth": 1.5}
                if column == len(titles) - 1
                else {"edgecolor": "0.6", "linewidth": 0.8}
            )
            box = {"boxstyle": "round,pad=0.5", "facecolor": "white", **edge}
            text = "\n".join([f"{title}:", *names])
            axis.text(column, 0.5, text, fontsize=7, ha="center", va="center", linespacing=1.3, bbox=box)
            if column:
                arrow = {"arrowstyle": "->", "color": "0.4", "linewidth": 1}
                axis.annotate("", (column - 0.33, 0.5), (column - 0.67, 0.5), arrowprops=arrow)
        axis.set_xlim(-0.5, len(titles) - 0.5)
        axis.set_ylim(0, 1)
    return figure


def _lists(decision: Decision) -> tuple[list[str], ...]:
    choice = [decision.choice, f"({100 * decision.agreement:.0f} % of", "resamples)"]
    return list(decision.series), list(decision.accurate), list(decision.fast), list(decision.cheap), choice

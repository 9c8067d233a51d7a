"""The decision flow: from the task over what counts to an activation."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from actbench.analysis.pairs import Comparison
from actbench.report.figures.style import NARROW, SMALL, VERDICTS, WIDTH
from actbench.report.sentences import hardly_matters, short_names

MOST_TASKS = 6  # more do not fit on a page
_BOX = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": VERDICTS["equal"], "linewidth": 0.8}
_COLUMNS = (0.08, 0.32, 0.60, 0.89)  # middles of the boxes, as shares of the width
_WRAPPED = 20  # characters


def flow_figure(comparisons: Sequence[Comparison], narrow: bool = False) -> Figure:
    """Arrows from the task over what counts to an activation, and what to avoid. comparisons: with a recommendation."""
    names = short_names([comparison.task for comparison in comparisons])
    leaves = {names[comparison.task]: _leaves(comparison) for comparison in comparisons}
    height = 1.05 * len(comparisons) + 0.3
    figure = Figure(figsize=(NARROW if narrow else WIDTH, height))
    axis: Any = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, height)
    for place, (name, (choices, avoid)) in enumerate(leaves.items()):
        middle = height - 0.15 - 1.05 * (place + 0.5)
        _draw_task(axis, middle, name, choices, avoid, narrow)
    return figure


def _leaves(comparison: Comparison) -> tuple[dict[str, str], Sequence[str]]:
    """What counts -> the activation to take; and what to avoid."""
    found = comparison.recommendation
    if found is None:
        return {}, ()
    baseline, take = comparison.baseline, found.take
    best = f"{found.best} (highest mean)" if len(take) > 1 and not hardly_matters(comparison) else found.best
    choices = {
        "nothing but accuracy": f"{baseline} (any of {len(take)})" if baseline in take and len(take) > 1 else best
    }
    fast = [name for name in found.fastest if name in take]
    if fast:
        choices["few steps"] = f"{fast[0]} ({comparison.fastest_steps[fast[0]].mean():.0f} steps)"
    costs = {name: comparison.costs[name]["step_share"].median() for name in take if name in comparison.costs}
    if costs:
        cheapest = min(costs, key=lambda name: costs[name])
        choices["cheap steps"] = f"{cheapest} ({100 * costs[cheapest]:.0f} % of a step)"
    return choices, found.avoid


def _draw_task(
    axis: Any, middle: float, name: str, choices: Mapping[str, str], avoid: Sequence[str], narrow: bool
) -> None:
    first, second, third, fourth = _COLUMNS
    _box(axis, first, middle, textwrap.fill(name, 14), weight="bold")
    for row, (what, activation) in enumerate(choices.items()):
        y = middle + 0.32 * ((len(choices) - 1) / 2 - row)
        _arrow(axis, (first + 0.07, middle), (second - 0.1, y))
        axis.text(second, y, what, ha="center", va="center", style="italic", **SMALL)
        _arrow(axis, (second + 0.1, y), (third - 0.13, y))
        _box(axis, third, y, activation)
    if avoid:
        text = "avoid " + ", ".join(avoid)
        _box(axis, fourth, middle, textwrap.fill(text, _WRAPPED), color=VERDICTS["worse"], edge=VERDICTS["worse"])


def _box(axis: Any, x: float, y: float, text: str, color: str = "black", edge: str | None = None, weight: str = "normal"
         ) -> None:  # fmt: skip
    axis.text(x, y, text, ha="center", va="center", color=color, weight=weight,
              bbox=_BOX | ({"edgecolor": edge} if edge else {}), **SMALL)  # fmt: skip


def _arrow(axis: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": VERDICTS["equal"], "linewidth": 0.8})

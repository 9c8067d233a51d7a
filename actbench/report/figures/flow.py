"""The decision flow: from the task over what counts to an activation."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from actbench.analysis.pairs import Comparison
from actbench.report.figures.style import SMALL, TEXT, VERDICTS, WIDTH, is_narrow
from actbench.report.sentences import short_names

MOST_TASKS = 6  # more do not fit on a page
_ROW = 0.22  # inches of a choice
# Left ends of the fork, of what counts, of the arrow, of the activation and of what to avoid, as shares of the width.
_COLUMNS = {False: (0.14, 0.20, 0.32, 0.42, 0.72), True: (0.24, 0.33, 0.53, 0.61, 0.61)}
_LINE = {"color": VERDICTS["equal"], "linewidth": 0.8}


def flow_figure(comparisons: Sequence[Comparison], width: float = WIDTH) -> Figure:
    """Arrows from the task over what counts to an activation, and what to avoid. comparisons: with a recommendation."""
    names = short_names([comparison.task for comparison in comparisons])
    choices = {names[comparison.task]: _choices(comparison) for comparison in comparisons}
    avoid = {names[c.task]: c.recommendation.avoid if c.recommendation else () for c in comparisons}
    rows = {name: len(own) + (1 if is_narrow(width) and avoid[name] else 0) for name, own in choices.items()}
    height = _ROW * (sum(rows.values()) + len(rows))
    figure = Figure(figsize=(width, height))
    axis: Any = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, height)
    top = height
    for name, own in choices.items():
        bottom = top - _ROW * (rows[name] + 1)
        _draw_task(axis, (top, bottom), name, own, avoid[name], width)
        top = bottom
    return figure


def _choices(comparison: Comparison) -> dict[str, str]:
    """What counts -> the activation to take."""
    found, baseline = comparison.recommendation, comparison.baseline
    if found is None:
        return {}
    alike = f" (or {len(found.take) - 1} more)" if len(found.take) > 1 else ""
    score = "bits" if comparison.metric.name == "bits_per_character" else comparison.metric.noun
    choices = {score: (baseline if baseline in found.take else found.best) + alike}
    fast = [name for name in found.fastest if name in found.take]
    if fast:
        choices["few steps"] = f"{fast[0]} ({comparison.fastest_steps[fast[0]].mean():.0f} to the target)"
    costs = {name: comparison.costs[name]["step_share"].median() for name in found.take if name in comparison.costs}
    if costs:
        cheapest = min(costs, key=lambda name: costs[name])
        choices["cheap steps"] = f"{cheapest} ({100 * costs[cheapest]:.0f} % of a step)"
    return choices


def _draw_task(
    axis: Any, ends: tuple[float, float], name: str, choices: Mapping[str, str], avoid: Sequence[str], width: float
) -> None:
    fork, what, arrow, activation, last = _COLUMNS[is_narrow(width)]
    top, bottom = ends
    middle = top - _ROW * (len(choices) + 1) / 2
    axis.text(0.01, middle, textwrap.fill(name, 13), va="center", **TEXT)
    for row, (counts, taken) in enumerate(choices.items()):
        y = top - _ROW * (row + 1)
        axis.plot([fork, fork + 0.03, what - 0.01], [middle, y, y], solid_joinstyle="round", **_LINE)
        axis.text(what, y, counts, va="center", color=VERDICTS["equal"], **SMALL)
        axis.annotate("", (activation - 0.01, y), (arrow, y), arrowprops={"arrowstyle": "-|>", **_LINE})
        axis.text(activation, y, taken, va="center", **SMALL)
    if avoid:
        y = bottom + _ROW if is_narrow(width) else middle
        text = textwrap.fill(f"avoid {', '.join(avoid)}", 24)
        axis.text(last, y, text, va="center", color=VERDICTS["worse"], **SMALL)

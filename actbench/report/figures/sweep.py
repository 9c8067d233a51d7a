"""Figures of a sweep: scores of all runs, and learning curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from actbench.experiment.scores import METRICS
from actbench.report.figures.panels import fixed_panels, label_width, shortened
from actbench.report.figures.style import BASELINE, BEHIND, SMALL, TEXT, VERDICTS, WIDTH, is_narrow
from actbench.report.numbers import rate
from actbench.report.sentences import short_names

MOST_ROWS = 40  # lines of a panel; of more, those with the highest means are drawn
_LABELS = 0.6  # of the width that a panel has: a longer label is shortened
_HEIGHT, _LEFT = 1.2, 0.6  # inches, of a panel of curves and left of it, for the label of the axis beside `100`
MOST_PANELS = 24  # of the learning curves
# Distances of the median line to the best, below it, and at least a share of the scale: a line there would compress
# the scale of all others.
_FAR, _LEAST_FAR = 4.0, 0.05


def scores_figure(runs: pd.DataFrame, column: str, width: float = WIDTH) -> Figure:
    """A point per run and a bar at the mean, the highest on top; a panel per task, a line per series and rate.

    Means are of the runs that finished, as in the table; how many diverged or failed is in the label. A line far below
    the others is an arrow with its value, a single run there a small arrowhead. Better is further to the right. runs:
    labelled. column: `score` or `val_score`.
    """
    values = runs[column].where(runs["status"] == "finished").astype(float)
    scales = runs["metric"].map(lambda name: METRICS[name].scale)
    tasks = _by_task(runs.assign(value=scales * values, line=_lines(runs)))
    names = short_names([task for task, _ in tasks])
    rows = max(min(frame["line"].nunique(), MOST_ROWS) for _, frame in tasks)
    columns = 1 if is_narrow(width) or len(tasks) == 1 else 2
    most = _LABELS * width / columns
    left = min(most, label_width([line for _, frame in tasks for line in frame["line"]]))
    figure, axes = fixed_panels(
        [names[task] for task, _ in tasks], 0.1 + 0.17 * rows, columns, width, left=left, bottom=0.45, gap=(left, 0.75)
    )
    for axis, (_, frame) in zip(axes, tasks, strict=True):
        metric = METRICS[frame["metric"].iloc[0]]
        sign = metric.factor / metric.scale
        means = frame.groupby("line", sort=False)["value"].mean().sort_values(na_position="first").tail(MOST_ROWS)
        edge = means.median() - max(_FAR * (means.max() - means.median()), _LEAST_FAR * metric.scale)
        for place, (line, mean) in enumerate(means.items()):
            if np.isnan(mean):
                continue
            if mean < edge:
                axis.plot(sign * edge, place, "<", color=VERDICTS["worse"], markersize=5)
                axis.annotate(metric.mark(mean / metric.scale), (sign * edge, place), (6, 0), va="center",
                              textcoords="offset points", color=VERDICTS["worse"], **SMALL)  # fmt: skip
                continue
            values = frame.loc[frame["line"] == line, "value"]
            for shown, marker in ((values[values >= edge], "o"), (np.full((values < edge).sum(), edge), "<")):
                axis.plot(sign * shown, np.full(len(shown), place), marker, color=VERDICTS["inconclusive"],
                          markersize=3, markeredgewidth=0)  # fmt: skip
            axis.plot(sign * mean, place, "|", color=BASELINE, markersize=9, markeredgewidth=1.5)
        axis.set_yticks(range(len(means)), [shortened(str(line), left) for line in means.index])
        axis.set_ylim(-0.7, len(means) - 0.3)
        if sign < 0:
            axis.invert_xaxis()
        axis.set_xlabel(metric.test_axis if column == "score" else metric.axis, **TEXT)
    return figure


def curves_figure(runs: pd.DataFrame, curves: pd.DataFrame, width: float = WIDTH) -> Figure:
    """Validation score by step, the mean over seeds; a panel per task and series, a line per rate, dark the best.

    Better is higher up. The best has the highest last mean among the rates at which the fewest runs diverged. At most
    MOST_PANELS panels are drawn. runs: labelled. curves: columns run_id, step, metric, value.
    """
    of_runs = runs[["run_id", "task", "series", "lr", "status", "metric"]].rename(columns={"metric": "scored_by"})
    points = of_runs.merge(curves[curves["metric"].isin([own.curve for own in METRICS.values()])], on="run_id")
    points = points[points["metric"] == points["scored_by"].map(lambda name: METRICS[name].curve)]
    groups = [
        (str(task), str(series), group) for (task, series), group in points.groupby(["task", "series"], sort=False)
    ]
    groups = groups[:MOST_PANELS]
    names = short_names(list(dict.fromkeys(points["task"])))
    panels = [
        (f"{names[task]}: {series}" if len(names) > 1 else series, *_by_rate(group)) for task, series, group in groups
    ]
    titles = [title + (f" ({rate(rates[-1])})" if len(rates) > 1 else "") for title, _, rates in panels]
    scored_by = [METRICS[group["scored_by"].iloc[0]] for _, _, group in groups]
    shared = len({metric.name for metric in scored_by}) == 1
    titles = [title + ("" if shared else f", {own.noun}") for title, own in zip(titles, scored_by, strict=True)]
    figure, axes = fixed_panels(
        titles, _HEIGHT, 2 if is_narrow(width) else min(4, len(groups)), width, left=_LEFT, sharex=shared, sharey=shared
    )
    for axis, (_, means, rates), metric in zip(axes, panels, scored_by, strict=True):
        for lr in rates:
            best, values = lr == rates[-1], metric.factor / metric.scale * means[lr]
            axis.plot(values.index, values, color=BASELINE if best else BEHIND, linewidth=1.2 if best else 0.8)
        if metric.factor < 0 and not axis.yaxis_inverted():  # panels that share an axis turn it together
            axis.invert_yaxis()
    figure.supxlabel("step", **TEXT)
    figure.supylabel(scored_by[0].axis if shared else "validation score", **TEXT)
    return figure


def dead_figure(runs: pd.DataFrame, dead: pd.DataFrame, width: float = WIDTH) -> Figure:
    """Share of dead units by step, the mean over seeds; a panel per task and series, a line per rate.

    The highest rate is black, at most MOST_PANELS panels are drawn. runs: labelled. dead: columns run_id, step, value.
    """
    points = runs[["run_id", "task", "series", "lr"]].merge(dead[["run_id", "step", "value"]], on="run_id")
    groups = list(points.groupby(["task", "series"], sort=False))[:MOST_PANELS]
    names = short_names(list(dict.fromkeys(points["task"])))
    titles = [f"{names[str(task)]}: {series}" if len(names) > 1 else str(series) for (task, series), _ in groups]
    several = points["lr"].nunique() > 1
    titles = [title + (f" (black: {rate(group['lr'].max())})" if several else "")
              for title, (_, group) in zip(titles, groups, strict=True)]  # fmt: skip
    columns = 2 if is_narrow(width) else min(4, len(groups))
    figure, axes = fixed_panels(titles, _HEIGHT, columns, width, left=_LEFT, sharex=True, sharey=True)
    for axis, (_, group) in zip(axes, groups, strict=True):
        for lr, own in group.groupby("lr"):
            values, last = 100 * own.groupby("step")["value"].mean(), lr == group["lr"].max()
            axis.plot(values.index, values, color=BASELINE if last else BEHIND, linewidth=1.2 if last else 0.8)
        axis.set_ylim(-3, 103)
    figure.supxlabel("step", **TEXT)
    figure.supylabel("dead units, %", **TEXT)
    return figure


def _by_rate(points: pd.DataFrame) -> tuple[pd.Series, list[float]]:
    """Mean scores, as they are scaled, by rate and step, and the rates, the best last."""
    scale = METRICS[points["scored_by"].iloc[0]].scale
    means = points.groupby(["lr", "step"])["value"].mean().mul(scale)
    diverged = points.loc[points["status"] == "diverged"].groupby("lr")["run_id"].nunique()
    last = means.groupby("lr").last()
    return means, sorted(map(float, last.index), key=lambda lr: (-diverged.get(lr, 0), last[lr]))


def _by_task(runs: pd.DataFrame) -> Sequence[tuple[str, pd.DataFrame]]:
    return [(str(task), group) for task, group in runs.groupby("task", sort=False)]


def _lines(runs: pd.DataFrame) -> Any:
    """The series of each run, with its rate where there are several, and with how many of its runs were lost."""
    several = runs["lr"].nunique() > 1
    lines = [f"{series}, {rate(lr)}" if several else series for series, lr in runs[["series", "lr"]].to_numpy()]
    lost = runs.assign(line=lines).groupby(["task", "line", "status"]).size().to_dict()

    def note(task: str, line: str) -> str:
        found = {end: lost.get((task, line, end), 0) for end in ("diverged", "failed")}
        return "".join(f" ({number} {end})" for end, number in found.items() if number)

    return [line + note(task, line) for task, line in zip(runs["task"], lines, strict=True)]

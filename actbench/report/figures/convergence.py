"""Figures of the time to target: survival curves and performance profile."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from actbench.analysis.labels import activation_by_series
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import performance_profile
from actbench.analysis.survival import survival_curve
from actbench.report.figures.style import TEXT, legend, panels, plain, styles

_RATIOS = np.linspace(1, 5, 81)


def survival_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Share of runs that have not arrived at the target over steps, a panel per task."""
    figure, axes = panels(len(comparisons))
    artists: dict[str, Artist] = {}
    activations = [activation_by_series(comparison.ended) for comparison in comparisons]
    looks = styles({series: name for of_task in activations for series, name in of_task.items()})
    for axis, comparison in zip(axes, comparisons, strict=True):
        horizon = float(comparison.ended["steps"].max())
        for series, runs in comparison.ended.groupby("series", sort=False):
            steps, waiting = survival_curve(runs["steps_to_target"], horizon)
            (artists[str(series)],) = axis.step(steps, waiting, where="post", linewidth=1, **looks[str(series)])
        axis.set_title(comparison.task, **TEXT)
        axis.set_xlabel("step", **TEXT)
        axis.set_ylim(-0.03, 1.03)
        plain(axis)
    axes[0].set_ylabel("not yet at the target", **TEXT)
    legend(figure, artists)
    return figure


def profile_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Performance profile of steps to target over all tasks and seeds, of the series that all tasks have."""
    activations = {
        series: activation
        for series, activation in activation_by_series(comparisons[0].runs).items()
        if all(series in comparison.steps for comparison in comparisons)
    }
    times = {series: np.concatenate([_times(c, series) for c in comparisons]) for series in activations}
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axis: Any = figure.subplots()
    artists: dict[str, Artist] = {}
    looks = styles(activations)
    for series, values in performance_profile(times, _RATIOS).items():
        (artists[series],) = axis.plot(_RATIOS, values, linewidth=1, drawstyle="steps-post", **looks[series])
    axis.set_xlabel("times the steps of the first", **TEXT)
    axis.set_ylabel("share of settings and seeds", **TEXT)
    axis.set_ylim(-0.03, 1.03)
    plain(axis)
    legend(figure, artists)
    return figure


def _times(comparison: Comparison, series: str) -> np.ndarray:
    """Steps to target on the common seeds (seeds,), infinite where the target is never reached."""
    steps = comparison.ended[comparison.ended["series"] == series].set_index("seed")["steps_to_target"]
    return steps.reindex(comparison.scores.index).astype(float).fillna(np.inf).to_numpy()

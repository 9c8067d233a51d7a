"""Arrivals at the target."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import performance_profile
from actbench.report.figures.decisions import _TEXT
from actbench.report.figures.style import legend, panels, plain, styles

_RATIOS = np.linspace(1, 5, 81)


def survival_figure(found: Sequence[Comparison]) -> Figure:
    """Share of runs that have not arrived at the target over steps, a panel a setting."""
    figure, axes = panels(len(found))
    named: dict[str, Artist] = {}
    looks = styles(series for comparison in found for series in comparison.ended["series"])
    for axis, comparison in zip(axes, found, strict=True):
        end = float(comparison.ended["steps"].max())
        for series, own in comparison.ended.groupby("series", sort=False):
            arrived = np.sort(own.loc[own["reached_target"].eq(True), "steps_to_target"].to_numpy(dtype=float))
            steps = np.concatenate([[0.0], arrived, [end]])
            waiting = 1 - np.concatenate([np.arange(len(arrived) + 1), [len(arrived)]]) / len(own)
            (named[str(series)],) = axis.step(steps, waiting, where="post", linewidth=1, **looks[str(series)])
        axis.set_title(comparison.setting, **_TEXT)
        axis.set_xlabel("step", **_TEXT)
        axis.set_ylim(-0.03, 1.03)
        plain(axis)
    axes[0].set_ylabel("not yet at the target", **_TEXT)
    legend(figure, named)
    return figure


def profile_figure(found: Sequence[Comparison]) -> Figure:
    """Performance profile of steps to target over all settings and seeds; of the series that all settings have."""
    common = [series for series in found[0].runs["series"].unique() if all(series in set(c.steps) for c in found)]
    times = {str(series): np.concatenate([_times(c, series) for c in found]) for series in common}
    shares = performance_profile(times, _RATIOS)
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axis: Any = figure.subplots()
    named: dict[str, Artist] = {}
    looks = styles(shares)
    for series, values in shares.items():
        (named[series],) = axis.plot(_RATIOS, values, linewidth=1, drawstyle="steps-post", **looks[series])
    axis.set_xlabel("times the steps of the first", **_TEXT)
    axis.set_ylabel("share of settings and seeds", **_TEXT)
    axis.set_ylim(-0.03, 1.03)
    plain(axis)
    legend(figure, named)
    return figure


def _times(comparison: Comparison, series: str) -> np.ndarray:
    """Steps to target on the common seeds, infinite where the target is never reached."""
    own = comparison.ended[comparison.ended["series"] == series].set_index("seed")["steps_to_target"]
    return own.reindex(comparison.scores.index).astype(float).fillna(np.inf).to_numpy()

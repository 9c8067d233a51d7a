"""Figures of a comparison: arrivals at the target, mean ranks, the way to a recommendation."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from actbench.comparison import Comparison
from actbench.figures import PALETTE, legend, panels, plain, style, styles
from actbench.recommendation import Decision
from actbench.statistics import Ranks, performance_profile

_TEXT = {"fontsize": 8}
_RATIOS = np.linspace(1, 5, 81)


def survival(found: Sequence[Comparison]) -> Figure:
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


def profile(found: Sequence[Comparison]) -> Figure:
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


def critical_difference(ranks: Ranks) -> Figure:
    """Demšar's diagram."""
    import scikit_posthocs as posthocs  # a second of imports

    figure = Figure(figsize=(6.8, 1.0 + 0.13 * len(ranks.mean)), layout="constrained")
    axis = figure.subplots()
    names = list(ranks.mean)
    away = np.abs(np.subtract.outer(list(ranks.mean.values()), list(ranks.mean.values())))
    # The diagram joins those whose p is above its level: here 1 within the critical difference, else 0.
    same = pd.DataFrame((away <= ranks.critical).astype(float), index=names, columns=names)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    drawn = posthocs.critical_difference_diagram(
        ranks.mean, same, ax=axis, label_props={"fontsize": 7}, text_h_margin=0.02,
        color_palette={name: style(name.split()[0])["color"] for name in names},
    )  # fmt: skip
    for (bar,) in drawn["crossbars"]:  # it goes through its members in the order of a set
        bar.set_xdata(sorted(bar.get_xdata()))
    axis.tick_params(labelsize=7)
    return figure


def decisions(decided: Mapping[str, Decision]) -> Figure:
    """A row a setting, a column a step of the way: who is still there."""
    titles = ("all", "as accurate", "as soon", "as cheap", "take")
    heights = [0.45 + 0.135 * max(map(len, _lists(decision))) for decision in decided.values()]
    figure = Figure(figsize=(6.8, sum(heights) + 0.1), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(decided), 1, gridspec_kw={"height_ratios": heights}))
    for axis, (setting, decision) in zip(axes, decided.items(), strict=True):
        axis.set_axis_off()
        axis.set_title(setting, loc="left", **_TEXT)
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
    choice = [decision.choice, f"({100 * decision.sure:.0f} % of", "resamples)"]
    return list(decision.series), list(decision.accurate), list(decision.soon), list(decision.cheap), choice

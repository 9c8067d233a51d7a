"""How an activation depends on its learning rate, and what it reaches in the baseline's time."""

import numpy as np
import pandas as pd

from actbench.analysis.differences import Difference, Pair, judge
from actbench.analysis.labels import ended_runs
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import resample_weights
from actbench.experiment.choices import all_seeds, choose


def mean_scores(comparison: Comparison) -> pd.DataFrame:
    """Mean validation score (rates, series) of the seeds that a rate has; a run that diverged counts as the worst."""
    runs = ended_runs(comparison.planned)
    return runs.assign(value=runs["val_score"].fillna(comparison.worst)).pivot_table("value", "lr", "series")


def tried_rates(comparison: Comparison, series: str) -> list[float]:
    """The rates of a series' grid, ascending."""
    runs = comparison.planned[comparison.planned["series"] == series]
    return sorted(float(rate) for rate in runs["lr"].unique())


def tolerated_rates(comparison: Comparison, series: str) -> tuple[float, float]:
    """The lowest and the highest rate around the best whose mean validation score is within the margin of it.

    All rates between them are too. A rate that was raced out is compared with the best on the seeds that it has.
    """
    runs = ended_runs(comparison.planned[comparison.planned["series"] == series])
    score = runs.assign(value=runs["val_score"].fillna(comparison.worst)).pivot_table("value", "lr", "seed")
    score = score[[seed for seed in comparison.seeds if seed in score]]
    tuned = comparison.tuned[series]
    best = float(tuned.rates[int(choose(tuned.score, tuned.tie, all_seeds(len(tuned.seeds)))[0])])
    rates = [float(rate) for rate in score.index]
    inside = ((score.loc[best] - score).mean(axis=1) <= comparison.margin).to_numpy()
    low = high = rates.index(best)
    while low > 0 and inside[low - 1]:
        low -= 1
    while high + 1 < len(rates) and inside[high + 1]:
        high += 1
    return rates[low], rates[high]


def equal_time_differences(comparison: Comparison) -> dict[str, Difference]:
    """Differences to the baseline where each series trained for as long as the baseline; empty if none did.

    At the rates chosen for runs of the usual length, so the intervals do not cover that choice.
    """
    repeated = comparison.runs[comparison.runs["equal_time"].fillna(False).astype(bool)]
    ended = ended_runs(repeated)
    if ended.empty or comparison.baseline not in comparison.scores:
        return {}
    again = ended.assign(value=ended["score"].fillna(comparison.worst)).pivot(
        index="seed", columns="series", values="value"
    )
    scores = comparison.scores.copy()  # the steps of some did not change
    for series in repeated["series"].unique():
        scores[series] = again[series].reindex(comparison.seeds) if series in again else np.nan
    scores = scores.dropna(axis=1, how="all").dropna()  # a failed run takes its seed out
    if comparison.baseline not in scores or scores.empty:
        return {}
    names = [str(series) for series in scores if series != comparison.baseline]
    differences = [(scores[name] - scores[comparison.baseline]).to_numpy() for name in names]
    weights = resample_weights(len(scores))
    judged = judge([Pair(values, weights @ values) for values in differences], comparison.margin)
    return dict(zip(names, judged, strict=True))

"""Aggregates over many tasks with stratified bootstrap intervals (Agarwal et al. 2021, arXiv:2108.13264).

Of scores where all are accuracies; else of ranks, and of differences to the baseline in margins, as scores of different
metrics have no common unit.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from actbench.analysis.labels import activation_by_series
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import CONFIDENCE, Array

FEWEST_TASKS = 5  # below it an aggregate over tasks says little
_SAMPLES = 2000
_TRIMMED = 0.25  # of the scores at each end, which an interquartile mean leaves out


def aggregates(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Columns series, iqm, iqm_low, iqm_high, improvement, improvement_low, improvement_high; the highest first.

    iqm: interquartile mean of the scores of all seeds and tasks. improvement: probability that a seed's score is higher
    than one of the baseline, mean over tasks; NaN for the baseline. Intervals resample the seeds of each task. Of the
    series that all tasks have.
    """
    series, baseline, draws = _common_series(comparisons), comparisons[0].baseline, _draws(comparisons)
    lines = []
    for name in series:
        scores = [c.scores[name].to_numpy(dtype=float) for c in comparisons]
        line = {"series": name, **_trimmed("iqm", scores, draws)}
        if name != baseline and baseline in series:
            others = [c.scores[baseline].to_numpy(dtype=float) for c in comparisons]
            line |= _improvements(scores, others, draws)
        lines.append(line)
    frame = pd.DataFrame(lines).reindex(columns=["series", *_ends("iqm"), *_ends("improvement")])
    return frame.sort_values("iqm", ascending=False, kind="stable", ignore_index=True)


def standardized(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Aggregates of tasks of several metrics: columns series, rank, margins, improvement, each with _low and _high.

    Of the series that all tasks have, the lowest mean rank first. rank: by mean score on a task, 1 the highest, mean
    over tasks. margins: interquartile mean over all seeds and tasks of the difference to the baseline over the task's
    margin; NaN where a margin is 0. improvement, intervals: as for `aggregates`; both are NaN for the baseline, and
    for all without one.
    """
    series, baseline, draws = _common_series(comparisons), comparisons[0].baseline, _draws(comparisons)
    tables = [c.scores[series].to_numpy(dtype=float) for c in comparisons]  # (seeds, series)
    ranks = np.mean([_ranks(table.mean(0)) for table in tables], axis=0)
    resampled = np.mean([_ranks(table[draw].mean(1)) for table, draw in zip(tables, draws, strict=True)], axis=0)
    units = [c.margin for c in comparisons]
    lines = []
    for place, name in enumerate(series):
        line = {
            "series": name,
            **dict(zip(_ends("rank"), (ranks[place], *_interval(resampled[:, place])), strict=True)),
        }
        if name != baseline and baseline in series:
            scores, others = ([table[:, series.index(own)] for table in tables] for own in (name, baseline))
            if min(units) > 0:
                differences = [(a - b) / unit for a, b, unit in zip(scores, others, units, strict=True)]
                line |= _trimmed("margins", differences, draws)
            line |= _improvements(scores, others, draws)
        lines.append(line)
    frame = pd.DataFrame(lines).reindex(columns=["series", *_ends("rank"), *_ends("margins"), *_ends("improvement")])
    return frame.sort_values("rank", kind="stable", ignore_index=True)


def _ends(name: str) -> tuple[str, str, str]:
    """The columns of an estimate and of its interval."""
    return name, f"{name}_low", f"{name}_high"


def _common_series(comparisons: Sequence[Comparison]) -> list[str]:
    return [name for name in activation_by_series(comparisons[0].runs) if all(name in c.scores for c in comparisons)]


def _draws(comparisons: Sequence[Comparison]) -> list[npt.NDArray[np.int64]]:
    """For each task the places of its resampled seeds, (samples, seeds)."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, len(c.scores), (_SAMPLES, len(c.scores))) for c in comparisons]


def _trimmed(name: str, values: Sequence[Array], draws: Sequence[npt.NDArray[np.int64]]) -> dict[str, float]:
    """The interquartile mean of the values of all tasks, (seeds,) each, with its interval."""
    from scipy import stats  # takes a second

    resampled = np.concatenate([own[draw] for own, draw in zip(values, draws, strict=True)], axis=1)
    low, high = _interval(stats.trim_mean(resampled, _TRIMMED, axis=1))
    return dict(zip(_ends(name), (float(stats.trim_mean(np.concatenate(values), _TRIMMED)), low, high), strict=True))


def _improvements(
    scores: Sequence[Array], others: Sequence[Array], draws: Sequence[npt.NDArray[np.int64]]
) -> dict[str, float]:
    """The probability that a seed's score is higher than one of the others', mean over tasks, with its interval."""
    above = [_improvement(a, b) for a, b in zip(scores, others, strict=True)]
    by_task = [_improvement(a[draw], b[draw]) for a, b, draw in zip(scores, others, draws, strict=True)]
    return dict(zip(_ends("improvement"), (float(np.mean(above)), *_interval(np.mean(by_task, axis=0))), strict=True))


def _ranks(means: Array) -> Array:
    """Ranks along the last axis, 1 the highest, of equals their mean. means: (..., series)."""
    from scipy import stats  # takes a second

    return np.asarray(stats.rankdata(-means.round(12), axis=-1))


def _improvement(a: Array, b: Array) -> Array:
    """Share of pairs in which a score of `a` is higher than one of `b`, equal ones half. a, b: (..., seeds)."""
    pairs = np.sign(a[..., :, None] - b[..., None, :])
    return np.asarray((1 + pairs.mean((-2, -1))) / 2)


def _interval(values: Array) -> tuple[float, float]:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)

"""Aggregates of scores over many tasks with stratified bootstrap intervals (Agarwal et al. 2021, arXiv:2108.13264)."""

from collections.abc import Sequence

import numpy as np
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
    from scipy import stats  # takes a second

    series = [name for name in activation_by_series(comparisons[0].runs) if all(name in c.scores for c in comparisons)]
    generator = np.random.default_rng(0)
    draws = [generator.integers(0, len(c.scores), (_SAMPLES, len(c.scores))) for c in comparisons]
    baseline = comparisons[0].baseline
    lines = []
    for name in series:
        scores = [c.scores[name].to_numpy(dtype=float) for c in comparisons]
        resampled = np.concatenate([values[draw] for values, draw in zip(scores, draws, strict=True)], axis=1)
        line = {"series": name, "iqm": float(stats.trim_mean(np.concatenate(scores), _TRIMMED))}
        line |= dict(zip(("iqm_low", "iqm_high"), _interval(stats.trim_mean(resampled, _TRIMMED, axis=1)), strict=True))
        if name != baseline and baseline in series:
            others = [c.scores[baseline].to_numpy(dtype=float) for c in comparisons]
            above = [_improvement(a, b) for a, b in zip(scores, others, strict=True)]
            by_task = [_improvement(a[draw], b[draw]) for a, b, draw in zip(scores, others, draws, strict=True)]
            low, high = _interval(np.mean(by_task, axis=0))
            line |= {"improvement": float(np.mean(above)), "improvement_low": low, "improvement_high": high}
        lines.append(line)
    frame = pd.DataFrame(lines).reindex(columns=["series", "iqm", "iqm_low", "iqm_high", "improvement",
                                                 "improvement_low", "improvement_high"])  # fmt: skip
    return frame.sort_values("iqm", ascending=False, kind="stable", ignore_index=True)


def _improvement(a: Array, b: Array) -> Array:
    """Share of pairs in which a score of `a` is higher than one of `b`, equal ones half. a, b: (..., seeds)."""
    pairs = np.sign(a[..., :, None] - b[..., None, :])
    return np.asarray((1 + pairs.mean((-2, -1))) / 2)


def _interval(values: Array) -> tuple[float, float]:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)

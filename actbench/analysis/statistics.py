"""Statistics of activations over the seeds or the tasks that they share. A higher score is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
LEVEL = 0.05
FEWEST_PAIRS = 6  # with fewer no exact paired test reaches 0.05: 2 * 2^-5 > 0.05
EXACT_PAIRS = 13  # 2^13 flips are at most RESAMPLES: with more pairs flips are drawn
RESAMPLES = 9999  # so that the interval's ends are resamples, Davison & Hinkley 1997, section 2.5


@dataclass(frozen=True)
class Difference:
    """The difference of paired scores to those of a baseline.

    mean, and its 95 % bootstrap interval (NaN for a single pair); pairs: their number. p: of the two-sided sign-flip
    test, not corrected (NaN below FEWEST_PAIRS). improvement: share of pairs in which the score is above the baseline,
    ties half. effect: mean over standard deviation of the differences, with Hedges' correction (NaN where that is 0).
    """

    mean: float
    low: float
    high: float
    pairs: int
    p: float = float("nan")
    improvement: float = float("nan")
    effect: float = float("nan")

    def verdict(self, margin: float, p: float) -> str:
        """`practically equal`: the interval lies inside +-margin. `higher`, `lower`: it excludes 0, and p is at most
        0.05. Else `not shown`. p: corrected for the family of comparisons."""
        if self.pairs < FEWEST_PAIRS:
            return "too few seeds to say"
        if -margin < self.low and self.high < margin:
            return "practically equal"
        if p > LEVEL:
            return "not shown"
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "not shown"


def paired_difference(scores: Array, baseline: Array) -> Difference:
    """Compares scores with a baseline, (seeds,) each in the same order; 95 % BCa interval (Efron 1987)."""
    differences = np.asarray(scores, dtype=float) - np.asarray(baseline, dtype=float)
    mean, pairs = float(differences.mean()), len(differences)
    improvement = float(np.mean((differences > 0) + 0.5 * (differences == 0)))
    if pairs < 2:
        return Difference(mean, float("nan"), float("nan"), pairs, improvement=improvement)
    p = sign_flip(differences) if pairs >= FEWEST_PAIRS else float("nan")
    low, high = mean_interval(differences)
    deviation = float(differences.std(ddof=1))
    effect = mean / deviation * (1 - 3 / (4 * pairs - 5)) if deviation > 1e-12 else float("nan")
    return Difference(mean, low, high, pairs, p, improvement, effect)


def mean_interval(scores: Array) -> tuple[float, float]:
    """95 % bias-corrected and accelerated bootstrap interval of a mean (Efron 1987); NaN for a single score."""
    if len(scores) < 2:
        return float("nan"), float("nan")
    if np.ptp(scores) < 1e-12:  # BCa is undefined for equal scores
        return float(scores[0]), float(scores[0])
    interval = stats.bootstrap(
        (scores,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(interval.low), float(interval.high)


def sign_flip(differences: Array) -> float:
    """Two-sided p of the mean of paired differences (n,) under random signs: exact up to EXACT_PAIRS, then drawn.

    Fisher 1935, The Design of Experiments, section 21.
    """
    test = stats.permutation_test(
        (np.asarray(differences, dtype=float),), lambda d, axis: d.mean(axis).round(12),  # so that ties stay ties
        permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(test.pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for their family; NaN stays NaN and does not count as a member. Holm 1979."""
    from statsmodels.stats.multitest import multipletests

    values = np.asarray(p, dtype=float)
    known = np.isfinite(values)
    if known.any():
        values[known] = multipletests(values[known], method="holm")[1]
    return [float(value) for value in values]


def interquartile_mean(scores: Array) -> float:
    """Mean of the middle half. Agarwal et al. 2021, arXiv:2108.13264."""
    return float(stats.trim_mean(scores, 0.25))


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over tasks, 1 the best. p: of Friedman's test. critical: difference of Nemenyi's test at 0.05."""

    mean: dict[str, float]
    tasks: int
    p: float
    critical: float


def mean_ranks(scores: pd.DataFrame) -> Ranks:
    """Ranks activations. scores: (tasks, activations), at least (2, 3), without missing values.

    Demšar 2006, Statistical comparisons of classifiers over multiple data sets.
    """
    scores = scores.round(10)  # means of the same values in another order differ in their last bits
    tasks, count = scores.shape
    ranks = scores.rank(axis=1, ascending=False).mean()
    p = float(stats.friedmanchisquare(*scores.to_numpy().T).pvalue)
    q = float(stats.studentized_range.ppf(1 - LEVEL, count, np.inf)) / np.sqrt(2)
    critical = q * np.sqrt(count * (count + 1) / (6 * tasks))
    return Ranks({str(name): float(rank) for name, rank in ranks.items()}, tasks, p, float(critical))


def performance_profile(times: Mapping[str, Array], ratios: Array) -> dict[str, Array]:
    """Share of problems (ratios,) that each activation solves within `ratio` times the fastest time on that problem.

    times: (problems,) of each activation in the same order, infinite if it never arrives; a problem that no
    activation solves counts for none of them. Dolan & Moré 2002.
    """
    best = np.min(list(times.values()), axis=0)
    solved = np.isfinite(best)
    floor = np.maximum(best, np.finfo(float).tiny)
    return {
        name: np.array([float(np.mean(solved & (values <= ratio * floor))) for ratio in ratios])
        for name, values in times.items()
    }

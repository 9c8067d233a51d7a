"""Comparison of activations over the seeds or the tasks they share. Every score: the higher the better."""

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
    """Of paired scores, own less the baseline's.

    mean, and its 95 % bootstrap interval (NaN for a single pair); pairs: their number. p: of the two-sided sign-flip
    test, not corrected (NaN below FEWEST_PAIRS). improvement: share of pairs in which own is higher, ties half.
    effect: mean over standard deviation of the differences, with Hedges' correction (NaN where that is 0).
    """

    mean: float
    low: float
    high: float
    pairs: int
    p: float = float("nan")
    improvement: float = float("nan")
    effect: float = float("nan")

    def verdict(self, margin: float, p: float) -> str:
        """`practically equal`: the interval lies inside +-margin. `higher`, `lower`: it excludes 0, and p, corrected
        for the family that is asked about, is at most 0.05. Else `not shown`."""
        if self.pairs < FEWEST_PAIRS:
            return "too few seeds to say"
        if -margin < self.low and self.high < margin:
            return "practically equal"
        if p > LEVEL:
            return "not shown"
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "not shown"


def paired_difference(own: Array, baseline: Array) -> Difference:
    """own and baseline (seeds,) in the same order; 95 % by the bias-corrected bootstrap (Efron 1987)."""
    own, baseline = np.asarray(own, dtype=float), np.asarray(baseline, dtype=float)
    differences = own - baseline
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
    if np.ptp(scores) < 1e-12:  # all agree: the bootstrap has nothing to resample
        return float(scores[0]), float(scores[0])
    interval = stats.bootstrap(
        (scores,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(interval.low), float(interval.high)


def sign_flip(differences: Array) -> float:
    """Two-sided p of paired differences (n,) whose signs are flipped at will: exact up to EXACT_PAIRS, then drawn.

    Fisher 1935, The Design of Experiments, section 21.
    """
    found = stats.permutation_test(
        (np.asarray(differences, dtype=float),), lambda d, axis: d.mean(axis).round(12),  # ties, in spite of rounding
        permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted for the family; NaN stays NaN and does not count as a member. Holm 1979."""
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
    """scores: a row a task, a column an activation, none missing; two tasks and three activations at least.

    Demšar 2006, Statistical comparisons of classifiers over multiple data sets.
    """
    scores = scores.round(10)  # means of equal sums differ in their last bits
    tasks, count = scores.shape
    ranks = scores.rank(axis=1, ascending=False).mean()
    p = float(stats.friedmanchisquare(*scores.to_numpy().T).pvalue)
    q = float(stats.studentized_range.ppf(1 - LEVEL, count, np.inf)) / np.sqrt(2)
    critical = q * np.sqrt(count * (count + 1) / (6 * tasks))
    return Ranks({str(name): float(rank) for name, rank in ranks.items()}, tasks, p, float(critical))


def performance_profile(times: Mapping[str, Array], ratios: Array) -> dict[str, Array]:
    """Share of problems that each activation solves within `ratio` times the time of the fastest on that problem.

    times: (problems,) in one order, infinite where it never arrives; a problem that nobody solves counts for none.
    Dolan & Moré 2002.
    """
    best = np.min(list(times.values()), axis=0)
    solved = np.isfinite(best)
    floor = np.maximum(best, np.finfo(float).tiny)
    return {
        name: np.array([float(np.mean(solved & (own <= ratio * floor))) for ratio in ratios])
        for name, own in times.items()
    }

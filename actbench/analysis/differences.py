"""Differences of paired scores with their interval, tests and verdict; one rule wherever two things are compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actbench.analysis.statistics import LEVEL, Array, above, equality, percentiles, seeds_to_decide, step_down
from actbench.experiment.protocol import FEWEST_SEEDS

NO_VERDICT = "no verdict"
INCONCLUSIVE = "inconclusive"
CLIPPED = 5.0  # margins


@dataclass(frozen=True)
class Pair:
    """Paired values of two sides. A higher value is better.

    differences: (seeds,). resampled: (samples,), the mean difference in each bootstrap sample. factor: by which new
    test examples widen the interval.
    """

    differences: Array
    resampled: Array
    factor: float = 1.0


@dataclass(frozen=True)
class Difference:
    """A mean difference over `n` seeds, with its 95 % interval (NaN for a single seed) and tests.

    p: that it is not 0; p_better, p_worse: that it is above, below +-margin; these three by sign flips, adjusted for
    the family of pairs. p_equal: that it lies within +-margin, by two one-sided t tests, not adjusted. needed: about
    how many seeds would decide it.
    """

    mean: float
    low: float
    high: float
    n: int
    p: float
    p_worse: float
    p_equal: float
    p_better: float
    needed: float

    @property
    def verdict(self) -> str:
        """better, slightly better, equal, slightly worse, worse, inconclusive or, with few seeds, no verdict.

        slightly: shown to differ, and not shown to differ by more than the margin.
        """
        if self.n < FEWEST_SEEDS:
            return NO_VERDICT
        if self.p_equal <= LEVEL:
            return "equal"
        if self.p > LEVEL:
            return INCONCLUSIVE
        if self.mean > 0:
            return "better" if self.p_better <= LEVEL else "slightly better"
        return "worse" if self.p_worse <= LEVEL else "slightly worse"


def judge(pairs: Sequence[Pair], margin: float) -> list[Difference]:
    """The differences of a family of pairs on the same seeds.

    By sign flips of whole seeds, jointly over the family (`step_down`). In them a difference beyond CLIPPED margins
    counts as that many, an odd function, so that one seed on which an activation fails entirely does not hide by its
    variance that the activation is worse on every seed.
    """
    if not pairs:
        return []
    columns = np.stack([pair.differences for pair in pairs], axis=1)
    factors = np.array([pair.factor for pair in pairs])
    p = _clipped_test(columns, margin, factors, two_sided=True)
    p_better = _clipped_test(columns - margin, margin, factors, two_sided=False)
    p_worse = _clipped_test(-columns - margin, margin, factors, two_sided=False)
    return [
        _difference(pair, margin, float(p[i]), float(p_worse[i]), float(p_better[i])) for i, pair in enumerate(pairs)
    ]


def _clipped_test(differences: Array, margin: float, factors: Array, two_sided: bool) -> Array:
    """p by `step_down` of clipped differences (seeds, pairs); 1 where clipping turns the sign of the mean."""
    clipped = np.clip(differences, -CLIPPED * margin, CLIPPED * margin) if margin else differences
    agree = np.sign(clipped.mean(0)) == np.sign(differences.mean(0))
    return np.where(agree, step_down(clipped, factors, two_sided), 1.0)


def _difference(pair: Pair, margin: float, p: float, p_worse: float, p_better: float) -> Difference:
    values = pair.differences
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Difference(mean, math.nan, math.nan, n, p, p_worse, math.nan, p_better, math.nan)
    low, high = percentiles(pair.resampled, mean, n, pair.factor)
    p_equal = equality(values, margin, pair.factor)
    needed = max(FEWEST_SEEDS, n + 1, seeds_to_decide(mean, float(values.std(ddof=1)) * pair.factor, margin))
    return Difference(mean, low, high, n, p, p_worse, p_equal, p_better, needed)


def within(pair: Pair, margin: float) -> float:
    """p of the one-sided t test that the first side is less than `margin` below the second."""
    return above(pair.differences, -margin, pair.factor)

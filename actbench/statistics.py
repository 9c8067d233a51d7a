"""Paired comparison of two activations over the seeds they share."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
FEWEST_PAIRS = 6  # with fewer no exact paired test reaches 0.05: 2 * 2^-5 > 0.05
RESAMPLES = 9999  # so that the interval's ends are resamples, Davison & Hinkley 1997, section 2.5


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, its bootstrap interval (NaN for a single pair) and the number of pairs."""

    mean: float
    low: float
    high: float
    pairs: int

    def verdict(self, margin: float) -> str:
        """`practically equal`: the interval lies inside +-margin. `not shown`: it holds 0 and more than the margin."""
        if self.pairs < FEWEST_PAIRS:
            return "too few seeds to say"
        if -margin < self.low and self.high < margin:
            return "practically equal"
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "not shown"


def paired_difference(own: npt.NDArray[np.float64], baseline: npt.NDArray[np.float64]) -> Difference:
    """own minus baseline, both (seeds,) in the same order; 95 % by the bias-corrected bootstrap (Efron 1987)."""
    differences = np.asarray(own, dtype=float) - np.asarray(baseline, dtype=float)
    mean, pairs = float(differences.mean()), len(differences)
    if pairs < 2:
        return Difference(mean, float("nan"), float("nan"), pairs)
    if np.ptp(differences) < 1e-12:  # all pairs agree: the bootstrap has nothing to resample
        return Difference(mean, mean, mean, pairs)
    interval = stats.bootstrap(
        (differences,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Difference(mean, float(interval.low), float(interval.high), pairs)

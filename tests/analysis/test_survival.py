"""Kaplan-Meier's median against scipy's own estimate, and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from actbench.analysis.survival import median_time


@pytest.mark.parametrize("runs", [1, 2, 5, 10, 31])
@pytest.mark.parametrize("seed", range(5))
def test_the_median_equals_scipys_with_ties_and_censoring(runs: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    times = pd.Series(generator.integers(1, 8, runs).astype(float)).mask(generator.random(runs) < 0.4)
    observed = stats.CensoredData(uncensored=times.dropna().to_numpy(), right=np.full(times.isna().sum(), 9.0))
    survival = stats.ecdf(observed).sf
    below = survival.quantiles[survival.probabilities <= 0.5 + 1e-12]
    assert median_time(times) == (below[0] if len(below) and below[0] < 9 else math.inf)


@pytest.mark.parametrize(
    ("steps", "median"),
    [([10, 20, 30], 20), ([10, 20, None], 20), ([10, None, None], math.inf), ([10, 20], 10), ([None], math.inf)],
)
def test_median_time_by_hand(steps: list[float | None], median: float) -> None:
    """The first time at which the Kaplan-Meier curve is at or below one half."""
    assert median_time(pd.Series(steps, dtype="Float64")) == median

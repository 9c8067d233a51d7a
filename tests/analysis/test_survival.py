"""Kaplan-Meier against scipy's own estimate, and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from actbench.analysis.survival import median_time, survival_curve, time_to_target


def by_scipy(times: np.ndarray, reached: np.ndarray, horizon: float) -> tuple[float, float]:
    """Median and restricted mean from scipy's survival function."""
    survival = stats.ecdf(stats.CensoredData(uncensored=times[reached], right=times[~reached])).sf
    grid = np.concatenate([[0.0], survival.quantiles[survival.quantiles < horizon], [horizon]])
    below = survival.quantiles[survival.probabilities <= 0.5 + 1e-12]
    return (float(below[0]) if len(below) else math.inf), float((survival.evaluate(grid[:-1]) * np.diff(grid)).sum())


@pytest.mark.parametrize("runs", [2, 5, 10, 31])
@pytest.mark.parametrize("seed", range(5))
def test_median_and_restricted_mean_equal_scipys_with_ties_and_censoring(runs: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    times = generator.integers(1, 8, runs).astype(float)
    reached = generator.random(runs) < 0.7
    reached[0] = True
    horizon = float(times[~reached].min()) if not reached.all() else 8.0
    arrival = time_to_target(times, reached, horizon)
    assert (arrival.median, arrival.mean) == pytest.approx(by_scipy(times, reached, horizon))
    assert arrival.median_low <= arrival.median <= arrival.median_high
    assert arrival.mean_low <= arrival.mean <= arrival.mean_high


def test_median_and_mean_by_hand() -> None:
    """Three of five arrive, at 10, 20 and 20; two never do within 40."""
    times, reached = np.array([20.0, 40, 10, 40, 20]), np.array([True, False, True, False, True])
    arrival = time_to_target(times, reached, 40)
    assert (arrival.median, arrival.mean, arrival.reached, arrival.runs) == (20, (10 + 20 + 20 + 40 + 40) / 5, 3, 5)
    assert (arrival.median_low, arrival.median_high) == (10, math.inf)


def test_the_median_is_infinite_where_no_run_arrives() -> None:
    arrival = time_to_target(np.full(4, 30.0), np.zeros(4, dtype=bool), 30)
    assert (arrival.median, arrival.median_low, arrival.median_high) == (math.inf,) * 3
    assert (arrival.mean, arrival.mean_low, arrival.mean_high) == (30, 30, 30)


def test_all_arrive_at_once_and_one_alone() -> None:
    arrival = time_to_target(np.full(6, 30.0), np.ones(6, dtype=bool), 50)
    assert (arrival.median, arrival.median_low, arrival.median_high, arrival.mean) == (30, 30, 30, 30)
    alone = time_to_target(np.array([30.0]), np.array([True]), 50)
    assert (alone.median, alone.mean) == (30, 30)
    assert math.isnan(alone.median_low)


def test_interval_covers_the_median_of_a_known_distribution_in_19_of_20_samples() -> None:
    """Exponential times of median log 2, observed up to 2: 300 samples of 20 runs."""
    generator = np.random.default_rng(0)
    times = generator.exponential(size=(300, 20))
    covered = []
    for sample in times:
        arrival = time_to_target(np.minimum(sample, 2.0), sample < 2, 2.0)
        covered.append(
            (
                arrival.median_low <= math.log(2) <= arrival.median_high,
                arrival.mean_low <= 1 - math.exp(-2) <= arrival.mean_high,
            )
        )
    medians, means = np.mean(covered, axis=0)
    assert medians > 0.92
    assert means > 0.9


def test_a_run_that_was_not_observed_long_enough_is_refused() -> None:
    with pytest.raises(ValueError, match="observed up to the horizon"):
        time_to_target(np.array([10.0, 20.0]), np.array([False, True]), 30)


@pytest.mark.parametrize(
    ("steps", "median"),
    [([10, 20, 30], 20), ([10, 20, None], 20), ([10, None, None], math.inf), ([10, 20], 10), ([None], math.inf)],
)
def test_median_time_by_hand(steps: list[float | None], median: float) -> None:
    """The first time at which the Kaplan-Meier curve is at or below one half."""
    assert median_time(pd.Series(steps, dtype="Float64")) == median


def test_the_survival_curve_is_scipys_at_each_arrival() -> None:
    times = pd.Series([20.0, None, 10, None, 20])
    steps, waiting = survival_curve(times, 40.0)
    assert steps.tolist() == [0, 10, 20, 20, 40]
    assert waiting == pytest.approx([1, 0.8, 0.6, 0.4, 0.4])
    survival = stats.ecdf(stats.CensoredData(uncensored=[20.0, 10, 20], right=[40.0, 40])).sf
    assert waiting[[0, 1, 3, 4]] == pytest.approx(survival.evaluate(steps[[0, 1, 3, 4]]))


def test_where_none_arrives_the_curve_stays_at_one() -> None:
    steps, waiting = survival_curve(pd.Series([None, None], dtype="Int64"), 40.0)
    assert (steps.tolist(), waiting.tolist()) == ([0, 40], [1, 1])

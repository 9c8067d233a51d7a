"""Values at tuned rates: each seed's rate is chosen on the others, and each resample chooses anew."""

import numpy as np
import pytest

from actbench.analysis.statistics import resample_weights
from actbench.analysis.tuned import Tuned, tuned_by_score, tuned_by_speed
from tests.analysis.frames import runs_of

RATES, SEEDS = np.array([0.01, 0.1]), (0, 1, 2)
SCORE = np.array([[0.9, 0.9, 0.6], [0.8, 0.8, 0.9]])
TIE = np.zeros((2, 3))
TEST = np.array([[0.91, 0.92, 0.61], [0.81, 0.82, 0.93]])


def test_a_score_is_taken_at_the_rate_that_is_best_on_the_other_seeds() -> None:
    tuned = Tuned(RATES, SEEDS, SCORE, TIE)
    assert tuned.chosen.tolist() == [0.1, 0.1, 0.01]
    assert tuned.values(TEST).tolist() == [0.81, 0.82, 0.61]


def test_each_resample_chooses_its_rate_by_plain_means() -> None:
    tuned = Tuned(RATES, SEEDS, SCORE, TIE)
    resampled = tuned.resampled(TEST)
    for place, weights in list(enumerate(resample_weights(3)))[:50]:
        best = int((SCORE @ weights).round(12).argmax())
        assert resampled[place] == pytest.approx(TEST[best] @ weights)


def test_runs_without_a_value_are_left_out_of_a_mean() -> None:
    table = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    tuned = Tuned(RATES, SEEDS, np.array([[0.9] * 3, [0.8] * 3]), TIE)
    weights = resample_weights(3)
    expected = (weights[:, 0] + 3 * weights[:, 2]) / np.where(
        weights[:, [0, 2]].sum(1), weights[:, [0, 2]].sum(1), np.nan
    )
    assert tuned.resampled(table) == pytest.approx(expected, nan_ok=True)


def test_frames_become_tables_of_rates_and_seeds_with_diverged_runs_as_the_worst() -> None:
    frame = runs_of(lr=[0.1, 0.01, 0.1, 0.01], seed=[0, 0, 1, 1], steps_to_target=[40, 30, None, 60]).assign(
        val_score=[0.9, 0.8, np.nan, 0.7], val_loss=[0.1, 0.2, np.nan, 0.3], steps=100
    )
    tuned = tuned_by_score(frame, [0, 1], 0.0)
    assert tuned.rates.tolist() == [0.01, 0.1]
    assert tuned.score.tolist() == [[0.8, 0.7], [0.9, 0.0]]
    assert tuned.tie.tolist() == [[0.2, 0.3], [0.1, np.inf]]
    assert tuned.chosen.tolist() == [0.01, 0.1]  # seed 1 alone prefers the lower rate, seed 0 the higher one
    speed = tuned_by_speed(frame, [0, 1])
    assert speed.score.tolist() == [[-30, -60], [-40, -100]]  # a run that never arrives: its full length
    assert speed.chosen.tolist() == [0.01, 0.01]

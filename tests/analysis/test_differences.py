"""One rule for every verdict: equal first, then shown to differ, then shown to exceed the margin."""

import math

import numpy as np
import pytest

from actbench.analysis.differences import Difference, Pair, judge, within
from actbench.analysis.statistics import equality, resample_weights, step_down

WORDS = [
    # n, mean, p, p_worse, p_equal, p_better
    (9, 0.001, 0.01, 1.0, 0.05, 1.0, "equal"),  # a difference that is shown and shown to be small
    (9, 0.03, 0.05, 1.0, 1.0, 0.05, "better"),
    (9, 0.012, 0.05, 1.0, 0.7, 0.06, "slightly better"),
    (9, -0.012, 0.05, 0.06, 0.7, 1.0, "slightly worse"),
    (9, -0.03, 0.004, 0.05, 1.0, 1.0, "worse"),
    (9, 0.03, 0.051, 1.0, 0.9, 0.051, "inconclusive"),
    (5, 0.03, 0.01, 1.0, 1.0, 0.01, "no verdict"),
]


@pytest.mark.parametrize(("n", "mean", "p", "worse", "equal", "better", "verdict"), WORDS)
def test_verdicts_by_hand(
    n: int, mean: float, p: float, worse: float, equal: float, better: float, verdict: str
) -> None:
    assert Difference(mean, mean, mean, n, p, worse, equal, better, 10).verdict == verdict


def pair(values: np.ndarray, factor: float = 1.0) -> Pair:
    return Pair(values, resample_weights(len(values)) @ values, factor)


def test_a_family_is_tested_jointly_and_equality_alone() -> None:
    generator = np.random.default_rng(0)
    columns = [generator.normal(mean, 0.01, 9) for mean in (0.0, 0.02, -0.03)]
    found = judge([pair(values) for values in columns], 0.01)
    stacked = np.stack(columns, axis=1)
    assert [d.p for d in found] == pytest.approx(step_down(stacked).tolist())
    assert [d.p_better for d in found] == pytest.approx(step_down(stacked - 0.01, two_sided=False).tolist())
    assert [d.p_worse for d in found] == pytest.approx(step_down(-stacked - 0.01, two_sided=False).tolist())
    assert [d.p_equal for d in found] == pytest.approx([equality(values, 0.01) for values in columns])
    assert all(d.low < d.mean < d.high for d in found)
    assert judge([], 0.01) == []


def test_one_seed_that_fails_entirely_does_not_hide_that_all_are_worse() -> None:
    values = -np.array([0.354, 0.081, 0.075, 0.084, 0.114, 0.039, 0.078, 0.056, 0.061])
    others = [np.random.default_rng(case).normal(0, 0.01, 9) for case in range(10)]
    found = judge([pair(values), *map(pair, others)], 0.01)[0]
    plain = step_down(np.stack([values, *others], axis=1))[0]
    assert found.p < 0.01 < 0.05 < plain
    assert found.verdict == "worse"
    assert found.mean == pytest.approx(values.mean())  # the estimate is not clipped
    mixed = np.array([0.004] * 8 + [-0.9])  # mostly above, but far below in the mean: no direction is shown
    assert judge([pair(mixed)], 0.01)[0].p == 1
    inside = np.array([-0.04, -0.041] * 6 + [0.40])  # in the mean within the margin: not shown to exceed it
    assert judge([pair(inside)], 0.01)[0].verdict not in ("worse", "better")


def test_new_test_examples_widen_interval_and_tests_alike() -> None:
    values = np.random.default_rng(1).normal(0.01, 0.01, 9)
    (plain,), (wider,) = judge([pair(values)], 0.005), judge([pair(values, 2.0)], 0.005)
    assert wider.high - wider.low == pytest.approx(2 * (plain.high - plain.low))
    assert wider.p > plain.p
    assert wider.p_equal != plain.p_equal
    assert wider.needed >= plain.needed


def test_a_single_seed_has_a_mean_and_nothing_else() -> None:
    (found,) = judge([pair(np.array([0.02]))], 0.01)
    assert (found.mean, found.n, found.verdict) == (0.02, 1, "no verdict")
    assert math.isnan(found.low)
    assert math.isnan(found.p_equal)


def test_within_asks_only_whether_a_side_is_not_far_below() -> None:
    assert within(pair(np.full(9, 0.05) + np.arange(9) * 1e-4), 0.01) < 0.001  # above by far
    assert within(pair(np.full(9, -0.05) + np.arange(9) * 1e-4), 0.01) > 0.999

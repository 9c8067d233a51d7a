"""Statistics against hand-made arrays and second implementations."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from actbench.analysis.statistics import (
    Difference,
    holm,
    interquartile_mean,
    mean_ranks,
    paired_difference,
    performance_profile,
    sign_flip,
)


def test_mean_is_paired_and_the_interval_agrees_with_a_plain_bootstrap() -> None:
    generator = np.random.default_rng(1)
    shared = generator.normal(0.9, 0.05, 40)  # seeds differ much more than activations
    scores, base = shared + generator.normal(0.01, 0.005, 40), shared
    difference = paired_difference(scores, base)
    assert difference.mean == pytest.approx((scores - base).mean())
    samples = generator.choice(scores - base, (20_000, 40)).mean(1)
    assert [difference.low, difference.high] == pytest.approx(np.quantile(samples, [0.025, 0.975]), abs=3e-4)
    assert difference.verdict(0.0, difference.p) == "higher"
    assert difference.verdict(0.02, 1.0) == "practically equal"
    assert paired_difference(base, scores).verdict(0.0, 0.01) == "lower"
    assert difference.verdict(0.0, 0.06) == "not shown"


def test_equal_scores_and_too_few_pairs() -> None:
    same = paired_difference(np.linspace(0.5, 0.6, 6), np.linspace(0.5, 0.6, 6))
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert same.verdict(0.01, 0.01) == "practically equal"
    one = paired_difference(np.array([0.5]), np.array([0.4]))
    assert math.isnan(one.low)
    assert one.verdict(0.01, 0.01) == "too few seeds to say"
    five = paired_difference(np.linspace(0.8, 0.9, 5), np.linspace(0.1, 0.2, 5))
    assert five.verdict(0.01, 0.01) == "too few seeds to say"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.005, 0.005, "practically equal"),
        (-0.005, 0.02, "not shown"),
        (0.001, 0.02, "higher"),
        (-0.03, -0.001, "lower"),
    ],
)
def test_verdicts_by_hand(low: float, high: float, verdict: str) -> None:
    assert Difference((low + high) / 2, low, high, 10).verdict(0.01, 0.01) == verdict


def flipped(differences: np.ndarray) -> float:
    """The sign-flip test by writing down every sign."""
    signs = np.array(list(itertools.product([-1, 1], repeat=len(differences))))
    means = np.abs((signs * differences).mean(1))
    return float(np.mean(means >= abs(differences.mean()) - 1e-12))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [6, 10, 13])
def test_sign_flip_is_exact_with_ties_and_zeros(n: int, seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-3, 6, n) / 360  # accuracies of 360 images: many ties
    assert sign_flip(differences) == pytest.approx(flipped(differences), abs=1e-12)


def test_sign_flip_by_hand() -> None:
    assert sign_flip(np.full(6, 0.01)) == pytest.approx(2 / 64)  # all one way: the least that six pairs can say
    assert sign_flip(np.zeros(8)) == 1
    large = np.random.default_rng(0).normal(0.3, 1, 40)  # too many to write down
    normal = math.erfc(abs(large.mean()) / (large.std() / math.sqrt(40)) / math.sqrt(2))
    assert sign_flip(large) == pytest.approx(normal, abs=0.02)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_nan = holm([0.01, math.nan, 0.04])
    assert [with_nan[0], with_nan[2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(with_nan[1])
    assert holm([]) == []


def test_improvement_and_effect_by_hand() -> None:
    difference = paired_difference(np.array([0.5, 0.6, 0.7, 0.8]), np.array([0.4, 0.6, 0.6, 0.9]))
    assert difference.improvement == (1 + 0.5 + 1 + 0) / 4
    differences = np.array([0.1, 0.0, 0.1, -0.1])
    assert difference.effect == pytest.approx(differences.mean() / differences.std(ddof=1) * (1 - 3 / 11))
    assert math.isnan(difference.p)  # four pairs cannot reach 0.05


def test_interquartile_mean_leaves_out_a_quarter_at_each_end() -> None:
    assert interquartile_mean(np.array([9.0, 1.0, 3.0, 2.0])) == 2.5
    assert interquartile_mean(np.array([0.7])) == 0.7
    assert interquartile_mean(np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0])) == 1


def test_mean_ranks_and_critical_difference_are_demsars() -> None:
    # Demšar 2006, section 3.2.3: 4 classifiers on 14 data sets, q = 2.569, CD = 1.25
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(14, 4)), columns=list("abcd"))
    result = mean_ranks(scores)
    assert result.critical == pytest.approx(1.25, abs=0.005)
    ranks = [sorted(-row).index(-value) + 1 for row in scores.to_numpy() for value in row]
    by_hand = np.array(ranks).reshape(14, 4).mean(0)
    assert list(result.mean.values()) == pytest.approx(list(by_hand))
    chi = 12 * 14 / (4 * 5) * ((by_hand**2).sum() - 4 * 25 / 4)
    assert result.p == pytest.approx(_chi_squared_tail_of_3(chi))


def _chi_squared_tail_of_3(chi: float) -> float:
    return math.erfc(math.sqrt(chi / 2)) + math.sqrt(2 * chi / math.pi) * math.exp(-chi / 2)


def test_ties_share_their_ranks() -> None:
    scores = pd.DataFrame({"a": [0.9, 0.9], "b": [0.9, 0.8], "c": [0.1, 0.9]})
    assert mean_ranks(scores).mean == {"a": 1.5, "b": (1.5 + 3) / 2, "c": (3 + 1.5) / 2}


def test_means_of_equal_sums_are_tied_though_their_last_bits_differ() -> None:
    """As of 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1."""
    seeds = np.array([0.1, 0.2, 0.3])
    means = {"a": [seeds.sum() / 3] * 2, "b": [seeds[::-1].sum() / 3] * 2, "c": [0.1, 0.1]}
    assert means["a"] != means["b"]
    assert mean_ranks(pd.DataFrame(means)).mean == {"a": 1.5, "b": 1.5, "c": 3.0}


def test_performance_profile_by_hand() -> None:
    inf = math.inf
    times = {"a": np.array([10.0, 20.0, inf, inf]), "b": np.array([20.0, 10.0, 30.0, inf])}
    profile = performance_profile(times, np.array([1.0, 2.0, 100.0]))
    assert profile["a"].tolist() == [0.25, 0.5, 0.5]
    assert profile["b"].tolist() == [0.5, 0.75, 0.75]  # no activation solves the fourth problem

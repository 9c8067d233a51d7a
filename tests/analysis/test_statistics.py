"""Statistics against second implementations, closed forms and arrays that one can check by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from actbench.analysis.statistics import (
    EXACT_PAIRS,
    RESAMPLES,
    above,
    equality,
    example_factor,
    holm,
    percentiles,
    resample_weights,
    seeds_to_decide,
    share_interval,
    signs,
    step_down,
    studentized,
)


def t_statistic(values: np.ndarray) -> float:
    """As a textbook has it; 0 for all zeros, infinite where all are equal."""
    error = values.std(ddof=1) / math.sqrt(len(values))
    if abs(values.mean()) < 1e-12:
        return 0.0
    return math.copysign(math.inf, values.mean()) if error < 1e-12 else float(values.mean() / error)


def brute_force_step_down(differences: np.ndarray, two_sided: bool) -> list[float]:
    """Westfall & Young's algorithm 2.8 in plain loops over all flips of whole seeds."""
    pairs, columns = differences.shape
    size = abs if two_sided else float
    observed = [size(t_statistic(differences[:, column])) for column in range(columns)]
    order = sorted(range(columns), key=lambda column: -observed[column])
    counts = [0] * columns
    for flip in itertools.product([1.0, -1.0], repeat=pairs):
        flipped = differences * np.array(flip)[:, None]
        for place, column in enumerate(order):
            largest = max(size(t_statistic(flipped[:, other])) for other in order[place:])
            counts[column] += largest >= observed[column] - 1e-9
    adjusted, highest = [0.0] * columns, 0.0
    for column in order:
        highest = max(highest, counts[column] / 2**pairs)
        adjusted[column] = highest
    return adjusted


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("case", range(4))
def test_step_down_is_the_brute_force_one_on_six_seeds(case: int, two_sided: bool) -> None:
    generator = np.random.default_rng(case)
    differences = generator.normal(0.5, 1, (6, 4)) * [1, 2, 0.5, 1]
    if case == 1:
        differences = differences.round(0)  # ties and zeros
    if case == 2:
        differences[:, 0], differences[:, 1] = 0.0, 0.25  # never, and always the same
    expected = brute_force_step_down(differences, two_sided)
    assert step_down(differences, two_sided=two_sided) == pytest.approx(expected, abs=1e-12)


def test_one_column_is_scipys_permutation_test_of_signs() -> None:
    for n in (6, 9, 12):
        values = np.random.default_rng(n).normal(0.4, 1, n)
        found = stats.permutation_test(
            (values,), lambda d, axis: np.abs(d.mean(axis)), permutation_type="samples", vectorized=True,
            n_resamples=2**n, alternative="greater",
        )  # fmt: skip
        # For one column the studentised statistic is a monotone function of the mean.
        assert step_down(values[:, None])[0] == pytest.approx(found.pvalue, abs=1e-12)


def test_step_down_by_hand() -> None:
    assert step_down(np.full((6, 1), 0.01)).tolist() == [2 / 64]  # all one way: the least that six pairs can say
    assert step_down(np.full((6, 1), 0.01), two_sided=False).tolist() == [1 / 64]
    assert step_down(np.zeros((8, 2))).tolist() == [1, 1]
    assert np.isnan(step_down(np.zeros((1, 2)))).all()
    assert step_down(np.zeros((6, 0))).shape == (0,)


def test_a_factor_of_the_standard_error_makes_p_larger() -> None:
    values = np.random.default_rng(0).normal(1, 1, (9, 2))
    plain, wider = step_down(values), step_down(values, np.array([2.0, 1.0]))
    assert wider[0] > plain[0]
    assert above(values[:, 0], 0, 2.0) == pytest.approx(float(stats.t.sf(t_statistic(values[:, 0]) / 2, 8)))


def test_flips_are_all_up_to_thirteen_pairs_and_drawn_beyond() -> None:
    assert {tuple(row) for row in signs(3)} == set(itertools.product([1.0, -1.0], repeat=3))
    drawn = signs(EXACT_PAIRS + 1)
    assert drawn.shape == (RESAMPLES + 1, EXACT_PAIRS + 1)
    assert drawn[0].tolist() == [1.0] * (EXACT_PAIRS + 1)
    assert abs(drawn.mean()) < 0.01
    many = np.random.default_rng(1).normal(0.3, 1, 40)
    normal = 2 * stats.norm.sf(abs(t_statistic(many)))
    assert step_down(many[:, None])[0] == pytest.approx(normal, abs=0.02)


def test_studentised_flips_are_t_statistics() -> None:
    differences = np.random.default_rng(2).normal(0, 1, (5, 2))
    found = studentized(differences, signs(5))
    for row, flip in zip(found, signs(5), strict=True):
        expected = [t_statistic(differences[:, column] * flip) for column in range(2)]
        assert row == pytest.approx(expected)


@pytest.mark.parametrize("case", range(5))
def test_equality_is_statsmodels_two_one_sided_tests(case: int) -> None:
    generator = np.random.default_rng(case)
    a, b = generator.normal(0.9, 0.01, (2, 9))
    expected = ttost_paired(a, b, -0.01, 0.01)[0]
    assert equality(a - b, 0.01) == pytest.approx(float(expected), rel=1e-9)


def test_equality_of_values_that_never_differ() -> None:
    assert equality(np.zeros(6), 0.01) == 0
    assert equality(np.full(6, 0.02), 0.01) == 1
    assert equality(np.full(6, 0.01), 0.01) == 0.5  # at the margin
    assert math.isnan(equality(np.zeros(1), 0.01))


def test_one_sided_test_is_scipys() -> None:
    values = np.random.default_rng(3).normal(0.02, 0.01, 8)
    assert above(values, 0.015) == pytest.approx(float(stats.ttest_1samp(values, 0.015, alternative="greater").pvalue))


def test_percentiles_are_those_of_resampled_means_and_contain_the_estimate() -> None:
    values = np.random.default_rng(4).normal(0, 1, 12)
    resampled = resample_weights(12) @ values
    middle = float(values.mean())
    low, high = percentiles(resampled, middle, 12)
    reference = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9999, rng=5).confidence_interval
    wanted = [middle + math.sqrt(12 / 11) * (end - middle) for end in (reference.low, reference.high)]
    assert (low, high) == pytest.approx(tuple(wanted), abs=0.05)
    assert percentiles(resampled, 5.0, 12)[1] == 5.0
    wider = percentiles(resampled, middle, 12, 2.0)
    assert wider == pytest.approx((middle - 2 * (middle - low), middle + 2 * (high - middle)))


def test_resampling_weights_are_multinomial_means() -> None:
    weights = resample_weights(7)
    assert weights.shape == (RESAMPLES, 7)
    assert weights.sum(1) == pytest.approx(np.ones(RESAMPLES))
    assert weights.var(0) == pytest.approx(np.full(7, 6 / 7**3), rel=0.1)


def test_example_factor_recovers_the_variance_of_a_two_way_model() -> None:
    generator = np.random.default_rng(6)
    seeds, examples, ratios = 9, 2000, []
    for _ in range(200):
        seed, example = generator.normal(0, 0.02, (seeds, 1)), generator.normal(0, 1, (1, examples))
        scores = seed + example + generator.normal(0, 0.5, (seeds, examples))
        ratios.append(example_factor(scores) ** 2)
    v_seed = 0.02**2 / seeds + 0.25 / (seeds * examples)
    assert np.median(ratios) == pytest.approx(1 + (1 / examples) / v_seed, rel=0.15)


def test_example_factor_by_hand() -> None:
    assert example_factor(np.zeros((3, 4))) == 1
    assert example_factor(np.array([[0.1] * 4, [0.3] * 4, [0.2] * 4])) == 1  # examples do not differ
    assert example_factor(np.array([[0.0, 1.0], [0.0, 1.0]])) == 100  # seeds agree by chance: at most that
    assert example_factor(np.zeros((1, 4))) == 1


def test_shares_of_runs_have_exact_bounds() -> None:
    assert share_interval(0, 9) == pytest.approx((0, 0.336267), abs=1e-6)
    for count, total in ((3, 9), (9, 9), (40, 200)):
        expected = proportion_confint(count, total, 0.05, "beta")
        assert share_interval(count, total) == pytest.approx(expected, nan_ok=True)


def test_seeds_to_decide_have_the_power_that_they_claim() -> None:
    generator = np.random.default_rng(7)
    for mean, margin in ((0.01, 0.001), (0.0, 0.006)):
        needed = int(seeds_to_decide(mean, 0.012, margin))
        assert 10 < needed < 60
        decided = []
        for _ in range(1500):
            values = generator.normal(mean, 0.012, needed)
            two_sided = stats.ttest_1samp(values, 0).pvalue <= 0.05
            decided.append(two_sided or equality(values, margin) <= 0.05)
        assert 0.72 < np.mean(decided) < 0.95
    assert seeds_to_decide(0.0, 0.01, 0.0) == math.inf


def test_holm_is_statsmodels_and_leaves_nan() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with_nan = holm([0.01, math.nan, 0.04])
    assert math.isnan(with_nan[1])
    assert [with_nan[0], with_nan[2]] == pytest.approx(multipletests([0.01, 0.04], method="holm")[1])
    assert holm([]) == []

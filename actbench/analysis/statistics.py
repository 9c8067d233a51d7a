"""Statistics of paired scores: resampled seeds, sign flips, equality, shares, ranks. A higher score is better."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
LEVEL = 0.05
EXACT_PAIRS = 13  # 2^13 flips are at most RESAMPLES: with more pairs flips are drawn
LARGEST_FACTOR = 100.0  # by which new test examples may widen an interval over seeds
RESAMPLES = 9999  # so that the interval's ends are resamples, Davison & Hinkley 1997, section 2.5

_EPSILON = 1e-12  # differences of scores below it are rounding errors


@cache
def resample_weights(seeds: int) -> Array:
    """Weights (RESAMPLES, seeds) of the seeds in each bootstrap mean: draws with replacement, each row of sum 1."""
    return np.asarray(np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds)


def percentiles(resampled: Array, estimate: float, n: int, factor: float = 1.0) -> tuple[float, float]:
    """The 95 % percentile interval of resampled estimates (samples,), widened about the estimate.

    By sqrt(n / (n - 1)), as the variance of means of n resampled values falls short by that (Efron 1982, The
    Jackknife, the Bootstrap and Other Resampling Plans, section 5.3), and by `factor`. The interval contains the
    estimate: where the rate is chosen anew in each resample, all of these may lie on one side of it.
    """
    low, high = np.percentile(resampled, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    wider = factor * math.sqrt(n / (n - 1))
    return estimate - wider * max(0.0, estimate - low), estimate + wider * max(0.0, high - estimate)


def example_factor(scores: npt.NDArray[np.floating]) -> float:
    """The factor by which an interval over seeds grows where it is to cover new test examples too; at least 1.

    scores: (seeds, examples), per-example scores or differences of such. With the components of a two-way analysis,
    the variance of the grand mean is v_seed + v_example - v_interaction, and v_seed is what seeds alone show. At most
    LARGEST_FACTOR, as seeds may agree by chance.
    """
    seeds, examples = scores.shape
    if seeds < 2 or examples < 2:
        return 1.0
    by_seed, by_example = scores.mean(1), scores.mean(0)
    rest = scores - by_seed[:, None] - by_example[None, :] + scores.mean()
    v_seed = by_seed.var(ddof=1) / seeds
    v_example = by_example.var(ddof=1) / examples
    v_interaction = np.square(rest).sum() / ((seeds - 1) * (examples - 1)) / (seeds * examples)
    excess = max(0.0, float(v_example - v_interaction))
    if excess < _EPSILON**2:
        return 1.0
    return min(LARGEST_FACTOR, math.sqrt(1 + excess / max(float(v_seed), _EPSILON**2)))


def block_means(scores: Array) -> Array:
    """Means (seeds, blocks) of consecutive examples, whose scores depend on one another, as windows of a text do.

    scores: (seeds, examples), in their order. A block has about the cube root of the number of examples, the order of
    length at which blocks estimate the variance of a mean best (Hall, Horowitz & Jing 1995, Biometrika 82, 561-574):
    12 of the 1,742 windows of Shakespeare's test part, which are 768 characters, about a speech or two.
    """
    examples = scores.shape[1]
    blocks = np.array_split(scores, max(1, examples // max(1, round(examples ** (1 / 3)))), axis=1)
    return np.stack([block.mean(1) for block in blocks], axis=1)


@cache
def signs(pairs: int) -> Array:
    """Signs (flips, pairs), the unflipped first: all of them up to EXACT_PAIRS pairs, else RESAMPLES random ones."""
    if pairs <= EXACT_PAIRS:
        bits = np.arange(2**pairs)[:, None] >> np.arange(pairs)
        return np.asarray(1.0 - 2.0 * (bits & 1), dtype=float)
    drawn = np.random.default_rng(0).integers(0, 2, (RESAMPLES, pairs)) * 2.0 - 1.0
    return np.concatenate([np.ones((1, pairs)), drawn])


def studentized(differences: Array, flips: Array) -> Array:
    """Mean over its standard error under each flip of signs, (flips, columns). differences: (pairs, columns).

    0 where all differences are 0, infinite where all are equal otherwise.
    """
    pairs = len(differences)
    means = (flips @ differences) / pairs
    means[np.abs(means) < _EPSILON] = 0.0
    variances = np.maximum(np.square(differences).mean(0) - np.square(means), 0.0) / (pairs - 1)
    errors = np.where(variances > _EPSILON**2, np.sqrt(variances), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(means == 0, 0.0, means / errors), dtype=float)


def step_down(differences: Array, factors: Array | None = None, two_sided: bool = True) -> Array:
    """p (columns,) that mean differences are not 0, adjusted for all columns by the maximum statistic, step-down.

    differences: (pairs, columns), of which a flip turns whole rows. factors: (columns,), by which the observed
    statistics shrink, as the standard errors of `example_factor` grow. One-sided: that means are above 0.
    Westfall & Young 1993, algorithm 2.8; Fisher 1935, section 21.
    """
    pairs, columns = differences.shape
    if pairs < 2 or columns == 0:
        return np.full(columns, np.nan)
    flipped = studentized(differences, signs(pairs))
    flipped = np.abs(flipped) if two_sided else flipped
    observed = flipped[0] / (1.0 if factors is None else factors)
    order = np.argsort(-observed, kind="stable")
    # The largest statistic among the columns that are not larger than each, from the smallest on.
    largest = np.maximum.accumulate(flipped[:, order[::-1]], axis=1)[:, ::-1]
    reached = (largest >= observed[order] - 1e-9).mean(0)
    adjusted = np.empty(columns)
    adjusted[order] = np.maximum.accumulate(reached)
    return adjusted


def above(differences: Array, bound: float, factor: float = 1.0) -> float:
    """p of the one-sided t test that the mean of paired differences (pairs,) is above `bound`. factor: of its error."""
    pairs = len(differences)
    if pairs < 2:
        return math.nan
    distance = float(differences.mean()) - bound
    error = float(differences.std(ddof=1)) / math.sqrt(pairs) * factor
    if not error > _EPSILON:  # all equal
        return 0.0 if distance > _EPSILON else 1.0 if distance < -_EPSILON else 0.5
    return float(special.stdtr(pairs - 1, -distance / error))


def equality(differences: Array, margin: float, factor: float = 1.0) -> float:
    """p of two one-sided t tests that the mean of paired differences (pairs,) lies within +-margin.

    Schuirmann 1987. factor: as for `above`.
    """
    return max(above(differences, -margin, factor), above(-differences, -margin, factor))


def share_interval(count: int, total: int) -> tuple[float, float]:
    """The exact 95 % interval of a share. Clopper & Pearson 1934."""
    from scipy import stats  # takes a second

    interval = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def seeds_to_decide(mean: float, deviation: float, margin: float) -> float:
    """About how many pairs show, in four of five repetitions, a difference or equality where `mean` is the truth.

    deviation: standard deviation of the differences of pairs. The smaller of the two numbers, by the normal
    distribution; infinite where neither can be shown.
    """
    different = float(special.ndtri(1 - LEVEL / 2) + special.ndtri(0.8))
    equal = float(special.ndtri(1 - LEVEL) + special.ndtri(0.9))  # either of two tests may miss
    needed = [math.inf]
    if abs(mean) > _EPSILON:
        needed.append((different * deviation / mean) ** 2)
    if abs(mean) < margin:
        needed.append((equal * deviation / (margin - abs(mean))) ** 2)
    return math.ceil(min(needed)) if math.isfinite(min(needed)) else math.inf


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for their family; NaN stays NaN and does not count as a member. Holm 1979.

    statsmodels' multipletests is the same, and collects garbage at each call: 0.2 s with the objects of a report.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)[: np.isfinite(values).sum()]  # NaN comes last
    steps = np.arange(len(order), 0, -1)
    values[order] = np.minimum(1, np.maximum.accumulate(steps * values[order]))
    return [float(value) for value in values]

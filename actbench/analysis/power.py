"""Which difference a comparison can show: the power of its tests before anything is trained."""

import math
from functools import cache

import numpy as np
from scipy import special

from actbench.analysis.statistics import EXACT_PAIRS, LEVEL, Array
from actbench.experiment.protocol import FEWEST_SEEDS

POWER = 0.8  # Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, section 2.4
_QUANTILES = 500  # of the standard deviation that a comparison finds


def power(difference: float, deviation: float, seeds: int, margin: float, family: int = 1) -> float:
    """The probability that a difference in score is called better or slightly better.

    deviation: of the paired differences of single seeds. family: differences that are tested jointly. Normal
    differences and Student's t stand for the sign flips, whose levels are multiples of 2^(1 - seeds), and Sidak's
    correction for the maximum statistic; differences that are shown to be equal are not called better. 0 with fewer
    than FEWEST_SEEDS.
    """
    if seeds < FEWEST_SEEDS:
        return 0.0
    critical, one_sided, found = _thresholds(seeds, family)
    errors = found * deviation / math.sqrt(seeds)
    least = np.maximum(critical * errors, margin - one_sided * errors)  # mean differences above it are called better
    return float(special.ndtr((difference - least) * math.sqrt(seeds) / deviation).mean())


@cache
def _thresholds(seeds: int, family: int) -> tuple[float, float, Array]:
    """Critical values of t, two-sided within the family and one-sided, and quantiles of the deviation found."""
    flips = 2 ** (seeds - 1)  # of different absolute value
    level = math.floor(LEVEL * flips) / flips if seeds <= EXACT_PAIRS else LEVEL
    single = 1 - (1 - level) ** (1 / family)
    shares = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    found = np.sqrt(special.chdtri(seeds - 1, shares) / (seeds - 1))
    return float(special.stdtrit(seeds - 1, 1 - single / 2)), float(special.stdtrit(seeds - 1, 1 - LEVEL)), found


def detectable(deviation: float, seeds: int, margin: float, family: int = 1) -> float:
    """The smallest difference in score that is called better with probability POWER, to 0.0001; infinite if none.

    Arguments as for `power`.
    """
    if power(1.0, deviation, seeds, margin, family) < POWER:
        return math.inf
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, deviation, seeds, margin, family) >= POWER else (middle, high)
    return high

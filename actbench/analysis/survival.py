"""Time to target, where runs that never arrive are censored and none is dropped: Kaplan & Meier 1958."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

RESAMPLES = 9999
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Arrival:
    """Kaplan-Meier median and mean up to `horizon` of the time to target, each with its 95 % bootstrap interval.

    A median is infinite where less than half arrive. Intervals are NaN for a single run. reached: runs that arrived.
    """

    median: float
    median_low: float
    median_high: float
    mean: float
    mean_low: float
    mean_high: float
    horizon: float
    reached: int
    runs: int


def time_to_target(times: Array, reached: npt.NDArray[np.bool_], horizon: float) -> Arrival:
    """times (runs,): when a run arrived, or for how long it was watched without; reached (runs,): whether it did.

    A run that diverged will never arrive: it is watched to the end. Raises ValueError for a run that was watched
    for less than the horizon without arriving: the mean up to there could not be told.
    """
    if len(times) == 0 or np.any(~reached & (times < horizon)):
        raise ValueError("every run that does not arrive must be watched up to the horizon")
    order = np.lexsort((~reached, times))  # of equal times arrivals come first
    times, reached = np.asarray(times, dtype=float)[order], reached[order]
    runs = len(times)
    median, mean = (float(values[0]) for values in _kaplan_meier(times, reached, np.ones((1, runs)), horizon))
    ends = np.full(4, np.nan)
    if runs > 1:
        counts = np.random.default_rng(0).multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)
        medians, means = _kaplan_meier(times, reached, counts, horizon)
        tail = 50 * (1 - CONFIDENCE)
        # Of medians an actual resample each: between a number and infinity there is nothing.
        ends[:2] = np.percentile(medians, [tail, 100 - tail], method="inverted_cdf")
        ends[2:] = np.percentile(means, [tail, 100 - tail])
    low, high, mean_low, mean_high = map(float, ends)
    return Arrival(median, low, high, mean, mean_low, mean_high, horizon, int(reached.sum()), runs)


def _kaplan_meier(
    times: Array, reached: npt.NDArray[np.bool_], counts: npt.NDArray[np.floating | np.integer], horizon: float
) -> tuple[Array, Array]:
    """Median and restricted mean, (samples,) each. times (runs,) sorted; counts (samples, runs): of each run."""
    at_risk = counts[:, ::-1].cumsum(1)[:, ::-1]
    with np.errstate(invalid="ignore"):  # 0/0 where nobody is left
        factor = np.where(reached & (counts > 0), 1 - counts / at_risk, 1.0)
    waiting = factor.cumprod(1)  # share that has not arrived, after each time
    arrived = waiting <= 0.5 + 1e-12
    median = np.where(arrived.any(1), times[arrived.argmax(1)], np.inf)
    before = np.concatenate([np.ones((len(counts), 1)), waiting], 1)
    widths = np.diff(np.minimum(np.concatenate([[0.0], times, [max(horizon, times[-1])]]), horizon))
    return median, before @ widths

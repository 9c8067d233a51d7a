"""Time to target by the product-limit estimator: runs that never arrive are censored (Kaplan & Meier 1958)."""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from actbench.analysis.labels import samples_seen
from actbench.analysis.statistics import CONFIDENCE, RESAMPLES, Array

Flags = npt.NDArray[np.bool_]


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


def time_to_target(times: Array, reached: Flags, horizon: float) -> Arrival:
    """Estimates from times (runs,) of arrival or last observation, and reached (runs,): whether a run arrived.

    A run that diverged never arrives: it counts as observed to the end. Raises ValueError for a run that neither
    arrived nor was observed up to the horizon: the mean up to there would not be identified.
    """
    if len(times) == 0 or np.any(~reached & (times < horizon)):
        raise ValueError("every run that does not arrive must be observed up to the horizon")
    times, reached = _in_order(times, reached)
    runs = len(times)
    medians, means = _median_and_mean(times, _waiting(reached, np.ones((1, runs))), horizon)
    ends = np.full(4, np.nan)
    if runs > 1:
        counts = np.random.default_rng(0).multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)
        resampled_medians, resampled_means = _median_and_mean(times, _waiting(reached, counts), horizon)
        tail = 50 * (1 - CONFIDENCE)
        # Ends of a median's interval are actual resamples: a number and infinity cannot be interpolated.
        ends[:2] = np.percentile(resampled_medians, [tail, 100 - tail], method="inverted_cdf")
        ends[2:] = np.percentile(resampled_means, [tail, 100 - tail])
    low, high, mean_low, mean_high = map(float, ends)
    median, mean = float(medians[0]), float(means[0])
    return Arrival(median, low, high, mean, mean_low, mean_high, horizon, int(reached.sum()), runs)


def median_time(times: pd.Series) -> float:
    """The Kaplan-Meier median. times: an empty value is a run that never arrives, observed to the end.

    Infinite where less than half arrive.
    """
    ordered, reached = _in_order(_filled(times), times.notna().to_numpy(dtype=bool))
    return float(_median_and_mean(ordered, _waiting(reached, np.ones((1, len(ordered)))), 0.0)[0][0])


def survival_curve(times: pd.Series, horizon: float) -> tuple[Array, Array]:
    """Times (points,) from 0 over each arrival to `horizon`, and the estimated share of runs (points,) that have not
    arrived after each. times: as for `median_time`."""
    ordered, reached = _in_order(_filled(times), times.notna().to_numpy(dtype=bool))
    waiting = _waiting(reached, np.ones((1, len(ordered))))[0]
    steps = np.concatenate([[0.0], ordered[reached], [horizon]])
    return steps, np.concatenate([[1.0], waiting[reached], waiting[-1:]])


def arrivals(runs: pd.DataFrame) -> pd.DataFrame:
    """Time to target of each series in steps, samples and seconds; the series with the fewest mean steps first.

    runs: labelled, of one task. Columns: series, unit, and the fields of Arrival. The horizon is the length of a run,
    in seconds of the longest; a unit without one has no line. A run that does not arrive in its steps is later than all
    that do, however long it took.
    """
    horizons = {"steps": runs["steps"].max(), "samples": samples_seen(runs).max(), "seconds": runs["seconds"].max()}
    lines = []
    for series, group in runs.groupby("series", sort=False):
        reached = group["reached_target"].fillna(False).to_numpy(dtype=bool)
        for unit, horizon in horizons.items():
            if pd.notna(horizon) and horizon > 0:
                arrival = time_to_target(_filled(group[f"{unit}_to_target"]), reached, float(horizon))
                lines.append({"series": str(series), "unit": unit, **asdict(arrival)})
    frame = pd.DataFrame(lines)
    means = frame.groupby("series")["mean"].first()  # in steps
    return frame.sort_values("series", key=lambda series: series.map(means), kind="stable", ignore_index=True)


def _filled(times: pd.Series) -> Array:
    """Returns times as an array, infinite where a run never arrived."""
    return np.asarray(times.astype(float).fillna(np.inf), dtype=np.float64)


def _in_order(times: Array, reached: Flags) -> tuple[Array, Flags]:
    """Sorts by time; at equal times, arrivals come before censored runs."""
    order = np.lexsort((~reached, times))
    return np.asarray(times, dtype=float)[order], reached[order]


def _waiting(reached: Flags, counts: npt.NDArray[np.floating | np.integer]) -> Array:
    """Share that has not arrived after each run's time, (samples, runs).

    reached: (runs,) in order of time. counts: (samples, runs), how often each run is in a sample.
    """
    at_risk = counts[:, ::-1].cumsum(1)[:, ::-1]
    with np.errstate(invalid="ignore"):  # 0/0 where no run is left
        factor = np.where(reached & (counts > 0), 1 - counts / at_risk, 1.0)
    return factor.cumprod(1)


def _median_and_mean(times: Array, waiting: Array, horizon: float) -> tuple[Array, Array]:
    """Median and mean up to `horizon`, (samples,) each. times: (runs,) in order; waiting: (samples, runs)."""
    half_arrived = waiting <= 0.5 + 1e-12
    median = np.where(half_arrived.any(1), times[half_arrived.argmax(1)], np.inf)
    before = np.concatenate([np.ones((len(waiting), 1)), waiting], 1)
    widths = np.diff(np.minimum(np.concatenate([[0.0], times, [max(horizon, times[-1])]]), horizon))
    return median, before @ widths

"""How fast a series reaches the target at its fastest rate."""

from dataclasses import dataclass

import pandas as pd

from actbench.analysis.statistics import percentiles
from actbench.analysis.tuned import Tuned, steps_or_length


@dataclass(frozen=True)
class Speed:
    """Mean steps to the target at the fastest rate, with the 95 % interval (NaN for a single seed).

    A run that never reaches the target counts with its full length. reached: runs that do, of `runs`.
    """

    mean: float
    low: float
    high: float
    reached: int
    runs: int


def speed(tuned: Tuned, runs: pd.DataFrame) -> Speed:
    """The speed of one series; in each resample of the interval the rate is chosen anew.

    tuned: by speed. runs: ended runs of the series at its surviving rates, on the seeds of `tuned`.
    """
    steps = tuned.table(runs, steps_or_length(runs))
    reached = tuned.values(tuned.table(runs, runs["reached_target"].eq(True).fillna(False).astype(float)))
    n, mean = len(reached), float(tuned.values(steps).mean())
    low, high = percentiles(tuned.resampled(steps), mean, n) if n > 1 else (float("nan"), float("nan"))
    return Speed(mean, low, high, int(reached.sum()), n)

"""How fast each series of a comparison is at its fastest rate."""

from dataclasses import dataclass

from actbench.analysis.labels import ended_runs, surviving
from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import percentiles
from actbench.analysis.tuned import steps_or_length


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


def speeds(comparison: Comparison) -> dict[str, Speed]:
    """The speed of each series on the common seeds; in each resample of an interval the rate is chosen anew."""
    runs = ended_runs(surviving(comparison.planned))
    runs = runs[runs["seed"].isin(comparison.seeds)]
    found = {}
    for series, group in runs.groupby("series", sort=False):
        tuned = comparison.fastest[str(series)]
        steps = tuned.table(group, steps_or_length(group))
        reached = tuned.values(tuned.table(group, group["reached_target"].eq(True).fillna(False).astype(float)))
        n, mean = len(reached), float(tuned.values(steps).mean())
        low, high = percentiles(tuned.resampled(steps), mean, n) if n > 1 else (float("nan"), float("nan"))
        found[str(series)] = Speed(mean, low, high, int(reached.sum()), n)
    return found

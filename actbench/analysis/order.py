"""One order of the series for all tables and figures of a report."""

from collections.abc import Sequence

import numpy as np

from actbench.analysis.labels import activation_by_series
from actbench.analysis.pairs import Comparison


def order(comparisons: Sequence[Comparison]) -> list[str]:
    """Returns all series, the baseline's too, by their mean rank over the tasks, the best first.

    A rank is by mean score on one task. A series that a task lacks is ranked by the tasks that it has; one without
    scores comes last. Of equal mean ranks, the series that appears first in the runs comes first.
    """
    ranks: dict[str, list[float]] = {}
    for comparison in comparisons:
        means = comparison.scores.mean().round(
            12
        )  # means of the same values in another order differ in their last bits
        of_task = means.rank(ascending=False).dropna()
        for series in activation_by_series(comparison.runs):
            ranks.setdefault(series, []).extend([float(of_task[series])] if series in of_task else [])
    return sorted(ranks, key=lambda series: float(np.mean(ranks[series])) if ranks[series] else np.inf)

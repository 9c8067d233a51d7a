"""Speed of convergence from a run's evaluations."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def first_reached(accuracy: Array, target: float) -> int | None:
    """Index of the first evaluation at which accuracy (evaluations,) is at least target; None if never (censored)."""
    reached = np.flatnonzero(np.asarray(accuracy) >= target)
    return int(reached[0]) if len(reached) else None


def area_under_curve(steps: Sequence[int], accuracy: Array) -> float:
    """Mean accuracy (evaluations,) over the run, by trapezoid over steps (evaluations,)."""
    if len(steps) == 1:
        return float(accuracy[0])
    return float(np.trapezoid(accuracy, steps) / (steps[-1] - steps[0]))

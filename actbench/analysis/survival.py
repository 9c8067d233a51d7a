"""The median time to target where some runs never arrive (Kaplan & Meier 1958)."""

import numpy as np
import pandas as pd


def median_time(times: "pd.Series[float]") -> float:
    """The Kaplan-Meier median of times (runs,): the first at which half of the runs have arrived.

    times: empty for a run that never arrives, which is observed to the end; so is one that diverged, and no run is
    censored before another arrives. Infinite where less than half arrive.
    """
    arrived = times.astype(float).fillna(np.inf).to_numpy()
    return float(np.sort(arrived)[(len(arrived) - 1) // 2])

"""Means over seeds, with one row per task, series and learning rate."""

import pandas as pd

from actbench.analysis.labels import labelled
from actbench.analysis.survival import median_time

# The same in a row.
_COMMON = ["dataset", "architecture", "initialization", "optimizer", "activation", "lr", "variant", "metric"]


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, in the order in which task, series and learning rate first appear.

    runs: rows of runs.csv. Columns: task, series, the columns that the runs of a line share, n (runs), unfinished (runs
    that diverged, failed or are missing), mean, sd and n of validation and test score, Kaplan-Meier median of the steps
    to target, whether there is a target, reached (runs at it), and the mean dead fraction. A run that diverged or
    failed has no score and never reaches its target. Without learning rates all runs of a series are one line.
    """
    lines = []
    for (task, series, _), group in labelled(runs).groupby(["task", "series", "lr"], sort=False, dropna=False):
        finished = group[group["status"] == "finished"]
        line = {"task": task, "series": series, **group.iloc[0][_COMMON].to_dict()}
        line |= {"n": len(group), "unfinished": len(group) - len(finished)}
        for metric in ("val_score", "score"):
            values = finished[metric].dropna()
            line |= {f"{metric}_mean": values.mean(), f"{metric}_sd": values.std(ddof=1), f"{metric}_n": len(values)}
        line["steps_to_target"] = median_time(group["steps_to_target"])
        line["has_target"] = bool(group["reached_target"].notna().any())
        line["reached"] = int(group["reached_target"].eq(True).sum())
        line["dead_fraction"] = finished["dead_fraction"].mean()
        lines.append(line)
    return pd.DataFrame(lines)

"""Means over seeds, a line a task, activation and learning rate."""

import math

import pandas as pd

from actbench.analysis.labels import GROUP, labelled


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, a line a group, in the order the groups first appear.

    runs: rows of runs.csv. Columns: GROUP, setting, series, n (runs), ended (runs that did not finish), and for
    accuracies mean, sd, n. A run that diverged or failed has no accuracy and never reaches its target.
    """
    lines = []
    for (setting, series, _), group in labelled(runs).groupby(["setting", "series", "lr"], sort=False):
        finished = group[group["status"] == "finished"]
        line = {"setting": setting, "series": series, **group.iloc[0][GROUP]}
        line |= {"n": len(group), "ended": len(group) - len(finished)}
        for metric in ("val_accuracy", "test_accuracy"):
            values = finished[metric].dropna()
            line |= {f"{metric}_mean": values.mean(), f"{metric}_sd": values.std(ddof=1), f"{metric}_n": len(values)}
        line["steps_to_target"] = median_with_censoring(group["steps_to_target"])
        line["reached"] = int(group["reached_target"].eq(True).sum())
        line["dead_fraction"] = finished["dead_fraction"].mean()
        lines.append(line)
    return pd.DataFrame(lines)


def median_with_censoring(steps: pd.Series) -> float:
    """The Kaplan-Meier median where every run that never arrives is censored at the end: infinite if half never do."""
    filled = [math.inf if pd.isna(value) else float(value) for value in steps]
    return sorted(filled)[(len(filled) - 1) // 2]

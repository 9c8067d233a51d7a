"""Labels each run with its task and its series, and selects runs by status and learning rate."""

from collections.abc import Iterable, Mapping

import pandas as pd

from actbench.activations.own import shown_name
from actbench.activations.table import TABLE


def labelled(runs: pd.DataFrame) -> pd.DataFrame:
    """runs (rows of runs.csv) with two more columns of text.

    task: data set, architecture and what else varies beside the activation, as in `digits, mlp, he`. series: the
    activation with those of its settings that vary, as in `leaky_relu slope=0.1`; a line of a table or a figure. A
    function of a notebook's cell has its own name there, unless another activation has it too.
    """
    shown = shown_names(runs["activation"])
    varying = [key for key in ("initialization", "optimizer") if runs[key].nunique() > 1]
    tasks, series = [], []
    for row in runs.to_dict("records"):
        settings = [f"{key}={value}" for key, value in row["variant"].items() if not key.startswith("activation.")]
        tasks.append(", ".join([row["dataset"], row["architecture"], *(row[key] for key in varying), *settings]))
        series.append(series_name(shown[row["activation"]], row["variant"]))
    return runs.assign(task=tasks, series=series)


def shown_names(activations: Iterable[str]) -> dict[str, str]:
    """How each activation is called in tables and figures."""
    labels = list(dict.fromkeys(activations))
    names = [shown_name(label) for label in labels]
    return {
        label: name if names.count(name) == 1 and name not in TABLE else label
        for label, name in zip(labels, names, strict=True)
    }


def series_name(activation: str, variant: Mapping[str, str]) -> str:
    """An activation with those of its settings that are in a run's variant: `leaky_relu slope=0.1`."""
    settings = [f"{key}={value}" for key, value in variant.items() if key.startswith("activation.")]
    return " ".join([activation, *(term.removeprefix("activation.") for term in settings)])


def activation_by_series(runs: pd.DataFrame) -> dict[str, str]:
    """Maps each series to its activation, in the order of the rows. runs: labelled."""
    return dict(zip(runs["series"], runs["activation"], strict=True))


def at_edge(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a run's learning rate is the lowest or the highest of several that its series tried on its task.

    A better rate may then lie outside the grid. runs: labelled, of a comparison.
    """
    tuned = runs.groupby(["task", "series"])["lr"].agg(["min", "max"])
    ends = runs[["task", "series", "lr"]].join(tuned, on=["task", "series"])
    return (ends["min"] < ends["max"]) & ((ends["lr"] == ends["min"]) | (ends["lr"] == ends["max"]))


def compared_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that a comparison's protocol has marked, those of sweeps aside."""
    return runs[runs["chosen"].notna()]


def usual_length(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs without those that repeat others at equal time."""
    return runs[~runs["equal_time"].fillna(False).astype(bool)]


def surviving(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of rates that were not raced out."""
    return runs[~runs["raced_out"].fillna(False).astype(bool)]


def ended_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that finished or diverged: a failed or missing run has no result."""
    return runs[runs["status"].isin(["finished", "diverged"])]


def samples_seen(runs: pd.DataFrame) -> pd.Series:
    """Training examples that each run has seen; empty where it diverged."""
    return (runs["samples_per_second"] * runs["seconds"]).round()

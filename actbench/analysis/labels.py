"""The task and the series of each run."""

from collections.abc import Mapping

import pandas as pd

GROUP = ["dataset", "architecture", "initialization", "optimizer", "activation", "lr", "variant"]


def labelled(runs: pd.DataFrame) -> pd.DataFrame:
    """runs (rows of runs.csv) with two more columns: `series`, the activation and what sets it apart from others of its
    name, and `setting`, all else that the runs of a fair comparison have in common."""
    often = [key for key in ("initialization", "optimizer") if runs[key].nunique() > 1]
    settings, series = [], []
    for row in runs.to_dict("records"):
        common = [f"{key}={value}" for key, value in row["variant"].items() if not key.startswith("activation.")]
        settings.append(", ".join([row["dataset"], row["architecture"], *(row[key] for key in often), *common]))
        series.append(series_name(row["activation"], row["variant"]))
    return runs.assign(setting=settings, series=series)


def series_name(activation: str, variant: Mapping[str, str]) -> str:
    """An activation with the settings of it that are in a run's variant: `leaky_relu slope=0.1`."""
    settings = [f"{key}={value}" for key, value in variant.items() if key.startswith("activation.")]
    return " ".join([activation, *(term.removeprefix("activation.") for term in settings)])


def at_edge(named: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a run's learning rate lies at an end of those that its series tried in its setting, where it tried
    several: a better one may lie outside. named: of labelled, phases tune and confirm."""
    tried = named[named["phase"] == "tune"].groupby(["setting", "series"])["lr"].agg(["min", "max"])
    ends = named[["setting", "series", "lr"]].join(tried, on=["setting", "series"])
    return (ends["min"] < ends["max"]) & ((ends["lr"] == ends["min"]) | (ends["lr"] == ends["max"]))


def ended_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that say something: those that failed or were never made do not."""
    return runs[runs["status"].isin(["finished", "diverged"])]


def samples_seen(runs: pd.DataFrame) -> pd.Series:
    """Examples that each run has seen; empty where it diverged."""
    return (runs["samples_per_second"] * runs["seconds"]).round()

"""The task and the series of each run."""

from collections.abc import Sequence

import pandas as pd

GROUP = ["dataset", "architecture", "initialization", "optimizer", "activation", "lr", "variant"]


def labelled(runs: pd.DataFrame) -> pd.DataFrame:
    """runs (rows of runs.csv) with two more columns: `series`, the activation and what sets it apart from others of its
    name, and `setting`, all else that the runs of a fair comparison have in common."""
    terms = [str(variant).split() for variant in runs["variant"]]
    often = [key for key in ("initialization", "optimizer") if runs[key].nunique() > 1]
    settings, series = [], []
    for own, row in zip(terms, runs.to_dict("records"), strict=True):
        common = [term for term in own if not term.startswith("activation.")]
        settings.append(", ".join([row["dataset"], row["architecture"], *(row[key] for key in often), *common]))
        series.append(series_name(row["activation"], own))
    return runs.assign(setting=settings, series=series)


def series_name(activation: str, terms: Sequence[str]) -> str:
    """An activation with those of its settings that set it apart. terms: of a run's variant."""
    return " ".join([activation, *(t.removeprefix("activation.") for t in terms if t.startswith("activation."))])


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

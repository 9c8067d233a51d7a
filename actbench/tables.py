"""Tables over runs: one line per setting, activation and learning rate."""

import math
from collections.abc import Sequence

import pandas as pd

NEVER = "never"

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


def ended(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that say something: those that failed or were never made do not."""
    return runs[runs["status"].isin(["finished", "diverged"])]


def samples(runs: pd.DataFrame) -> pd.Series:
    """Examples that each run has seen; empty where it diverged."""
    return (runs["samples_per_second"] * runs["seconds"]).round()


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, a line a group, in the order the groups first appear.

    runs: rows of runs.csv. Columns: GROUP, setting, series, n (runs), ended (runs that did not finish), and for
    accuracies mean, sd, n. A run that diverged or failed has no accuracy and never reaches its target.
    """
    lines = []
    for keys, group in labelled(runs).groupby(["setting", "series", *GROUP], sort=False):
        finished = group[group["status"] == "finished"]
        line = dict(zip(["setting", "series", *GROUP], keys, strict=True))
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


def short(value: float) -> str:
    """Three digits, no exponent for large numbers, and 0 for what rounding left."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{0.0 if abs(value) < 1e-12 else value:.3g}"


def formatted(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary as text, ready to print: columns that say nothing (one value throughout) are left out."""
    out = pd.DataFrame(index=summary.index)
    for key in ("dataset", "architecture", "initialization", "optimizer", "activation", "variant"):
        if key in ("architecture", "activation") or summary[key].nunique() > 1:
            out[key] = summary[key]
    if "variant" in out:
        out["variant"] = [text.replace("activation.", "") for text in summary["variant"]]
    out["lr"] = [f"{lr:g}" for lr in summary["lr"]]
    for metric, title in (("test_accuracy", "test acc. %"), ("val_accuracy", "val. acc. %")):
        columns = (f"{metric}_mean", f"{metric}_sd", f"{metric}_n")
        if summary[columns[2]].sum():
            out[title] = [accuracy(*values) for values in summary[list(columns)].itertuples(index=False)]
    out["n"] = [
        str(n) if not ended else f"{n}, {ended} lost" for n, ended in summary[["n", "ended"]].itertuples(index=False)
    ]
    out["to target"] = [
        f"{steps:g}" if math.isfinite(steps) else f"{reached} of {n}"
        for steps, reached, n in summary[["steps_to_target", "reached", "n"]].itertuples(index=False)
    ]
    out["dead %"] = ["" if pd.isna(value) else f"{100 * value:.1f}" for value in summary["dead_fraction"]]
    return out


def accuracy(mean: float, deviation: float, n: int) -> str:
    """Per cent, mean ± standard deviation (without it for a single run)."""
    if n == 0:
        return "none"
    return f"{100 * mean:.2f}" if n == 1 else f"{100 * mean:.2f} ± {100 * deviation:.2f}"


def p_value(p: float) -> str:
    return "" if pd.isna(p) else "<0.001" if p < 0.0005 else f"{p:.3f}"


def points(share: float) -> str:
    """Of accuracy."""
    return f"{100 * share:g} point" + ("" if 100 * share == 1 else "s")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

"""Tables of a report, as text."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from actbench.analysis.labels import samples_seen
from actbench.analysis.statistics import interquartile_mean, mean_interval
from actbench.analysis.summary import median_with_censoring
from actbench.analysis.survival import time_to_target
from actbench.report.numbers import NEVER, accuracy, between, interval, number, p_value, short


def arrivals_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Time to target in steps, samples and seconds as text, a line a series, the soonest first.

    runs: of labelled, of one setting. The horizon of a mean is the length of a run, in seconds of the longest. A run
    that does not arrive in its steps is later than all that do, however long it took.
    """
    ends = {"steps": runs["steps"].max(), "samples": samples_seen(runs).max(), "seconds": runs["seconds"].max()}
    lines: list[tuple[float, dict[str, str]]] = []
    for series, own in runs.groupby("series", sort=False):
        reached, means = own["reached_target"].fillna(False).to_numpy(dtype=bool), []
        line = {"activation": str(series), "arrived": f"{reached.sum()}/{len(own)}"}
        for unit, end in ends.items():
            if pd.isna(end) or end <= 0:
                continue
            times = np.asarray(own[f"{unit}_to_target"].astype(float).fillna(math.inf), dtype=np.float64)
            arrival = time_to_target(times, reached, float(end))
            line[f"{unit}: median"] = between(arrival.median, arrival.median_low, arrival.median_high)
            line[f"mean up to {short(float(end))} {unit}"] = between(arrival.mean, arrival.mean_low, arrival.mean_high)
            means.append(arrival.mean)
        lines.append((means[0] if means else math.inf, line))
    return pd.DataFrame([line for _, line in sorted(lines, key=lambda pair: pair[0])])


def scores_table(wide: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each series as text, a line a column of `wide` (a row a seed). runs: where the rates are."""
    rates = runs.groupby("series", sort=False)["lr"].first()
    lost = runs[(runs["status"] == "diverged") & runs["seed"].isin(wide.index)].groupby("series")["seed"].count()
    lines = []
    for series in map(str, wide):
        values = wide[series].to_numpy(dtype=float)
        lines.append({
            "activation": series, "lr": f"{rates[series]:g}",
            "mean % [95 %]": interval(values.mean(), *mean_interval(values)),
            "IQM": f"{100 * interquartile_mean(values):.2f}",
            "n": f"{len(values)}" + (f", {lost[series]} diverged" if lost.get(series) else ""),
        })  # fmt: skip
    return pd.DataFrame(lines)


def training_table(runs: pd.DataFrame, order: list[str], costs: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """How the series trained, as text: time to target, dead units, gradients; means over finished runs. costs: medians
    by series."""
    lines = []
    for series in order:
        own = runs[runs["series"] == series]
        finished = own[own["status"] == "finished"]
        reached = int(own["reached_target"].eq(True).sum())
        line = {"activation": series, "at the target": f"{reached}/{len(own)}"}
        for unit, digits in (("steps", 0), ("seconds", 2)):
            median = median_with_censoring(own[f"{unit}_to_target"])
            line[f"median {unit}"] = f"{median:.{digits}f}" if math.isfinite(median) else NEVER
        line["val. acc. %"] = accuracy(*_mean(finished["val_accuracy"]))
        line["dead %"] = number(100 * finished["dead_fraction"].mean(), ".1f")
        line["zeros %"] = number(100 * finished["zero_share"].mean(), ".1f")
        line["unit mean"] = number(finished["unit_mean"].mean(), "+.2f")
        line["gradient ratio"] = number(finished["gradient_ratio"].mean(), "+.2f")
        if own_costs := costs.get(series):
            line["ns an output"] = f"{own_costs['activation_ns']:.2f}"
            line["% of a step"] = f"{100 * own_costs['step_share']:.1f}"
        line["parameters"] = number(own["parameters"].mean(), ".0f")
        lines.append(line)
    return pd.DataFrame(lines)


def _mean(values: pd.Series) -> tuple[float, float, int]:
    known = values.dropna()
    return known.mean(), known.std(ddof=1), len(known)


def runs_table(confirmed: pd.DataFrame) -> pd.DataFrame:
    """A line a run, of labelled rows."""
    lines = []
    for row in confirmed.to_dict("records"):
        lines.append({
            "run": row["run_id"], "setting": row["setting"], "activation": row["series"], "lr": f"{row['lr']:g}",
            "seed": str(row["seed"]), "status": row["status"],
            "test acc. %": number(100 * row["test_accuracy"], ".2f"),
            "val. acc. %": number(100 * row["val_accuracy"], ".2f"),
            "to target": number(row["steps_to_target"], "g"), "dead %": number(100 * row["dead_fraction"], ".1f"),
        })  # fmt: skip
    return pd.DataFrame(lines)


def summary_table(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary as text, ready to print: columns that say nothing (one value throughout) are left out."""
    out = pd.DataFrame(index=summary.index)
    for key in ("dataset", "architecture", "initialization", "optimizer", "activation"):
        if key in ("architecture", "activation") or summary[key].nunique() > 1:
            out[key] = summary[key]
    variants = [
        " ".join(f"{key.removeprefix('activation.')}={value}" for key, value in variant.items())
        for variant in summary["variant"]
    ]
    if len(set(variants)) > 1:
        out["variant"] = variants
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


EDGE = " †"  # behind an activation whose learning rate lies at an end of the grid


def _beside(name: str, value: float) -> str:
    shown = short(value)
    return shown if name == shown else f"{name}: {shown}"


def _mark(row: Mapping[Any, Any], side: str) -> str:
    return EDGE if side in str(row["edges"]).split() else ""


def hypotheses_table(judged: pd.DataFrame) -> pd.DataFrame:
    """As text, for a report."""
    return pd.DataFrame([
        {
            "claim": row["claim"], "setting": row["setting"], "metric": row["metric"],
            "A": f"{row['a']}{_mark(row, 'a')}: {short(row['mean_a'])}",
            "B": _beside(row["b"] + _mark(row, "b"), row["mean_b"]),
            "A − B [95 %]": f"{short(row['difference'])} [{short(row['low'])}, "
                            f"{short(row['high'])}]",
            "n": f"{row['n']}" + (f" ({row['censored']})" if row["censored"] else ""),
            "p": p_value(row["p"]),
            "margin": short(row["margin"]) if row["margin"] else "", "verdict": row["verdict"],
        }
        for row in judged.to_dict("records")
    ])  # fmt: skip

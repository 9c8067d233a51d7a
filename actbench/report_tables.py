"""Tables of a report: a line a series, or a run, of one setting, as text."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from actbench.statistics import interquartile_mean, mean_interval
from actbench.survival import time_to_target
from actbench.tables import NEVER, accuracy, median_with_censoring, samples, short


def arrivals(runs: pd.DataFrame) -> pd.DataFrame:
    """Time to target in steps, samples and seconds as text, a line a series, the soonest first.

    runs: of labelled, of one setting. The horizon of a mean is the length of a run, in seconds of the longest. A run
    that does not arrive in its steps is later than all that do, however long it took.
    """
    ends = {"steps": runs["steps"].max(), "samples": samples(runs).max(), "seconds": runs["seconds"].max()}
    lines: list[tuple[float, dict[str, str]]] = []
    for series, own in runs.groupby("series", sort=False):
        reached, means = own["reached_target"].fillna(False).to_numpy(dtype=bool), []
        line = {"activation": str(series), "arrived": f"{reached.sum()}/{len(own)}"}
        for unit, end in ends.items():
            if pd.isna(end) or end <= 0:
                continue
            times = np.asarray(own[f"{unit}_to_target"].astype(float).fillna(math.inf), dtype=np.float64)
            arrival = time_to_target(times, reached, float(end))
            line[f"{unit}: median"] = _between(arrival.median, arrival.median_low, arrival.median_high)
            line[f"mean up to {short(float(end))} {unit}"] = _between(arrival.mean, arrival.mean_low, arrival.mean_high)
            means.append(arrival.mean)
        lines.append((means[0] if means else math.inf, line))
    return pd.DataFrame([line for _, line in sorted(lines, key=lambda pair: pair[0])])


def _between(value: float, low: float, high: float) -> str:
    texts = [NEVER if math.isinf(number) else short(number) for number in (value, low, high)]
    return texts[0] if math.isnan(low) else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def scores(wide: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
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


def interval(mean: float, low: float, high: float, signed: bool = False) -> str:
    """Per cent, or points where signed."""
    sign = "+" if signed else ""
    ends = "" if math.isnan(low) else f" [{100 * low:{sign}.2f}, {100 * high:{sign}.2f}]"
    return f"{100 * mean:{sign}.2f}{ends}"


def training(runs: pd.DataFrame, order: list[str], costs: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
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
        line["dead %"] = _number(100 * finished["dead_fraction"].mean(), ".1f")
        line["zeros %"] = _number(100 * finished["zero_share"].mean(), ".1f")
        line["unit mean"] = _number(finished["unit_mean"].mean(), "+.2f")
        line["gradient ratio"] = _number(finished["gradient_ratio"].mean(), "+.2f")
        if own_costs := costs.get(series):
            line["ns an output"] = f"{own_costs['activation_ns']:.2f}"
            line["% of a step"] = f"{100 * own_costs['step_share']:.1f}"
        line["parameters"] = _number(own["parameters"].mean(), ".0f")
        lines.append(line)
    return pd.DataFrame(lines)


def _mean(values: pd.Series) -> tuple[float, float, int]:
    known = values.dropna()
    return known.mean(), known.std(ddof=1), len(known)


def _number(value: float, form: str) -> str:
    return "" if pd.isna(value) else f"{value:{form}}"


def runs(confirmed: pd.DataFrame) -> pd.DataFrame:
    """A line a run, of labelled rows."""
    lines = []
    for row in confirmed.to_dict("records"):
        lines.append({
            "run": row["run_id"], "setting": row["setting"], "activation": row["series"], "lr": f"{row['lr']:g}",
            "seed": str(row["seed"]), "status": row["status"],
            "test acc. %": _number(100 * row["test_accuracy"], ".2f"),
            "val. acc. %": _number(100 * row["val_accuracy"], ".2f"),
            "to target": _number(row["steps_to_target"], "g"), "dead %": _number(100 * row["dead_fraction"], ".1f"),
        })  # fmt: skip
    return pd.DataFrame(lines)

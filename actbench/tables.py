"""Tables over runs: one line per setting, activation and learning rate."""

import math

import numpy as np
import pandas as pd

from actbench.statistics import interquartile_mean, mean_interval
from actbench.survival import time_to_target

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
        settings_of_it = [term.removeprefix("activation.") for term in own if term.startswith("activation.")]
        series.append(" ".join([row["activation"], *settings_of_it]))
    return runs.assign(setting=settings, series=series)


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


def arrivals(runs: pd.DataFrame) -> pd.DataFrame:
    """Time to target in steps, samples and seconds as text, a line a series, the soonest first.

    runs: of labelled, of one setting. The horizon of a mean is the length of a run, in seconds of the shortest. A run
    that does not arrive in its steps is later than all that do, however long it took.
    """
    samples = (runs["samples_per_second"] * runs["seconds"]).round()
    ends = {"steps": runs["steps"].max(), "samples": samples.max(), "seconds": runs["seconds"].min()}
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
            line[f"mean up to {_short(float(end))} {unit}"] = _between(
                arrival.mean, arrival.mean_low, arrival.mean_high
            )
            means.append(arrival.mean)
        lines.append((means[0] if means else math.inf, line))
    return pd.DataFrame([line for _, line in sorted(lines, key=lambda pair: pair[0])])


def _between(value: float, low: float, high: float) -> str:
    texts = [NEVER if math.isinf(number) else _short(number) for number in (value, low, high)]
    return texts[0] if math.isnan(low) else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def _short(value: float) -> str:
    """Three digits, and no exponent for large numbers."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


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


def scores(wide: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each series as text, a line a column of `wide` (a row a seed). runs: where the rates are."""
    rates = runs.groupby("series", sort=False)["lr"].first()
    lost = runs[runs["status"] == "diverged"].groupby("series")["seed"].count()
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


def training(runs: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """How the series trained, as text: time to target, dead units, gradients; means over finished runs."""
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


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

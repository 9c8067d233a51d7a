"""Tables of a report: numbers of the analysis as text."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from actbench.analysis.pairs import Comparison
from actbench.analysis.statistics import interquartile_mean, mean_interval
from actbench.analysis.survival import arrivals, median_time
from actbench.report.numbers import NEVER, accuracy, between, interval, number, p_value, short

EDGE = " †"  # behind an activation whose learning rate lies at an end of the grid


def arrivals_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Time to target in steps, samples and seconds, a line per series, the fastest first. runs: labelled, of one
    task."""
    lines = []
    for series, group in arrivals(runs).groupby("series", sort=False):
        line = {"activation": str(series), "arrived": f"{group['reached'].iloc[0]}/{group['runs'].iloc[0]}"}
        for row in group.to_dict("records"):
            unit = row["unit"]
            line[f"{unit}: median"] = between(row["median"], row["median_low"], row["median_high"])
            line[f"mean up to {short(row['horizon'])} {unit}"] = between(row["mean"], row["mean_low"], row["mean_high"])
        lines.append(line)
    return pd.DataFrame(lines)


def scores_table(comparison: Comparison) -> pd.DataFrame:
    """Test accuracy of each series and its difference to the baseline, the highest mean first."""
    runs = comparison.runs
    rates = runs.groupby("series", sort=False)["lr"].first()
    diverged = runs[(runs["status"] == "diverged") & runs["seed"].isin(comparison.scores.index)]["series"]
    lines = []
    for series in comparison.ranking:
        scores = comparison.scores[series].to_numpy(dtype=float)
        count = int((diverged == series).sum())
        line = {
            "activation": series, "lr": f"{rates[series]:g}",
            "mean % [95 %]": interval(scores.mean(), *mean_interval(scores)),
            "IQM": f"{100 * interquartile_mean(scores):.2f}",
            "n": f"{len(scores)}" + (f", {count} diverged" if count else ""),
        }  # fmt: skip
        lines.append(line | _difference_cells(comparison, series))
    return pd.DataFrame(lines).fillna("")


def _difference_cells(comparison: Comparison, series: str) -> dict[str, str]:
    difference = comparison.differences.get(series)
    if difference is None:  # of the baseline
        return {}
    title = f"minus {comparison.baseline}, points [95 %]"
    return {
        title: interval(difference.mean, difference.low, difference.high, signed=True),
        "p": p_value(comparison.adjusted[series]),
        "better in": f"{100 * difference.improvement:.0f} %",
        "effect": number(difference.effect, "+.1f"),
        "verdict": comparison.verdict(series),
    }


def training_table(comparison: Comparison) -> pd.DataFrame:
    """How each series trained: time to target, dead units, gradients as means over finished runs, and costs."""
    lines = []
    for series in comparison.ranking:
        runs = comparison.ended[comparison.ended["series"] == series]
        finished = runs[runs["status"] == "finished"]
        line = {"activation": series, "at the target": f"{int(runs['reached_target'].eq(True).sum())}/{len(runs)}"}
        for unit, digits in (("steps", 0), ("seconds", 2)):
            median = median_time(runs[f"{unit}_to_target"])
            line[f"median {unit}"] = f"{median:.{digits}f}" if math.isfinite(median) else NEVER
        validation = finished["val_accuracy"].dropna()
        line["val. acc. %"] = accuracy(validation.mean(), validation.std(ddof=1), len(validation))
        line["dead %"] = number(100 * finished["dead_fraction"].mean(), ".1f")
        line["zeros %"] = number(100 * finished["zero_share"].mean(), ".1f")
        line["unit mean"] = number(finished["unit_mean"].mean(), "+.2f")
        line["gradient ratio"] = number(finished["gradient_ratio"].mean(), "+.2f")
        if cost := comparison.costs.get(series):
            line["ns an output"] = f"{cost['activation_ns']:.2f}"
            line["% of a step"] = f"{100 * cost['step_share']:.1f}"
        line["parameters"] = number(runs["parameters"].mean(), ".0f")
        lines.append(line)
    return pd.DataFrame(lines)


def runs_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per run. runs: labelled."""
    return pd.DataFrame([
        {
            "run": row["run_id"], "setting": row["task"], "activation": row["series"], "lr": f"{row['lr']:g}",
            "seed": str(row["seed"]), "status": row["status"],
            "test acc. %": number(100 * row["test_accuracy"], ".2f"),
            "val. acc. %": number(100 * row["val_accuracy"], ".2f"),
            "to target": number(row["steps_to_target"], "g"), "dead %": number(100 * row["dead_fraction"], ".1f"),
        }
        for row in runs.to_dict("records")
    ])  # fmt: skip


def summary_table(summary: pd.DataFrame) -> pd.DataFrame:
    """The frame of `summarize` as text, without columns that have one value throughout."""
    table = pd.DataFrame(index=summary.index)
    for key in ("dataset", "architecture", "initialization", "optimizer", "activation"):
        if key in ("architecture", "activation") or summary[key].nunique() > 1:
            table[key] = summary[key]
    variants = [
        " ".join(f"{key.removeprefix('activation.')}={value}" for key, value in variant.items())
        for variant in summary["variant"]
    ]
    if len(set(variants)) > 1:
        table["variant"] = variants
    table["lr"] = [f"{lr:g}" for lr in summary["lr"]]
    for metric, title in (("test_accuracy", "test acc. %"), ("val_accuracy", "val. acc. %")):
        columns = [f"{metric}_mean", f"{metric}_sd", f"{metric}_n"]
        if summary[columns[-1]].sum():
            table[title] = [accuracy(*values) for values in summary[columns].itertuples(index=False)]
    lines = summary.to_dict("records")
    table["n"] = [f"{line['n']}" + (f", {line['unfinished']} lost" if line["unfinished"] else "") for line in lines]
    table["to target"] = [
        f"{line['steps_to_target']:g}"
        if math.isfinite(line["steps_to_target"])
        else f"{line['reached']} of {line['n']}"
        for line in lines
    ]
    table["dead %"] = [number(100 * value, ".1f") for value in summary["dead_fraction"]]
    return table


def hypotheses_table(judged: pd.DataFrame) -> pd.DataFrame:
    """The frame of `judge_hypotheses` as text."""
    return pd.DataFrame([
        {
            "claim": row["claim"], "setting": row["setting"], "metric": row["metric"],
            "A": f"{_marked(row, 'a')}: {short(row['mean_a'])}", "B": _side_b(row),
            "A − B [95 %]": f"{short(row['difference'])} [{short(row['low'])}, {short(row['high'])}]",
            "n": f"{row['n']}" + (f" ({row['censored']})" if row["censored"] else ""),
            "p": p_value(row["p"]),
            "margin": short(row["margin"]) if row["margin"] else "", "verdict": row["verdict"],
        }
        for row in judged.to_dict("records")
    ])  # fmt: skip


def _marked(row: Mapping[Any, Any], side: str) -> str:
    return str(row[side]) + EDGE * (side in row["edges"])


def _side_b(row: Mapping[Any, Any]) -> str:
    """Its runs and their mean, or the number alone that a hypothesis compares with."""
    name, mean = _marked(row, "b"), short(row["mean_b"])
    return mean if name == mean else f"{name}: {mean}"

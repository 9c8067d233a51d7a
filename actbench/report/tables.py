"""Tables of a report: numbers of the analysis as text."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from actbench.analysis.differences import INCONCLUSIVE, Difference
from actbench.analysis.pairs import Comparison
from actbench.analysis.rates import equal_time_differences, tolerated_rates, tried_rates
from actbench.analysis.statistics import share_interval
from actbench.analysis.survival import arrivals
from actbench.report.numbers import about, accuracy, between, interval, number, p_value, short

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
    diverged = comparison.ended[comparison.ended["status"] == "diverged"]["series"]
    lines = []
    for series in comparison.ranking:
        scores = comparison.scores[series].to_numpy(dtype=float)
        count = int((diverged == series).sum())
        line = {
            "activation": series, "lr": chosen_rates(comparison.rates[series]),
            "mean % [95 %]": interval(scores.mean(), *comparison.interval(series)),
            "n": f"{len(scores)}" + (f", {count} diverged" if count else ""),
        }  # fmt: skip
        difference = comparison.differences.get(series)
        if difference is not None:
            title = f"minus {comparison.baseline}, points [95 %]"
            lines.append(line | {title: _points(difference)} | _test_cells(difference))
        else:
            lines.append(line)
    return pd.DataFrame(lines).fillna("")


def _points(difference: Difference) -> str:
    return interval(difference.mean, difference.low, difference.high, signed=True)


def _test_cells(difference: Difference) -> dict[str, str]:
    needed = "" if difference.verdict != INCONCLUSIVE else about(difference.needed)
    return {"p": p_value(difference.p), "p equal": p_value(difference.p_equal), "verdict": difference.verdict,
            "seeds to decide": needed}  # fmt: skip


def chosen_rates(rates: "pd.Series[float]") -> str:
    """The rates chosen for the seeds, the most frequent first: `0.03` or `0.03 (7), 0.01 (2)`."""
    counts = rates.value_counts()
    if len(counts) == 1:
        return f"{counts.index[0]:.3g}"
    return ", ".join(f"{rate:.3g} ({number})" for rate, number in counts.items())


def equal_time_table(comparison: Comparison) -> pd.DataFrame:
    """Differences to the baseline where each activation trains for as long as the baseline does."""
    title = f"minus {comparison.baseline}, points [95 %]"
    steps = comparison.runs.sort_values("equal_time", kind="stable").groupby("series")["steps"].last()
    return pd.DataFrame([
        {"activation": series, "steps": f"{steps[series]}", title: _points(found)} | _test_cells(found)
        for series, found in equal_time_differences(comparison).items()
    ])  # fmt: skip


def pairs_table(comparison: Comparison) -> pd.DataFrame:
    """The differences of all pairs of series."""
    return pd.DataFrame([
        {"A": a, "B": b, "A − B, points [95 %]": _points(difference)} | _test_cells(difference)
        for (a, b), difference in comparison.all_pairs.items()
    ])  # fmt: skip


def training_table(comparison: Comparison) -> pd.DataFrame:
    """How each series trained: time to target, tolerance to the rate, dead units, gradients, and costs."""
    lines = []
    for series in comparison.ranking:
        runs = comparison.ended[comparison.ended["series"] == series]
        finished = runs[runs["status"] == "finished"]
        reached = int(runs["reached_target"].eq(True).sum())
        low, high = share_interval(reached, len(runs))
        line = {
            "activation": series,
            "at the target [95 %]": f"{reached}/{len(runs)} [{100 * low:.0f}, {100 * high:.0f} %]",
            "mean steps": f"{comparison.steps[series].mean():.0f}",
            "at the fastest rate": f"{comparison.fastest_steps[series].mean():.0f}",
            "rates within the margin": _tolerance(comparison, series),
        }  # fmt: skip
        validation = finished["val_accuracy"].dropna()
        line["val. acc. %"] = accuracy(validation.mean(), validation.std(ddof=1), len(validation))
        line["dead %"] = number(100 * finished["dead_fraction"].mean(), ".1f")
        line["zeros %"] = number(100 * finished["zero_share"].mean(), ".1f")
        line["gradient ratio"] = number(finished["gradient_ratio"].mean(), "+.2f")
        if (cost := comparison.costs.get(series)) is not None:
            nanoseconds, share = cost["activation_ns"], 100 * cost["step_share"]
            line["ns per output [range]"] = (
                f"{nanoseconds.median():.2f} [{nanoseconds.min():.2f}, {nanoseconds.max():.2f}]"
            )
            line["% of a step"] = f"{share.median():.1f}"
        line["parameters"] = number(runs["parameters"].mean(), ".0f")
        lines.append(line)
    return pd.DataFrame(lines)


def _tolerance(comparison: Comparison, series: str) -> str:
    """`0.003 to 0.03 (10x)`, with > where the range reaches an end of the grid; a single rate has no width."""
    low, high = tolerated_rates(comparison, series)
    tried = tried_rates(comparison, series)
    beyond = ">" if low == tried[0] or high == tried[-1] else ""
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g} ({beyond}{high / low:.2g}x)"


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
    if summary["lr"].notna().any():
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
            "claim": row["claim"], "task": row["task"], "metric": row["metric"],
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

"""Tables of a report: numbers of the analysis as text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from actbench.analysis.differences import INCONCLUSIVE, Difference
from actbench.analysis.labels import shown_names
from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.analysis.rates import equal_time_differences, tolerated_rates, tried_rates
from actbench.analysis.survival import median_time
from actbench.experiment.scores import METRICS, Metric
from actbench.report.formats.blocks import literal
from actbench.report.numbers import (
    NEVER,
    about,
    difference_interval,
    number,
    p_value,
    percent,
    rate,
    score_interval,
    short,
    with_deviation,
)
from actbench.report.sentences import short_names

_MOST_TASKS = 3  # columns of a line of 80 characters
EDGE = " †"  # behind an activation whose learning rate lies at an end of the grid


def scores_table(comparison: Comparison) -> pd.DataFrame:
    """Test score of each series and its difference to the baseline, the highest mean first."""
    metric = comparison.metric
    diverged = comparison.ended.loc[comparison.ended["status"] == "diverged", "series"].value_counts()
    lines = []
    for series in comparison.ranking:
        scores, difference = comparison.scores[series].to_numpy(dtype=float), comparison.differences.get(series)
        line = {
            "activation": series + (f" ({diverged[series]} diverged)" if series in diverged else ""),
            "verdict": "baseline" if series == comparison.baseline else "",
            f"{metric.heading} [95 %]": score_interval(metric, scores.mean(), *comparison.interval(series)),
        }
        if difference is not None:
            line |= _difference_cells(metric, difference, metric.minus(comparison.baseline))
        lines.append(line | {"learning rate": chosen_rates(comparison.rates[series])})
    frame = _without_empty(pd.DataFrame(lines).fillna(""))
    frame.insert(frame.shape[1] - 1, "learning rate", frame.pop("learning rate"))  # the last; the baseline has fewer
    return frame


def _difference_cells(metric: Metric, difference: Difference, title: str) -> dict[str, str]:
    """The verdict, the difference under `title`, its tests and, where inconclusive, the seeds to decide."""
    needed = "" if difference.verdict != INCONCLUSIVE else about(difference.needed)
    return {
        "verdict": difference.verdict,
        f"{title} [95 %]": difference_interval(
            metric.scale, metric.digits[1], difference.mean, difference.low, difference.high
        ),
        "p": p_value(difference.p), "p equal": p_value(difference.p_equal), "seeds to decide": needed,
    }  # fmt: skip


def _without_empty(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.loc[:, (frame != "").any()]


def chosen_rates(rates: "pd.Series[float]") -> str:
    """The rates chosen for the seeds, the most frequent first: `0.03` or `0.03 (7), 0.01 (2)`."""
    counts = rates.value_counts()
    if len(counts) == 1:
        return rate(float(counts.index[0]))
    return ", ".join(f"{rate(value)} ({number})" for value, number in zip(counts.index, counts, strict=True))


def verdicts_table(comparisons: Sequence[Comparison]) -> pd.DataFrame | None:
    """The mean score and the verdict of each activation on each task; None for more tasks than a line holds.

    The rows are in the order of all figures.
    """
    scored = [comparison for comparison in comparisons if not comparison.scores.empty]
    if not 0 < len(scored) <= _MOST_TASKS:
        return None
    names = short_names([comparison.task for comparison in comparisons])
    rows = []
    for series in order(scored):
        cells = {f"{names[own.task]}, {own.metric.short}": _scored(own, series) for own in scored}
        rows.append({"activation": series, **cells})
    return pd.DataFrame(rows)


def _scored(comparison: Comparison, series: str) -> str:
    """`97.3 equal`; empty for a series without scores."""
    if series not in comparison.scores:
        return ""
    verdict = "baseline" if series == comparison.baseline else ""
    if (difference := comparison.differences.get(series)) is not None:
        verdict = difference.verdict
    return f"{comparison.metric.number(comparison.scores[series].mean())} {verdict}".strip()


def equal_time_table(comparison: Comparison) -> pd.DataFrame:
    """Differences to the baseline where each activation trains for as long as the baseline does."""
    metric = comparison.metric
    steps = comparison.runs.sort_values("equal_time", kind="stable").groupby("series")["steps"].last()
    return _without_empty(pd.DataFrame([
        {"activation": series} | _difference_cells(metric, found, metric.minus(comparison.baseline))
        | {"steps": f"{steps[series]}"}
        for series, found in equal_time_differences(comparison).items()
    ]))  # fmt: skip


def pairs_table(comparison: Comparison) -> pd.DataFrame:
    """The differences of all pairs of series."""
    return _without_empty(pd.DataFrame([
        {"A": a, "B": b} | _difference_cells(comparison.metric, difference, comparison.metric.between("A", "B"))
        for (a, b), difference in comparison.all_pairs.items()
    ]))  # fmt: skip


def training_table(comparison: Comparison) -> pd.DataFrame:
    """How each series trained: time to target, tolerance to the rate, dead units, gradients, and costs."""
    lines = []
    for series in comparison.ranking:
        runs = comparison.ended[comparison.ended["series"] == series]
        finished = runs[runs["status"] == "finished"]
        median = median_time(runs["steps_to_target"])
        line = {
            "activation": series,
        }
        if comparison.has_target:
            line |= {
                "at the target": f"{int(runs['reached_target'].eq(True).sum())} of {len(runs)}",
                "steps, median": NEVER if math.isinf(median) else f"{median:.0f}",
                "mean": f"{comparison.steps[series].mean():.0f}",
                "at the fastest rate": f"{comparison.fastest_steps[series].mean():.0f}",
            }
        line |= {
            "rates within the margin": _tolerance(comparison, series),
            "dead %": number(100 * finished["dead_fraction"].mean(), ".1f"),
            "zeros %": number(100 * finished["zero_share"].mean(), ".1f"),
            "gradient ratio": number(finished["gradient_ratio"].mean(), "+.2f"),
        }
        if (cost := comparison.costs.get(series)) is not None:
            nanoseconds = cost["activation_ns"]
            line["ns per output [range]"] = (
                f"{nanoseconds.median():.2f} [{nanoseconds.min():.2f}, {nanoseconds.max():.2f}]"
            )
            line["% of a step"] = f"{100 * cost['step_share'].median():.1f}"
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def aggregates_table(found: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The frame of `aggregates` as text."""
    return pd.DataFrame(
        [
            {
                "activation": row["series"],
                "interquartile mean % [95 %]": percent(row["iqm"], row["iqm_low"], row["iqm_high"]),
                **_improvement(row, baseline),
            }
            for row in found.to_dict("records")
        ]
    )


def standardized_table(found: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """The frame of `standardized` as text."""
    return _without_empty(pd.DataFrame([
        {
            "activation": row["series"],
            "mean rank [95 %]": difference_interval(1, 2, row["rank"], row["rank_low"], row["rank_high"], sign=""),
            f"minus {baseline}, margins [95 %]": "" if pd.isna(row["margins"]) else difference_interval(
                1, 2, row["margins"], row["margins_low"], row["margins_high"]
            ),
            **_improvement(row, baseline),
        }
        for row in found.to_dict("records")
    ]))  # fmt: skip


def _improvement(row: Mapping[Any, Any], baseline: str) -> dict[str, str]:
    known = not pd.isna(row["improvement"])
    text = percent(row["improvement"], row["improvement_low"], row["improvement_high"]) if known else ""
    return {f"above {baseline}, % [95 %]": text}


def _tolerance(comparison: Comparison, series: str) -> str:
    """`0.003 to 0.03 (10x)`, with > where the range reaches an end of the grid; a single rate has no width."""
    low, high = tolerated_rates(comparison, series)
    tried = tried_rates(comparison, series)
    beyond = ">" if low == tried[0] or high == tried[-1] else ""
    return rate(low) if low == high else f"{rate(low)} to {rate(high)} ({beyond}{high / low:.2g}x)"


def summary_table(summary: pd.DataFrame) -> pd.DataFrame:
    """The frame of `summarize` as text, without columns that have one value throughout."""
    table = pd.DataFrame(index=summary.index)
    for key in ("dataset", "architecture", "initialization", "optimizer", "activation"):
        if key in ("architecture", "activation") or summary[key].nunique() > 1:
            table[key] = summary[key].map(shown_names(summary[key])) if key == "activation" else summary[key]
    variants = [
        " ".join(f"{key.removeprefix('activation.')}={value}" for key, value in variant.items())
        for variant in summary["variant"]
    ]
    if len(set(variants)) > 1:
        table["variant"] = variants
    if summary["lr"].notna().any():
        table["lr"] = [rate(lr) for lr in summary["lr"]]
    for column, part in (("score", "test"), ("val_score", "val.")):
        columns = [f"{column}_mean", f"{column}_sd", f"{column}_n"]
        for name in summary["metric"].unique() if summary[columns[-1]].sum() else ():
            metric, values = METRICS[name], summary[[*columns, "metric"]].itertuples(index=False)
            table[f"{part} {metric.short}"] = [
                with_deviation(metric, *own) if of == name else "" for *own, of in values
            ]  # fmt: skip
    lines = summary.to_dict("records")
    table["n"] = [f"{line['n']}" + (f", {line['unfinished']} lost" if line["unfinished"] else "") for line in lines]
    table["to target"] = [
        f"{line['steps_to_target']:g}"
        if math.isfinite(line["steps_to_target"])
        else f"{line['reached']} of {line['n']}" * line["has_target"]
        for line in lines
    ]
    table["dead %"] = [number(100 * value, ".1f") for value in summary["dead_fraction"]]
    return table


def hypotheses_table(judged: pd.DataFrame) -> pd.DataFrame:
    """The frame of `judge_hypotheses` as text."""
    return _without_empty(pd.DataFrame([
        {
            "claim": literal(row["claim"]), "verdict": row["verdict"], "task": row["task"],
            "metric": literal(row["metric"]),
            "A": f"{_marked(row, 'a')}: {short(row['mean_a'])}", "B": _side_b(row),
            "A − B [95 %]": f"{short(row['difference'])} [{short(row['low'])}, {short(row['high'])}]",
            "n": f"{row['n']}" + (f" ({row['censored']})" if row["censored"] else ""),
            "p": p_value(row["p"]), "margin": short(row["margin"]) if row["margin"] else "",
        }
        for row in judged.to_dict("records")
    ]))  # fmt: skip


def sources_table(judged: pd.DataFrame) -> pd.DataFrame:
    """A line per claim that has a source: whether this design can test it, and why not. judged: by judge_hypotheses."""
    claims = judged.drop_duplicates("claim")
    kinds = {"definition": "true by definition", "cost": "a cost, which differs by machine"}
    return _without_empty(pd.DataFrame([
        {
            "claim": literal(row["claim"]), "source": literal(short_source(row["source"])),
            "can this design test the source?": literal(": ".join(filter(None, (row["testable"], row["reason"]))))
            or kinds.get(str(row["kind"]), ""),
        }
        for row in claims[claims["source"] != ""].to_dict("records")
    ]))  # fmt: skip


def short_source(text: str | None) -> str:
    """Authors and year without title and number: `Clevert et al. 2016`."""
    return (text or "").split(",")[0].split(";")[0].split(" (")[0]


def _marked(row: Mapping[Any, Any], side: str) -> str:
    return literal(str(row[side])) + EDGE * (side in row["edges"])


def _side_b(row: Mapping[Any, Any]) -> str:
    """Its runs and their mean, or the number alone that a hypothesis compares with."""
    name, mean = _marked(row, "b"), short(row["mean_b"])
    return mean if name == mean else f"{name}: {mean}"

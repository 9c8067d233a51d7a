"""What MLflow shows of a comparison: numbers on the page of its run, and a summary per activation and task."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from actbench.report.numbers import rate
from actbench.report.sentences import is_judged
from actbench.store.charts import CURVES
from actbench.store.summaries import DIFFERENCES, LOG_RATE, PLACE, Summary, by_rate, score_column
from actbench.store.writer import ParentRun
from actbench.training.results import COSTS_MEASURED, Result

if TYPE_CHECKING:
    import pandas as pd

    from actbench.analysis.pairs import Comparison  # its libraries take half a second

Curve = Sequence[tuple[int, float]]


def store_summaries(parent: ParentRun, compared: "Sequence[Comparison]", results: Mapping[str, Result]) -> None:
    """Writes what the dashboard shows of a comparison. results: by run id."""
    parent.describe(*headline(compared))
    found = [summary for comparison in compared for summary in summaries(comparison, results)]
    parent.add_summaries(reversed(found))  # of equal values MLflow shows the newer run first


def headline(compared: "Sequence[Comparison]") -> tuple[dict[str, str], dict[str, float]]:
    """Params and final values of a comparison's run: what was compared, and for each task the best and the baseline."""
    if not compared:
        return {}, {}
    first = compared[0]
    margins = dict.fromkeys(comparison.metric.margin(comparison.margin) for comparison in compared)
    params = {"baseline": first.baseline_activation, "margin": ", ".join(margins)}
    values = {
        "runs": float(sum(len(comparison.runs) for comparison in compared)),
        "seeds": float(min(len(comparison.seeds) for comparison in compared)),
    }
    for comparison in compared:
        task, means = _key(comparison.task), comparison.scores.mean().round(4)
        score = score_column(comparison.metric.name)
        if comparison.ranking:
            params[f"{task}: best"] = comparison.ranking[0]
            values[f"{task}: {score} of the best"] = float(means[comparison.ranking[0]])
        if comparison.baseline in means:
            values[f"{task}: {score} of the baseline"] = float(means[comparison.baseline])
        if comparison.recommendation is not None and is_judged(comparison):
            params[f"{task}: take"] = ", ".join(comparison.recommendation.take)
            params[f"{task}: avoid"] = ", ".join(comparison.recommendation.avoid) or "none"
    return params, {key: value for key, value in values.items() if math.isfinite(value)}


def _key(task: str) -> str:
    """A task in the characters that MLflow allows in keys."""
    return re.sub(r"[^\w.: -]+", " ", task.replace(",", ""))


def summaries(comparison: "Comparison", results: Mapping[str, Result]) -> Iterator[Summary]:
    """The summary of each series that has scores, the best first, in the colours of the report."""
    from actbench.analysis.rates import mean_scores
    from actbench.report.figures.style import BASELINE, VERDICTS

    means, metric = mean_scores(comparison), comparison.metric.name
    colors = {**VERDICTS, "baseline": BASELINE}
    for place, series in enumerate(comparison.ranking, 1):
        runs = comparison.ended[comparison.ended["series"].eq(series) & comparison.ended["seed"].isin(comparison.seeds)]
        row, rates = runs.iloc[0], sorted(set(comparison.rates[series]))
        params = {
            "task": comparison.task, "dataset": str(row["dataset"]), "architecture": str(row["architecture"]),
            "activation": str(row["activation"]), "lr": ", ".join(map(rate, rates)),
            "seeds": str(len(comparison.seeds)),
        }  # fmt: skip
        verdict, values, curves = _against_baseline(comparison, series, place)
        curves |= mean_curves([results[str(id)].curves for id in runs["run_id"]])
        curves |= _by_rate(means[series].dropna(), metric)
        values |= _values(comparison, series)
        known = {key: value for key, value in values.items() if math.isfinite(value)}
        yield Summary(series, params, verdict, colors[verdict], known, curves, metric, comparison.margin)


def _against_baseline(
    comparison: "Comparison", series: str, place: int
) -> tuple[str, dict[str, float], dict[str, Curve]]:
    """The verdict against the baseline, the ends of the difference's interval, and the interval as a line."""
    metric, name = comparison.metric, DIFFERENCES[comparison.metric.name]
    if series == comparison.baseline:
        return "baseline", {}, {name: [(2, 0.0)], PLACE: [(2, place)]}
    difference = comparison.differences.get(series)
    if difference is None:
        return "no verdict", {}, {}
    points = [round(metric.scale * value, 10) for value in (difference.low, difference.high, difference.mean)]
    known = [(step, value) for step, value in enumerate(points) if math.isfinite(value)]
    ends = {f"{name}: low": points[0], f"{name}: high": points[1]}
    return difference.verdict, ends, {name: known, PLACE: [(step, place) for step, _ in known]}


def _values(comparison: "Comparison", series: str) -> dict[str, float]:
    """Means over the seeds at the chosen rates (steps to the target: at the fastest), and median costs."""
    low, high = comparison.interval(series)
    ended, score = comparison.ended[comparison.ended["series"] == series], score_column(comparison.metric.name)
    values = {
        score: comparison.scores[series].mean(), f"{score}: low": low, f"{score}: high": high,
        "steps_to_target": comparison.fastest_steps[series].mean(), "auc": ended["auc"].mean(),
    }  # fmt: skip
    if series in comparison.costs:
        costs = comparison.costs[series]
        values |= {cost: costs[cost].median() for cost in COSTS_MEASURED}
    return {key: float(value) for key, value in values.items()}


def _by_rate(means: "pd.Series[float]", metric: str) -> dict[str, Curve]:
    """Mean validation scores as a curve over the logarithm of the rate. means: by rate, ascending."""
    return {
        LOG_RATE: [(step, math.log10(lr)) for step, lr in enumerate(means.index)],
        by_rate(metric): [(step, float(value)) for step, value in enumerate(means)],
    }


def mean_curves(curves: Sequence[Mapping[str, Curve]]) -> dict[str, Curve]:
    """The mean of each curve of the dashboard that all runs have, at the steps that all have."""
    means: dict[str, Curve] = {}
    for metric in CURVES:
        if all(metric in own for own in curves):
            tables = [dict(own[metric]) for own in curves]
            steps = sorted(set(tables[0]).intersection(*tables[1:]))
            points = [(step, math.fsum(table[step] for table in tables) / len(tables)) for step in steps]
            means[metric] = [(step, value) for step, value in points if math.isfinite(value)]
    return means

"""answer.json and scores.csv: page one of a report for machines."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from actbench.analysis.pairs import Comparison
from actbench.experiment.request import Request
from actbench.report.headline import full_answer
from actbench.report.sentences import coverage, is_judged, task_sentence


def answer_document(
    comparisons: Sequence[Comparison], judged: pd.DataFrame, request: Request, seconds: float | None
) -> dict[str, Any]:
    """The content of answer.json; numbers that are not known are null. seconds: of the command.

    A score is higher where it is better: of `bits_per_character` it is minus these. p, p_worse, p_better: of sign
    flips, adjusted for the task; p_equal: of two one-sided t tests.
    """
    return {
        "question": request.question,
        "answer": full_answer(comparisons, judged),
        "version": request.versions.get("actbench", ""),
        "seconds": seconds,
        "tasks": [_task(comparison) for comparison in comparisons],
        "hypotheses": judged[["claim", "task", "verdict"]].to_dict("records"),
    }


def _task(comparison: Comparison) -> dict[str, Any]:
    found = comparison.recommendation if is_judged(comparison) else None
    untaught = comparison.is_untrained or comparison.is_unlearned
    few = comparison.recommendation is not None and found is None
    take = found.take if found else () if untaught or few else comparison.ranking
    return {
        "task": comparison.task, "metric": comparison.metric.column, "baseline": comparison.baseline,
        "margin": comparison.margin, "n": len(comparison.scores), "n_test": comparison.n_test or None,
        "covers": coverage(comparison),
        "activations": {series: _activation(comparison, series) for series in comparison.ranking},
        "take": list(take), "avoid": list(found.avoid if found else ()),
        "undecided": list(found.undecided if found else comparison.ranking if few else ()),
        "fastest": list(found.fastest if found else ()),
        "failed": comparison.failed,
        "sentence": task_sentence(comparison),
    }  # fmt: skip


def _activation(comparison: Comparison, series: str) -> dict[str, Any]:
    low, high = comparison.interval(series)
    values: dict[str, Any] = {
        "score": float(comparison.scores[series].mean()), "low": _known(low), "high": _known(high),
        "lr": comparison.rates[series].tolist(), "raced_out": comparison.raced_out.get(series, []),
    }  # fmt: skip
    if series == comparison.baseline:
        return values | {"difference": 0.0, "difference_low": 0.0, "difference_high": 0.0, "p": None, "p_worse": None,
                         "p_equal": None, "p_better": None, "verdict": "baseline"}  # fmt: skip
    difference = comparison.differences.get(series)
    if difference is None:
        return values
    return values | {
        "difference": difference.mean, "difference_low": _known(difference.low),
        "difference_high": _known(difference.high), "p": _known(difference.p), "p_worse": _known(difference.p_worse),
        "p_equal": _known(difference.p_equal), "p_better": _known(difference.p_better), "verdict": difference.verdict,
    }  # fmt: skip


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def scores_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The content of scores.csv: task, activation, seed, lr chosen for that seed, score."""
    lines: list[Mapping[str, Any]] = [
        {"task": comparison.task, "activation": series, "seed": seed, "lr": comparison.rates.at[seed, series],
         "score": comparison.scores.at[seed, series]}
        for comparison in comparisons
        for series in comparison.scores
        for seed in comparison.seeds
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=["task", "activation", "seed", "lr", "score"])


def pairs_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The content of pairs.csv: the differences of all pairs of a task, one family of tests."""
    lines: list[Mapping[str, Any]] = [
        {"task": comparison.task, "a": a, "b": b, "difference": d.mean, "low": d.low, "high": d.high, "n": d.n,
         "p": d.p, "p_worse": d.p_worse, "p_equal": d.p_equal, "p_better": d.p_better, "verdict": d.verdict}
        for comparison in comparisons
        for (a, b), d in comparison.all_pairs.items()
    ]  # fmt: skip
    columns = ["task", "a", "b", "difference", "low", "high", "n", "p", "p_worse", "p_equal", "p_better", "verdict"]
    return pd.DataFrame(lines, columns=columns)

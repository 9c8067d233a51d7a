"""Verdicts on an experiment's hypotheses, one per hypothesis and task."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from actbench.analysis.labels import at_edge, ended_runs, labelled, samples_seen
from actbench.analysis.selectors import IDENTITY, Task, matches, selectable_keys, selector_text, tasks_of, with_variants
from actbench.analysis.statistics import Difference, holm, paired_difference
from actbench.errors import UsageError, nearest_names
from actbench.experiment.questions import Hypothesis
from actbench.training.results import COSTS_MEASURED

COLUMNS = ["claim", "setting", "metric", "a", "b", "direction", "mean_a", "mean_b", "difference", "low", "high", "n",
           "p", "margin", "verdict", "censored", "edges"]  # fmt: skip


_NO_METRICS = (*IDENTITY, "run_id", "phase", "seed", "status", "device", "variant")
_ABSOLUTE = re.compile(r"abs\((\w+)\)")
_WORST = {"test_accuracy": 0.0, "val_accuracy": 0.0, "auc": 0.0, "reached_target": 0.0}  # of a run that diverged


def check_hypotheses(hypotheses: Sequence[Hypothesis], runs: pd.DataFrame) -> None:
    """Raises UsageError for an unknown metric, or where a, b or where select no planned runs or ambiguous ones.

    runs: rows of the planned tuning runs.
    """
    for number, hypothesis in enumerate(hypotheses, 1):
        place = f"hypothesis {number} ({hypothesis.claim[:40]})"
        _check_metric(hypothesis, [*(key for key in map(str, runs) if key not in _NO_METRICS), *COSTS_MEASURED], place)
        planned = runs
        if hypothesis.phase == "confirm":  # at one learning rate, which is not known yet
            planned = labelled(runs).drop_duplicates(["task", "series", "seed"]).drop(columns="lr")
        _check_selectors(hypothesis, with_variants(planned), place)
        tasks = list(tasks_of(hypothesis, planned))
        if not tasks:
            raise UsageError(
                f"{place}: the grid has {selector_text(hypothesis.a)} and {selector_text(hypothesis.b)}, "
                "but no task has both"
            )
        if any(side["seed"].duplicated().any() for _, a, b in tasks for side in (a, b) if side is not None):
            raise UsageError(
                f"{place}: several runs of one seed on a side; name in a and b what distinguishes these runs"
            )


def _check_metric(hypothesis: Hypothesis, metrics: Sequence[str], place: str) -> None:
    name = _column(hypothesis.metric)
    if name not in metrics:
        raise UsageError(f"{place}: no metric {name!r}{nearest_names(name, metrics)}")
    if hypothesis.phase == "tune" and name in ("test_accuracy", *COSTS_MEASURED):
        raise UsageError(f"{place}: {name} is not measured while tuning; take val_accuracy, or phase: confirm")


def _check_selectors(hypothesis: Hypothesis, runs: pd.DataFrame, place: str) -> None:
    for selector in (hypothesis.a, hypothesis.b, hypothesis.where):
        if not isinstance(selector, Mapping):
            continue
        for key in selector:
            if key not in (keys := selectable_keys(runs)):
                hint = "; it is chosen while tuning: take phase: tune" if key == "lr" else nearest_names(key, keys)
                raise UsageError(f"{place}: the grid's runs do not differ by {key!r}{hint}")
        if not matches(runs, selector).any():
            raise UsageError(f"{place}: no run of the grid has {selector_text(selector)}")


def judge_hypotheses(hypotheses: Sequence[Hypothesis], runs: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Returns a frame with COLUMNS, one row per hypothesis and task (column `setting`).

    p is corrected by Holm over all lines that expect a difference, and over all that expect none. Verdicts: supported,
    refuted, practically equal, not shown, or why none can be given. A run that never reaches its target counts with its
    full length in the means; a direction is supported or refuted only where it holds for every later time at which that
    run could have arrived. censored: pairs with such a run. edges: which of a and b have a learning rate at an end of
    the grid. runs, costs: rows of runs.csv and costs.csv.
    """
    lines: list[dict[str, Any]] = []
    estimates: list[Difference | None] = []
    bounds: list[Difference | None] = []  # under the least favourable times of censored runs
    edge_runs = set(runs.loc[at_edge(labelled(runs)), "run_id"])
    for hypothesis in hypotheses:
        in_phase = runs[runs["phase"] == hypothesis.phase]
        if hypothesis.phase == "confirm":
            in_phase = in_phase.drop(columns="lr")
        for task in tasks_of(hypothesis, in_phase):
            pairs, censored = _pairs(hypothesis, task, costs)
            estimates.append(paired_difference(pairs[:, 0], pairs[:, 1]) if len(pairs) else None)
            bounds.append(_least_favourable(pairs, censored) if censored.any() else estimates[-1])
            lines.append(_line(hypothesis, task, pairs, censored, edge_runs))
    adjusted = _adjusted(lines, bounds)
    for line, estimate, bound, p in zip(lines, estimates, bounds, adjusted, strict=True):
        if estimate is None or bound is None:
            line |= {"verdict": "no runs"}
        else:
            line |= {"difference": estimate.mean, "low": estimate.low, "high": estimate.high, "p": p}
            line |= {"verdict": _verdict(estimate, bound, p, line)}
    return pd.DataFrame(lines, columns=COLUMNS)


def _line(
    hypothesis: Hypothesis, task: Task, pairs: np.ndarray, censored: npt.NDArray[np.bool_], edge_runs: set[str]
) -> dict[str, Any]:
    name, a, b = task
    means = pairs.mean(axis=0) if len(pairs) else (np.nan, np.nan)
    scale = "" if hypothesis.factor == 1 else f"{hypothesis.factor:g} x "
    sides = {} if hypothesis.phase == "tune" else {"a": a, "b": b}
    edges = [side for side, runs in sides.items() if runs is not None and not edge_runs.isdisjoint(runs["run_id"])]
    return {
        "claim": hypothesis.claim, "setting": name, "metric": hypothesis.metric, "a": selector_text(hypothesis.a),
        "b": scale + selector_text(hypothesis.b), "direction": hypothesis.direction, "mean_a": means[0],
        "mean_b": means[1], "n": len(pairs), "margin": hypothesis.margin, "censored": int(censored.any(axis=1).sum()),
        "edges": " ".join(edges),
    }  # fmt: skip


def _adjusted(lines: Sequence[Mapping[str, Any]], bounds: Sequence[Difference | None]) -> list[float]:
    """Returns p corrected by Holm, separately for the lines that expect equality and for the others."""
    adjusted = [np.nan] * len(lines)
    for expects_equality in (True, False):
        family = [i for i, line in enumerate(lines) if (line["direction"] == "equal") is expects_equality]
        p = [np.nan if (bound := bounds[i]) is None else bound.p for i in family]
        for i, value in zip(family, holm(p), strict=True):
            adjusted[i] = value
    return adjusted


def _verdict(estimate: Difference, bound: Difference, p: float, line: Mapping[str, Any]) -> str:
    margin, expected = line["margin"], line["direction"]
    verdict = estimate.verdict(margin, p)
    if verdict == "practically equal":
        if line["censored"]:
            return "not shown"
        return "supported" if expected == "equal" else verdict
    if verdict not in ("higher", "lower"):
        return verdict
    if bound.verdict(0.0, p) != verdict:
        return "not shown"
    if expected == "equal" and estimate.low <= margin and estimate.high >= -margin:
        return "not shown"  # unequal, but possibly by less than the margin
    return "supported" if verdict == expected else "refuted"


def _least_favourable(pairs: np.ndarray, censored: npt.NDArray[np.bool_]) -> Difference:
    """The difference under the least favourable imputation of censored times. Both arguments: (pairs, 2)."""
    differences = pairs[:, 0] - pairs[:, 1]
    if differences.mean() > 0:
        differences[censored[:, 1]] = np.minimum(differences[censored[:, 1]], 0)
    else:
        differences[censored[:, 0]] = np.maximum(differences[censored[:, 0]], 0)
    return paired_difference(differences, np.zeros(len(differences)))


def _column(metric: str) -> str:
    absolute = _ABSOLUTE.fullmatch(metric)
    return absolute.group(1) if absolute else metric


def _pairs(
    hypothesis: Hypothesis, task: Task, costs: pd.DataFrame
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Values of a, and of b times the factor, and whether their runs are censored, both (pairs, 2).

    A pair is a seed (for costs: a round) that both sides have.
    """
    _, a, b = task
    longest = pd.concat([a, b])["seconds"].max()
    values_a = _values(hypothesis.metric, a, costs, longest)
    if isinstance(hypothesis.b, float):
        values_b = pd.Series(hypothesis.b, values_a.index)
    else:
        assert b is not None
        values_b = _values(hypothesis.metric, b, costs, longest)
    pairs = pd.concat([values_a, hypothesis.factor * values_b], axis=1).dropna()
    censored = np.zeros(pairs.shape, dtype=bool)
    if hypothesis.metric.endswith("_to_target"):
        for column, side in enumerate((a, b)):
            if side is not None:
                censored[:, column] = ~side.set_index("seed")["reached_target"].eq(True).loc[pairs.index]
    return pairs.to_numpy(dtype=float), censored


def _values(metric: str, runs: pd.DataFrame, costs: pd.DataFrame, longest: float) -> pd.Series:
    """Returns values by seed, or by round for costs. longest: seconds of the longest run, for diverged runs."""
    column = _column(metric)
    if column in COSTS_MEASURED:
        return costs[costs["run_id"].isin(runs["run_id"])].set_index("round")[column].astype(float)
    ended = ended_runs(runs).set_index("seed")
    values = ended[column].astype(float)
    if column.endswith("_to_target"):
        unit = column.removesuffix("_to_target")
        lengths = samples_seen(ended) if unit == "samples" else ended[unit]
        values = values.fillna(lengths.astype(float))
        values = values.fillna(longest) if unit == "seconds" else values
    if column in _WORST:
        values = values.mask((ended["status"] == "diverged") & values.isna(), _WORST[column])
    return values if column == metric else values.abs()

"""Verdicts on an experiment's hypotheses, one per hypothesis and task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pandas as pd

from actbench.analysis.differences import INCONCLUSIVE, NO_VERDICT, Difference
from actbench.analysis.labels import at_edge, compared_runs, labelled, usual_length
from actbench.analysis.selectors import Task, selector_text, tasks_of
from actbench.analysis.sides import SCORE, SCORES, Sides, sides_of
from actbench.analysis.statistics import LEVEL, holm
from actbench.experiment.questions import Hypothesis

COLUMNS = ["claim", "task", "metric", "a", "b", "direction", "mean_a", "mean_b", "difference", "low", "high", "n",
           "p", "margin", "verdict", "censored", "edges", "kind", "source", "testable", "reason",
           "scored_by"]  # fmt: skip


def judge_hypotheses(
    hypotheses: Sequence[Hypothesis], runs: pd.DataFrame, costs: pd.DataFrame, margin: float,
    margins: Mapping[str, float] = MappingProxyType({}), worst: Mapping[str, float] = MappingProxyType({}),
) -> pd.DataFrame:  # fmt: skip
    """Returns a frame with COLUMNS, one row per hypothesis and task.

    Verdicts: supported, refuted, equal (a difference is expected), inconclusive, or why none can be given. p: that the
    difference is 0, or where equality is expected that it is not within the margin, corrected by Holm over the lines
    that expect a difference and over those that expect equality, separately for each kind of hypothesis: definitions
    and costs make no claim harder to show. A run that never reaches its target counts with its full length in the
    means; a direction is supported or refuted only where it holds for every later time at which that run could have
    arrived. censored: pairs with such a run. edges: which of a and b have a learning rate at an end of the grid. kind,
    source, testable, reason: the hypothesis's, empty where it has none. runs, costs: rows of runs.csv and costs.csv.
    margin: of accuracies; margins: of the scores of other metrics, by name. worst: the score of a run that diverged, by
    data set, where it is not 0. scored_by: the metric of the task's scores, where the hypothesis is about these.
    """
    compared = usual_length(compared_runs(runs))
    edge_runs = set(compared.loc[at_edge(labelled(compared)), "run_id"])
    lines: list[dict[str, Any]] = []
    kinds: list[str] = []
    estimates: list[Difference | None] = []
    bounds: list[Difference | None] = []  # under the least favourable times of censored runs
    for hypothesis in hypotheses:
        for task in tasks_of(hypothesis, asked_runs(hypothesis, compared)):
            first = task[1].iloc[0]
            scored_by = str(first["metric"]) if hypothesis.metric == SCORE else ""
            own_margin = margins.get(scored_by, margin) if hypothesis.metric in SCORES else hypothesis.margin
            sides = sides_of(hypothesis, task, costs, worst.get(str(first["dataset"]), 0.0))
            estimates.append(sides.difference(own_margin))
            bounds.append(sides.least_favourable(own_margin))
            lines.append(_line(hypothesis, task, sides, edge_runs) | {"margin": own_margin, "scored_by": scored_by})
            kinds.append(hypothesis.kind)
    _correct(lines, kinds, estimates, bounds)
    for line, estimate, bound in zip(lines, estimates, bounds, strict=True):
        if estimate is None or bound is None:
            line["verdict"] = "no runs"
        else:
            p = estimate.p_equal if line["direction"] == "equal" else bound.p
            line |= {"difference": estimate.mean, "low": estimate.low, "high": estimate.high, "p": p}
            line["verdict"] = _verdict(estimate, bound, line)
    return pd.DataFrame(lines, columns=COLUMNS)


def asked_runs(hypothesis: Hypothesis, compared: pd.DataFrame) -> pd.DataFrame:
    """The runs that a hypothesis selects from; their rates are a key only where it is asked at every rate."""
    if hypothesis.rates != "every":
        return compared.rename(columns={"lr": "rate"})
    tuning = compared["phase"] == "tune"  # of an older version, in which the other runs have one rate
    return compared[tuning] if tuning.any() else compared


def _line(hypothesis: Hypothesis, task: Task, sides: Sides, edge_runs: set[str]) -> dict[str, Any]:
    name, a, b = task
    scale = "" if hypothesis.factor == 1 else f"{hypothesis.factor:g} x "
    shown = {} if hypothesis.rates != "chosen" else {"a": a, "b": b}
    edges = [
        side for side, runs in shown.items()
        if runs is not None and not edge_runs.isdisjoint(runs.loc[runs["chosen"].eq(True), "run_id"])
    ]  # fmt: skip
    mean_a, mean_b = sides.means
    return {
        "claim": hypothesis.claim, "task": name, "metric": hypothesis.metric, "a": selector_text(hypothesis.a),
        "b": scale + selector_text(hypothesis.b), "direction": hypothesis.direction, "mean_a": mean_a,
        "mean_b": mean_b, "n": len(sides.pairs), "censored": int(sides.censored.any(axis=1).sum()),
        "edges": " ".join(edges), "kind": hypothesis.kind, "source": hypothesis.source or "",
        "testable": hypothesis.testable or "", "reason": hypothesis.reason,
    }  # fmt: skip


def _correct(
    lines: Sequence[Mapping[str, Any]], kinds: Sequence[str], estimates: list[Difference | None],
    bounds: list[Difference | None],
) -> None:  # fmt: skip
    """Replaces the p-values by those corrected by Holm: of each kind, for lines that expect equality and for others."""
    families = [(kind, line["direction"] == "equal") for kind, line in zip(kinds, lines, strict=True)]
    for own in dict.fromkeys(families):
        expects_equality = own[1]
        family = [place for place, other in enumerate(families) if other == own]
        for found in (estimates, bounds):
            judged = {place: difference for place in family if (difference := found[place]) is not None}
            for name in ("p", "p_better", "p_worse", *(["p_equal"] if expects_equality else [])):
                corrected = holm([getattr(difference, name) for difference in judged.values()])
                judged = {
                    place: replace(difference, **{name: value})  # type: ignore[arg-type]
                    for (place, difference), value in zip(judged.items(), corrected, strict=True)
                }
            for place, difference in judged.items():
                found[place] = difference


def _verdict(estimate: Difference, bound: Difference, line: Mapping[str, Any]) -> str:
    found, expected = estimate.verdict, line["direction"]
    if found == NO_VERDICT:
        return "too few seeds"
    if found == "equal":
        if line["censored"]:
            return INCONCLUSIVE
        return "supported" if expected == "equal" else "equal"
    if bound.p > LEVEL or math.copysign(1, bound.mean) != math.copysign(1, estimate.mean):
        return INCONCLUSIVE
    if expected == "equal":  # refuted only where the difference is shown to exceed the margin
        return "refuted" if found in ("better", "worse") else INCONCLUSIVE
    return "supported" if (bound.mean > 0) is (expected == "higher") else "refuted"

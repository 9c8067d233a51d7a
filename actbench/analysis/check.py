"""Checks hypotheses against the runs that are planned, before anything trains."""

from collections.abc import Mapping, Sequence

import pandas as pd

from actbench.analysis.hypotheses import asked_runs
from actbench.analysis.labels import labelled
from actbench.analysis.selectors import IDENTITY, matches, selectable_keys, selector_text, tasks_of, with_variants
from actbench.analysis.sides import SCORE, SCORES, column_of
from actbench.errors import UsageError, nearest_names
from actbench.experiment.questions import Hypothesis
from actbench.training.results import COSTS_MEASURED, MARKS

_NO_METRICS = (
    *IDENTITY, *MARKS, "run_id", "phase", "seed", "status", "device", "processor", "torch", "variant", "metric",
)  # fmt: skip


def check_hypotheses(hypotheses: Sequence[Hypothesis], runs: pd.DataFrame, racing: bool) -> None:
    """Raises UsageError for an unknown metric, or where a, b or where select no planned runs or ambiguous ones.

    runs: rows of the runs of the first stage. racing: whether rates are raced out.
    """
    for number, hypothesis in enumerate(hypotheses, 1):
        place = f"hypothesis {number} ({hypothesis.claim[:40]})"
        _check_metric(hypothesis, [*(key for key in map(str, runs) if key not in _NO_METRICS), *COSTS_MEASURED], place)
        if hypothesis.rates == "every" and racing:
            raise UsageError(f"{place}: rates: every needs all seeds at every rate; set protocol.racing=false")
        planned = asked_runs(hypothesis, runs)
        if hypothesis.rates != "every":  # one rate of each series counts
            planned = planned.loc[labelled(runs).drop_duplicates(["task", "series", "seed"]).index]
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
    name = column_of(hypothesis.metric)
    if name not in metrics:
        raise UsageError(f"{place}: no metric {name!r}{nearest_names(name, metrics)}")
    if name in SCORES and hypothesis.margin:
        others = " (margin_r2 of R², margin_bits of text)" if name == SCORE else ""
        raise UsageError(f"{place}: the margin of {name} is protocol.margin{others}; drop it here")
    if hypothesis.rates == "every" and name in COSTS_MEASURED:
        raise UsageError(f"{place}: {name} is measured once an activation; take rates: chosen")
    if name not in SCORES and hypothesis.direction == "equal" and not hypothesis.margin:
        raise UsageError(f"{place}: give a margin, in the unit of {hypothesis.metric}, up to which it is equal")


def _check_selectors(hypothesis: Hypothesis, runs: pd.DataFrame, place: str) -> None:
    for selector in (hypothesis.a, hypothesis.b, hypothesis.where):
        if not isinstance(selector, Mapping):
            continue
        for key in selector:
            if key not in (keys := selectable_keys(runs)):
                hint = (
                    "; the protocol chooses it: take rates: every, and protocol.racing=false"
                    if key == "lr"
                    else nearest_names(key, keys)
                )
                raise UsageError(f"{place}: the grid's runs do not differ by {key!r}{hint}")
        if not matches(runs, selector).any():
            raise UsageError(f"{place}: no run of the grid has {selector_text(selector)}")

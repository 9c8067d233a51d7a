"""What the runs say to an experiment's hypotheses, one verdict a hypothesis and setting."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from actbench.analysis.labels import at_edge, ended_runs, labelled, samples_seen
from actbench.analysis.statistics import Difference, holm, paired_difference
from actbench.errors import UsageError, nearest_names
from actbench.experiment.questions import Hypothesis, Selector

COSTS = ("activation_ns", "step_ns", "step_share")  # of costs.csv, a value a round instead of a seed
COLUMNS = ["claim", "setting", "metric", "a", "b", "direction", "mean_a", "mean_b", "difference", "low", "high", "n",
           "p", "margin", "verdict", "censored", "edges"]  # fmt: skip

_ALWAYS = ("dataset", "architecture")  # said even where they do not vary
_IDENTITY = (*_ALWAYS, "activation", "initialization", "optimizer", "lr")
_NO_METRICS = (*_IDENTITY, "run_id", "phase", "seed", "status", "device", "variant")
_ABSOLUTE = re.compile(r"abs\((\w+)\)")
_WORST = {"test_accuracy": 0.0, "val_accuracy": 0.0, "auc": 0.0, "reached_target": 0.0}  # of a run that diverged


def check_hypotheses(hypotheses: Sequence[Hypothesis], runs: pd.DataFrame) -> None:
    """Raises UsageError where a hypothesis names a metric that is none, or runs that are not in the plan.

    runs: rows of the planned tuning runs.
    """
    for number, hypothesis in enumerate(hypotheses, 1):
        place, name = f"hypothesis {number} ({hypothesis.claim[:40]})", _name(hypothesis.metric)
        metrics = [*(key for key in map(str, runs) if key not in _NO_METRICS), *COSTS]
        if name not in metrics:
            raise UsageError(f"{place}: no metric {name!r}{nearest_names(name, metrics)}")
        planned = runs
        if hypothesis.phase == "tune" and name in ("test_accuracy", *COSTS):
            raise UsageError(f"{place}: {name} is not measured while tuning; take val_accuracy, or phase: confirm")
        if hypothesis.phase == "confirm":  # will have one rate
            planned = labelled(runs).drop_duplicates(["setting", "series", "seed"]).drop(columns="lr")
        frame = _by_terms(planned)
        for selector in _selectors(hypothesis):
            for key in selector:
                if key not in (known := _keys(frame)):
                    hint = "; it is chosen while tuning: take phase: tune" if key == "lr" else nearest_names(key, known)
                    raise UsageError(f"{place}: the grid's runs do not differ by {key!r}{hint}")
            if not _fits(frame, selector).any():
                raise UsageError(f"{place}: no run of the grid has {selector_text(selector)}")
        sides = list(_settings(hypothesis, planned))
        if not sides:
            raise UsageError(
                f"{place}: the grid has {selector_text(hypothesis.a)} and {selector_text(hypothesis.b)}, "
                "but in no setting both"
            )
        if any(side["seed"].duplicated().any() for _, a, b in sides for side in (a, b) if side is not None):
            raise UsageError(f"{place}: several runs of one seed on a side; name in a and b what tells them apart")


def judge_hypotheses(hypotheses: Sequence[Hypothesis], runs: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS, a line a hypothesis and setting; p by Holm over all lines that expect a difference, and over all that
    expect none.

    runs: rows of runs.csv; costs: as costs.csv has them. Verdicts: supported, refuted, practically equal, not shown,
    or why none can be given. A run that never reaches its target counts with its whole length in the mean, and in the
    test with any time from there: a side is earlier or later only where it would be so for all of these. censored:
    pairs with such a run. edges: of a and b, whose learning rate lies at an end of the grid that was tried.
    """
    lines: list[dict[str, Any]] = []
    found: list[Difference | None] = []
    surest: list[Difference | None] = []  # what remains of them whenever censored runs would arrive
    edge = set(runs.loc[at_edge(labelled(runs)), "run_id"])
    for hypothesis in hypotheses:
        chosen = runs[runs["phase"] == hypothesis.phase]
        if hypothesis.phase == "confirm":
            chosen = chosen.drop(columns="lr")
        for setting, a, b in _settings(hypothesis, chosen):
            pairs, late = _pairs(hypothesis, a, b, costs)
            found.append(paired_difference(pairs[:, 0], pairs[:, 1]) if len(pairs) else None)
            surest.append(_surest(pairs, late) if late.any() else found[-1])
            means = pairs.mean(axis=0) if len(pairs) else (np.nan, np.nan)
            scale = "" if hypothesis.factor == 1 else f"{hypothesis.factor:g} x "
            lines.append({
                "claim": hypothesis.claim, "setting": setting, "metric": hypothesis.metric,
                "a": selector_text(hypothesis.a),
                "b": scale + selector_text(hypothesis.b), "direction": hypothesis.direction, "mean_a": means[0],
                "mean_b": means[1], "n": len(pairs), "margin": hypothesis.margin,
                "censored": int(late.any(axis=1).sum()),
                "edges": "" if hypothesis.phase == "tune" else _edges(edge, a, b),
            })  # fmt: skip
    adjusted = [np.nan] * len(found)
    for kind in (True, False):
        family = [place for place, line in enumerate(lines) if (line["direction"] == "equal") is kind]
        for place, p in zip(family, holm([_p(surest[place]) for place in family]), strict=True):
            adjusted[place] = p
    for line, one, sure, p in zip(lines, found, surest, adjusted, strict=True):
        if one is None or sure is None:
            line |= {"verdict": "no runs"}
        else:
            line |= {"difference": one.mean, "low": one.low, "high": one.high, "p": p}
            line |= {"verdict": _verdict(one, sure, p, line["margin"], line["direction"], line["censored"])}
    return pd.DataFrame(lines, columns=COLUMNS)


def _p(found: Difference | None) -> float:
    return float("nan") if found is None else found.p


def _verdict(found: Difference, sure: Difference, p: float, margin: float, expected: str, censored: int) -> str:
    seen = found.verdict(margin, p)
    if seen == "practically equal":
        if censored:
            return "not shown"
        return "supported" if expected == "equal" else seen
    if seen not in ("higher", "lower"):
        return seen
    if sure.verdict(0.0, p) != seen:
        return "not shown"
    if expected == "equal" and found.low <= margin and found.high >= -margin:
        return "not shown"  # unequal, and perhaps by less than the margin
    return "supported" if seen == expected else "refuted"


def _edges(edge: set[str], a: pd.DataFrame, b: pd.DataFrame | None) -> str:
    """Which of the sides have runs at an end of their grids."""
    sides = {"a": a, "b": b}
    return " ".join(name for name, own in sides.items() if own is not None and not edge.isdisjoint(own["run_id"]))


def _surest(pairs: np.ndarray, late: np.ndarray) -> Difference:
    """Of the differences those that remain if what has not arrived does so whenever it speaks least for their mean."""
    differences = pairs[:, 0] - pairs[:, 1]
    later = differences.mean() > 0
    some = late[:, 1] if later else late[:, 0]
    differences[some] = np.minimum(differences[some], 0) if later else np.maximum(differences[some], 0)
    return paired_difference(differences, np.zeros(len(differences)))


def _name(metric: str) -> str:
    absolute = _ABSOLUTE.fullmatch(metric)
    return absolute.group(1) if absolute else metric


def _selectors(hypothesis: Hypothesis) -> list[Selector]:
    given = (hypothesis.a, hypothesis.b, hypothesis.where)
    return [selector for selector in given if isinstance(selector, Mapping)]


def _by_terms(runs: pd.DataFrame) -> pd.DataFrame:
    """runs with a column for each key of their variants."""
    return runs.reset_index(drop=True).join(pd.DataFrame(list(runs["variant"])))


def _keys(frame: pd.DataFrame) -> list[str]:
    return [key for key in map(str, frame) if key in _IDENTITY or "." in key]


def _fits(frame: pd.DataFrame, selector: Selector) -> "pd.Series[bool]":
    fits = pd.Series(True, index=frame.index)
    for key, value in selector.items():
        fits &= frame[key].map(lambda own, value=value: _same(own, value))
    return fits


def _same(one: object, other: str | float) -> bool:
    try:
        return float(str(one)) == float(other)
    except ValueError:
        return str(one) == other


def _settings(hypothesis: Hypothesis, runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame | None]]:
    """(setting, runs a, runs b) for each setting that has both. What a and b do not name is equal in a setting."""
    frame = _by_terms(runs)
    frame = frame[_fits(frame, hypothesis.where)]
    a, b = hypothesis.a, hypothesis.b if isinstance(hypothesis.b, Mapping) else None
    named = {*a, *(b or {})}
    common = [k for k in _keys(frame) if k not in named and not ("activation" in named and k.startswith("activation."))]
    said = [key for key in common if key in _ALWAYS or frame[key].nunique(dropna=False) > 1]
    for _, own in frame.groupby([*common, "phase"], sort=False, dropna=False):
        of_a, of_b = own[_fits(own, a)], None if b is None else own[_fits(own, b)]
        if len(of_a) and (of_b is None or len(of_b)):
            first = {key: own[key].iloc[0] for key in said}
            yield ", ".join(_term(key, value) for key, value in first.items() if pd.notna(value)), of_a, of_b


def _pairs(
    hypothesis: Hypothesis, a: pd.DataFrame, b: pd.DataFrame | None, costs: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Both (pairs, 2): values of a, and of b times the factor, of the seeds (for costs: rounds) that both have; and
    whether these are of runs that never arrived."""
    longest = pd.concat([a, b])["seconds"].max()
    of_a = _values(hypothesis.metric, a, costs, longest)
    of_b = pd.Series(hypothesis.b, of_a.index) if b is None else _values(hypothesis.metric, b, costs, longest)
    pairs = pd.concat([of_a, hypothesis.factor * of_b], axis=1).dropna()
    late = np.zeros(pairs.shape, dtype=bool)
    if hypothesis.metric.endswith("_to_target"):
        for side, own in enumerate((a, b)):
            if own is not None:
                late[:, side] = ~own.set_index("seed")["reached_target"].eq(True).loc[pairs.index]
    return pairs.to_numpy(dtype=float), late


def _values(metric: str, runs: pd.DataFrame, costs: pd.DataFrame, longest: float) -> pd.Series:
    """By seed, or for costs by round. longest: seconds of the longest run, for those that diverged."""
    name = _name(metric)
    if name in COSTS:
        own = costs[costs["run_id"].isin(runs["run_id"])].set_index("round")
        return own[name].astype(float)
    ended = ended_runs(runs).set_index("seed")
    values = ended[name].astype(float)
    if name.endswith("_to_target"):
        values = values.fillna(_whole(name.removesuffix("_to_target"), ended))
        values = values.fillna(longest) if name == "seconds_to_target" else values
    if name in _WORST:
        values = values.mask((ended["status"] == "diverged") & values.isna(), _WORST[name])
    return values if name == metric else values.abs()


def _whole(unit: str, runs: pd.DataFrame) -> pd.Series:
    """Length of a run."""
    return (samples_seen(runs) if unit == "samples" else runs[unit]).astype(float)


def _term(key: str, value: object) -> str:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return shown if key in _IDENTITY[:-1] else f"{key}={shown}"


def selector_text(selector: Selector | float) -> str:
    if not isinstance(selector, Mapping):
        return f"{selector:g}"
    return " ".join(_term(key, value) for key, value in selector.items())

"""Selects the runs that a hypothesis compares, as two sides per task."""

from collections.abc import Iterator, Mapping

import pandas as pd

from actbench.experiment.questions import Hypothesis, Selector

_ALWAYS = ("dataset", "architecture")  # in the name of a task even where they do not vary
_NAMES = (*_ALWAYS, "activation", "initialization", "optimizer")  # columns whose values are written without `key=`
IDENTITY = (*_NAMES, "lr")


Task = tuple[str, pd.DataFrame, pd.DataFrame | None]  # name, runs a, runs b (None where b is a number)


def with_variants(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns runs with an additional column for each key of their variants."""
    return runs.reset_index(drop=True).join(pd.DataFrame(list(runs["variant"])))


def selectable_keys(runs: pd.DataFrame) -> list[str]:
    """Columns that a selector may name."""
    return [key for key in map(str, runs) if key in IDENTITY or "." in key]


def matches(runs: pd.DataFrame, selector: Selector) -> "pd.Series[bool]":
    """Whether each run has all values of a selector."""
    matches = pd.Series(True, index=runs.index)
    for key, wanted in selector.items():
        matches &= runs[key].map(lambda value, wanted=wanted: _equal(value, wanted))
    return matches


def _equal(value: object, wanted: str | float) -> bool:
    """Compares as numbers if both are numbers, because a variant's value is text."""
    try:
        return float(str(value)) == float(wanted)
    except ValueError:
        return str(value) == wanted


def tasks_of(hypothesis: Hypothesis, runs: pd.DataFrame) -> Iterator[Task]:
    """Yields each task that has runs of both sides; its runs agree in every key that neither a nor b names."""
    runs = with_variants(runs)
    runs = runs[matches(runs, hypothesis.where)]
    a, b = hypothesis.a, hypothesis.b if isinstance(hypothesis.b, Mapping) else None
    compared = {*a, *(b or {})}
    shared = [
        key
        for key in selectable_keys(runs)
        if key not in compared and not ("activation" in compared and key.startswith("activation."))
    ]
    in_name = [key for key in shared if key in _ALWAYS or runs[key].nunique(dropna=False) > 1]
    for _, group in runs.groupby(shared, sort=False, dropna=False):
        runs_a, runs_b = group[matches(group, a)], None if b is None else group[matches(group, b)]
        if len(runs_a) and (runs_b is None or len(runs_b)):
            values = {key: group[key].iloc[0] for key in in_name}
            name = ", ".join(_term(key, value) for key, value in values.items() if pd.notna(value))
            yield name, runs_a, runs_b


def _term(key: str, value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if key in _NAMES else f"{key}={text}"


def selector_text(selector: Selector | float) -> str:
    """Returns a selector as text, such as `relu lr=0.1`, or a number as text."""
    if not isinstance(selector, Mapping):
        return f"{selector:g}"
    return " ".join(_term(key, value) for key, value in selector.items())

"""Marks on the keys of settings that say which of them enter the run id, and with which values."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from actbench.experiment.validation import Settings

# Marks a key that decides no number of a run, so that the run id does not depend on it.
OUTSIDE_ID = "outside the run id"


@dataclass(frozen=True)
class Absent:
    """Marks the value at which a run is as it was before its key existed. For every key None is such a value."""

    value: object


def deciding_keys(settings: Settings) -> dict[str, Any]:
    """The keys of a group that can decide a run's numbers: all but those marked OUTSIDE_ID."""
    absences = _absences(type(settings))
    return {key: value for key, value in settings if key in absences}


def present_keys(settings: Settings) -> dict[str, Any]:
    """The keys of `deciding_keys` whose value does not mean absence."""
    absences = _absences(type(settings))
    return {key: value for key, value in settings if key in absences and value not in absences[key]}


@cache  # a plan reads it six times a run
def _absences(model: type[Settings]) -> dict[str, list[object]]:
    """The keys of a group that can decide a run's numbers, each with the values that mean its absence."""
    return {
        key: [None, *(mark.value for mark in field.metadata if isinstance(mark, Absent))]
        for key, field in model.model_fields.items()
        if OUTSIDE_ID not in field.metadata
    }

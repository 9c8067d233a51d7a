"""Marks on the keys of settings that say which of them enter the run id, and with which values."""

from dataclasses import dataclass
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
    fields = type(settings).model_fields
    return {key: value for key, value in settings if OUTSIDE_ID not in fields[key].metadata}


def present_keys(settings: Settings) -> dict[str, Any]:
    """The keys of `deciding_keys` whose value does not mean absence."""
    fields = type(settings).model_fields
    return {
        key: value
        for key, value in deciding_keys(settings).items()
        if value is not None and Absent(value) not in fields[key].metadata
    }

"""Parses overrides in Hydra's grammar into the choices that span a grid."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from actbench.errors import UsageError, nearest_names
from actbench.experiment.command import CommandSettings
from actbench.experiment.schema import RunSettings
from actbench.experiment.validation import as_yaml

MOST_RUNS = 100_000  # grid points of one command

RUN_GROUPS = tuple(RunSettings.model_fields)
COMMAND_GROUPS = tuple(CommandSettings.model_fields)
GONE = {  # keys of an older version -> what to write instead
    "protocol.tuning_seeds": "every rate trains on all seeds now: drop it, and give their number as protocol.seeds",
}
GROUPS = (*(key for key in RUN_GROUPS if key != "seed"), *COMMAND_GROUPS)


class Choice(NamedTuple):
    """One value of one override: the override lines that express it; for a scalar, its key and value."""

    lines: tuple[str, ...]
    group: str = ""  # of a choice within a group
    scalar: str = ""  # the key of a scalar that is set on a composed tree
    value: Any = None


def parse_overrides(overrides: Sequence[str], loader: Any) -> list[Override]:
    """Returns parsed overrides; of two for one key the later wins: the command line's, not the experiment's."""
    parser = OverridesParser.create(config_loader=loader)
    by_key: dict[str, Override] = {}
    for line in overrides:
        try:
            (override,) = parser.parse_overrides([line])
        except (HydraException, ValueError) as error:
            raise UsageError(
                f"{line}: not Hydra's grammar; put a value with special characters in quotes of its own, "
                f"'key=\"value\"' ({_first_line(error)})"
            ) from error
        if override.key_or_group in GONE:
            raise UsageError(f"{line}: {GONE[override.key_or_group]}")
        if override.is_delete():
            raise UsageError(
                f"{line}: keys cannot be deleted; set one to null, or choose another {override.key_or_group}"
            )
        by_key.pop(override.key_or_group, None)
        by_key[override.key_or_group] = override
    return list(by_key.values())


def choices_of(override: Override, loader: Any) -> list[Choice]:
    """The values of an override: one, or those of its sweep."""
    key, line = override.key_or_group, str(override.input_line)
    prefix = line[: line.index(key)]  # + or ++
    values = _swept(override, f"{prefix}{key}", line) if override.is_sweep_override() else [override]
    if key in GROUPS:
        is_glob = isinstance(override.value(), Glob)  # a glob matches rows of the table, not `custom`
        chosen = [value.value() for value in values if not (is_glob and value.value() == "custom")]
        return [_group_choice(key, value, loader) for value in chosen]
    # Only seed and group.key are set on a composed tree; dataset.target is not, as training.target follows it.
    on_tree = prefix == "" and (key == "seed" or key.count(".") == 1) and not key.startswith("dataset.")
    if not override.is_sweep_override() or not on_tree:
        return [Choice((str(value.input_line),)) for value in values]
    return [Choice((str(value.input_line),), scalar=key, value=value.value()) for value in values]


def _swept(override: Override, key: str, line: str) -> list[Override]:
    """The values of a sweep, each as an override of its own."""
    parser = OverridesParser.create()
    try:
        values = list(itertools.islice(override.sweep_string_iterator(), MOST_RUNS + 1))
        singles = [parser.parse_override(f"{key}={value}") for value in values[:MOST_RUNS]]
    except (HydraException, ValueError, TypeError) as error:
        raise UsageError(f"{line}: cannot be swept over: {_first_line(error)}") from error
    if not singles:
        raise UsageError(f"{line}: the sweep is empty")
    if len(values) > MOST_RUNS:
        raise UsageError(f"{line}: more than {MOST_RUNS} values; split the sweep")
    return singles


def _group_choice(group: str, value: Any, loader: Any) -> Choice:
    """activation=module:function is short for activation=custom activation.function=module:function."""
    options = loader.get_group_options(group)
    if not isinstance(value, str):
        raise UsageError(f"{group}={as_yaml(value)}: choose one of {', '.join(options)}")
    if group == "activation" and ":" in value:
        return Choice(("activation=custom", f"activation.function='{value}'"), group)
    if value not in options:
        raise UsageError(f"{group}={value}: no such {group}{nearest_names(value, options)}")
    return Choice((f"{group}={value}",), group)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Parses overrides in Hydra's grammar into the choices that span a grid."""

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, RangeSweep
from hydra.errors import HydraException

from actbench.errors import UsageError, nearest_names
from actbench.experiment.command import CommandSettings
from actbench.experiment.schema import RunSettings
from actbench.experiment.validation import as_yaml

MOST_RUNS = 100_000  # grid points of one command
# Characters: of a key, as Hydra looks for a file of that name; of a line and of a list in it, as Hydra reads 12 KB/s.
_LONGEST_KEY, _LONGEST_LINE, _LONGEST_LIST = 200, 20_000, 2_000

RUN_GROUPS = tuple(RunSettings.model_fields)
COMMAND_GROUPS = tuple(CommandSettings.model_fields)
GONE = {  # keys of an older version -> what to write instead
    "protocol.tuning_seeds": "every rate trains on all seeds now: drop it, and give their number as protocol.seeds",
}
GROUPS = tuple(key for key in (*RUN_GROUPS, *COMMAND_GROUPS) if key not in ("seed", "name"))


class Choice(NamedTuple):
    """One value of one override: the override lines that express it; for a scalar, its key and value."""

    lines: tuple[str, ...]
    group: str = ""  # of a choice within a group
    scalar: str = ""  # the key of a scalar that is set on a composed tree
    value: Any = None


def parse_overrides(overrides: Sequence[str], loader: Any) -> list[Override]:
    """Returns parsed overrides; of two for one key the later wins: the command line's, not the experiment's.

    Raises UsageError where an override cannot be parsed, or addresses what is no setting of a run or a command.
    """
    parser = OverridesParser.create(config_loader=loader)
    by_key: dict[str, Override] = {}
    for line in overrides:
        if len(line.partition("=")[0]) > _LONGEST_KEY:
            raise UsageError(f"unknown key {line.partition('=')[0]}; `actbench options` prints all")
        if len(line) > _LONGEST_LINE:
            raise UsageError(
                f"{line}: {len(line):,} characters, more than {_LONGEST_LINE:,}; write range(a,b), or split it"
            )
        try:
            (override,) = parser.parse_overrides([line])
        except (HydraException, ValueError, RecursionError) as error:
            raise UsageError(
                f"{line or repr(line)}: not Hydra's grammar; put a value with special characters in quotes of its own, "
                f"'key=\"value\"' ({_first_line(error)})"
            ) from error
        _check(line, override)
        by_key.pop(override.key_or_group, None)
        by_key[override.key_or_group] = override
    return list(by_key.values())


def _check(line: str, override: Override) -> None:
    """Raises UsageError for a key that no setting can have, and for an endless list."""
    key = override.key_or_group
    if key in GONE:
        raise UsageError(f"{line}: {GONE[key]}")
    if override.is_delete():
        raise UsageError(f"{line}: keys cannot be deleted; set one to null, or choose another {key}".rstrip())
    if not key:
        raise UsageError(f"{line}: there is no key before =; write key=value")
    if re.split(r"[./]", key)[0] == "hydra":
        raise UsageError(f"{line}: settings of Hydra itself are for `actbench train --multirun` alone; leave it out")
    if isinstance(override.value(), list | dict) and len(line) > _LONGEST_LIST:
        raise UsageError(f"{line}: a list of more than {_LONGEST_LIST:,} characters; shorten it")
    if override.package is not None:
        raise UsageError(f"{line}: a group has one place here; write {key}=... without @{override.package}")


def number_of_values(override: Override, loader: Any) -> int:
    """How many values an override has, before any of them is made. Raises UsageError for a wrong range."""
    value: Any = override.value()
    if isinstance(value, RangeSweep):
        return _length(str(override.input_line), value)
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    if isinstance(value, Glob):
        return len(value.filter(loader.get_group_options(override.key_or_group)))
    return 1


def _length(line: str, sweep: RangeSweep) -> int:
    """The number of values of a range. Raises UsageError where its numbers are not finite or its step is 0."""
    start, stop, step = sweep.start or 0, sweep.stop or 0, sweep.step
    if not all(math.isfinite(number) for number in (start, stop, step)):
        raise UsageError(f"{line}: a range needs finite numbers, range(start,stop,step)")
    if step == 0:
        raise UsageError(f"{line}: the step of a range must not be 0")
    return max(0, math.ceil((Fraction(stop) - Fraction(start)) / Fraction(step)))


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
        singles = [parser.parse_override(f"{key}={value}") for value in override.sweep_string_iterator()]
    except (HydraException, ValueError, TypeError) as error:
        raise UsageError(f"{line}: cannot be swept over: {_first_line(error)}") from error
    if not singles:
        raise UsageError(f"{line}: the sweep is empty")
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

"""Keyword arguments as overrides of the command line: one grammar, with Python's values."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from actbench.api.cells import activation_path
from actbench.errors import UsageError
from actbench.experiment.overrides import GROUPS
from actbench.experiment.validation import as_yaml

# Keys whose value is one list, or one mapping; of all others a list is a grid, and a mapping holds keys.
_LISTS = ("protocol.learning_rates", "optimizer.betas")
_MAPPINGS = ("execution.slurm.additional",)
_PLAIN = re.compile(r"[A-Za-z_][\w.:/+-]*")  # a text that needs no quotes
_RESERVED = ("null", "true", "false", "nan", "inf")


def overrides_of(settings: Mapping[str, object]) -> list[str]:
    """`training={"steps": 5}, seed=range(3)` as `training.steps=5` and `seed=0,1,2`.

    A list, a tuple or a range is a grid. A mapping has the keys of a group; its `name` is the group's choice. A
    function or class as activation is passed by its module. Raises UsageError for what the command line cannot say.
    """
    return list(_overrides(settings, ""))


def _overrides(settings: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in settings.items():
        key = prefix.rstrip(".") if name == "name" and prefix else f"{prefix}{name}"
        if isinstance(value, Mapping) and key not in _MAPPINGS:
            yield from _overrides(value, f"{key}.")
        elif key in _LISTS and _is_grid(value):
            values = list(value)
            nested = [_list(key, own) for own in values] if values and _is_grid(values[0]) else [_list(key, values)]
            yield f"{key}={','.join(nested)}"
        elif _is_grid(value):
            if not (values := [_text(key, own) for own in value]):
                raise UsageError(f"{key}: an empty grid; give at least one value")
            yield f"{key}={','.join(values)}"
        elif key in GROUPS and isinstance(value, int | float):
            raise UsageError(f'{key}={value!r}: is a group; write a choice, or {key}={{"key": value}}')
        else:
            yield f"{key}={_text(key, value)}"


def _is_grid(value: object) -> bool:
    """A list, a tuple, a range, or an array of numpy."""
    return isinstance(value, list | tuple | range) or getattr(value, "ndim", 0) == 1


def _list(key: str, values: object) -> str:
    return f"[{','.join(_text(key, value) for value in values)}]"  # type: ignore[attr-defined]


def _text(key: str, value: Any) -> str:
    """A single value in Hydra's grammar."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of numpy or torch
        value = value.item()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_text(key, own)}" for name, own in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return str(as_yaml(value))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED else _quoted(value)
    if callable(value):
        return activation_path(value, key)
    shown = " ".join(repr(value).split())[:100]
    raise UsageError(f"{key}={shown}: write a text, a number, True, False, None, a list of these, or a function")


def _quoted(text: str) -> str:
    """A text in Hydra's single quotes; a backslash is special before a quote only."""
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", text)) + "'"

"""From a composed mapping to the frozen dataclasses of config.py: names, types and choices, by annotation."""

import dataclasses
import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from actbench.config import ARCHITECTURES, OPTIMIZERS, Config
from actbench.errors import UsageError


def from_mapping(mapping: Mapping[str, Any]) -> Config:
    """The composed configuration as dataclasses. Raises UsageError on unknown or missing keys and wrong values."""
    config: Config = _build(Config, mapping, "")
    return config


def _build(cls: type, mapping: Any, path: str) -> Any:
    """A dataclass from a mapping; path is the dotted key so far."""
    if not isinstance(mapping, Mapping):
        raise UsageError(f"{path}={mapping}: must be a group of keys")
    hints = _hints(cls)
    unknown = [key for key in mapping if key not in hints]
    if unknown:
        raise UsageError(f"unknown key {_join(path, unknown[0])}; known here: {', '.join(hints)}")
    missing = [key for key in hints if key not in mapping]
    if missing:
        raise UsageError(f"missing key {_join(path, missing[0])}")
    return cls(**{key: _value(hint, mapping[key], _join(path, key)) for key, hint in hints.items()})


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _value(hint: Any, value: Any, path: str) -> Any:
    if path in ("architecture", "optimizer"):
        choices: Mapping[str, type] = ARCHITECTURES if path == "architecture" else OPTIMIZERS
        name = str(value.get("name") if isinstance(value, Mapping) else value)
        if name not in choices:
            raise UsageError(f"{path}.name={name}: must be one of {', '.join(choices)}")
        return _build(choices[name], value, path)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, path)  # type: ignore[arg-type]
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    for option in options:
        matched, converted = _match(option, value)
        if matched:
            return converted
    raise UsageError(f"{path}={value}: must be {' or '.join(_wanted(option) for option in options)}")


def _match(hint: Any, value: Any) -> tuple[bool, Any]:
    if get_origin(hint) is Literal:
        return value in get_args(hint), value
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        if not isinstance(value, list | tuple) or not all(_match(item, element)[0] for element in value):
            return False, None
        return True, tuple(_match(item, element)[1] for element in value)
    if hint is float:
        valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return valid, float(value) if valid else None
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    return isinstance(value, hint), value


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint))) if len(get_args(hint)) > 1 else str(get_args(hint)[0])
    if get_origin(hint) is tuple:
        return "a list of numbers, [0.01,0.1]"
    names = {float: "a finite number", int: "a whole number", str: "text", bool: "true or false", type(None): "null"}
    return names[hint]

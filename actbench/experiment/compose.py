"""Hydra composes: conf/, an experiment's overrides and the command line become configs, one a grid point.

Overrides are Hydra's own grammar, parsed by Hydra. A sweep is not Hydra's multirun (0.16 to 0.32 s a job before any
training): groups are composed once per distinct choice, scalars ride on the result.
"""

import contextlib
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import SearchPathElement
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from actbench.errors import UsageError, nearest_names
from actbench.experiment.questions import shipped
from actbench.experiment.schema import Config, from_mapping

GROUPS = (
    "dataset", "architecture", "activation", "initialization", "optimizer", "training", "protocol", "execution",
    "store",
)  # fmt: skip


MOST_RUNS = 100_000  # grid points of one command


@contextlib.contextmanager
def _hydra(config_dir: str | None) -> Iterator[Any]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(shipped("conf").resolve()), version_base="1.3"):
        loader: Any = GlobalHydra.instance().config_loader()
        if config_dir is not None:
            if not Path(config_dir).is_dir():
                raise UsageError(f"--config-dir {config_dir}: no such folder")
            sources = loader.get_search_path().get_path()  # Hydra wants its own schema last
            sources.insert(len(sources) - 1, SearchPathElement("command-line", f"file://{Path(config_dir).resolve()}"))
            loader.repository = type(loader.repository)(loader.get_search_path())
        yield loader


def compose_grid(overrides: Sequence[str], config_dir: str | None = None) -> list[Config]:
    """All points of the grid that the overrides span, in the order of the overrides. Raises UsageError."""
    with _hydra(config_dir) as loader:
        try:
            parsed = _parse(overrides, loader)
            axes = [_axis(override, loader) for override in parsed]
            if math.prod(map(len, axes)) > MOST_RUNS:
                raise UsageError(f"a grid of {math.prod(map(len, axes))} points; at most {MOST_RUNS} at once, split it")
            trees: dict[_Structure, DictConfig] = {}
            resolved: dict[_Structure, Any] = {}
            return [_point(choice, trees, resolved) for choice in itertools.product(*axes)]
        except (HydraException, OmegaConfBaseException) as error:
            raise UsageError(_explain(error, overrides)) from error


def composed_yaml(overrides: Sequence[str], config_dir: str | None = None) -> str:
    """The first point of the grid as YAML, resolved: what --cfg job prints."""
    with _hydra(config_dir) as loader:
        try:
            choice = [_axis(override, loader)[0] for override in _parse(overrides, loader)]
            return OmegaConf.to_yaml(compose("config", [line for item in choice for line in item.lines]), resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise UsageError(_explain(error, overrides)) from error


@dataclass(frozen=True)
class _Choice:
    """One value of one override: the override lines that say it, and whether they only set a scalar."""

    lines: tuple[str, ...]
    scalar: bool
    key: str
    value: Any = field(default=None, compare=False)  # of a scalar


def _parse(overrides: Sequence[str], loader: Any) -> list[Override]:
    """Parsed overrides; of two for one key the later wins, so that the command line beats the experiment."""
    parser = OverridesParser.create(config_loader=loader)
    kept: dict[str, Override] = {}
    for line in overrides:
        try:
            (override,) = parser.parse_overrides([line])
        except (HydraException, ValueError) as error:
            raise UsageError(
                f"{line}: not Hydra's grammar; put a value with special characters in quotes of its own, "
                f"'key=\"value\"' ({_first_line(error)})"
            ) from error
        if override.is_delete():
            raise UsageError(
                f"{line}: keys cannot be deleted; set one to null, or choose another {override.key_or_group}"
            )
        kept.pop(override.key_or_group, None)
        kept[override.key_or_group] = override
    return list(kept.values())


def _axis(override: Override, loader: Any) -> list[_Choice]:
    """The values of an override: one, or those of its sweep."""
    key, line = override.key_or_group, str(override.input_line)
    prefix = line[: line.index(key)]
    if not override.is_sweep_override():
        if key in GROUPS:
            return [_group_choice(key, override.value(), loader)]
        return [_Choice((line,), False, key)]
    singles = _swept(override, f"{prefix}{key}", line)
    if key in GROUPS:
        glob = isinstance(override.value(), Glob)  # it means the table, not the place for a user's own
        values = [single.value() for single in singles if not (glob and single.value() == "custom")]
        return [_group_choice(key, value, loader) for value in values]
    # Only seed and group.key ride on a composed tree; dataset.target does not, as training.target follows it.
    scalar = prefix == "" and (key == "seed" or key.count(".") == 1) and not key.startswith("dataset.")
    return [_Choice((str(single.input_line),), scalar, key, single.value()) for single in singles]


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


def _group_choice(group: str, value: Any, loader: Any) -> _Choice:
    """activation=module:function is short for activation=custom activation.function=module:function."""
    if not isinstance(value, str):
        raise UsageError(f"{group}={value}: choose one of {', '.join(loader.get_group_options(group))}")
    if group == "activation" and ":" in value:
        return _Choice(("activation=custom", f"activation.function='{value}'"), False, group)
    options = loader.get_group_options(group)
    if value not in options:
        raise UsageError(f"{group}={value}: no such {group}{nearest_names(value, options)}")
    return _Choice((f"{group}={value}",), False, group)


_Structure = tuple[_Choice, ...]  # the choices that are not scalars: what Hydra has to compose


def _point(choice: Sequence[_Choice], trees: dict[_Structure, DictConfig], resolved: dict[_Structure, Any]) -> Config:
    """One grid point: its structure composed and resolved once, its scalars set on a copy."""
    structure = tuple(item for item in choice if not item.scalar)
    scalars = [item for item in choice if item.scalar]
    if structure not in resolved:
        mapping = OmegaConf.to_container(_tree(structure, scalars, trees), resolve=True, throw_on_missing=True)
        assert isinstance(mapping, dict)
        resolved[structure] = {str(key): value for key, value in mapping.items() if key != "hydra"}
    point = dict(resolved[structure])
    for item in scalars:
        group, _, key = item.key.partition(".")
        point[group] = {**point[group], key: item.value} if key else item.value
    return from_mapping(point)


def _tree(structure: _Structure, scalars: Sequence[_Choice], composed: dict[_Structure, DictConfig]) -> DictConfig:
    """The composed tree. Composing takes 0.1 s, so a product of groups is put together from one composition a choice,
    as long as each choice moves nothing but its own group."""
    if structure in composed:
        return composed[structure]
    if composed:
        base = next(iter(composed))
        parts: dict[str, Any] = {}
        for index, (own, first) in enumerate(zip(structure, base, strict=True)):
            if own != first and sum(a != b for a, b in zip(structure, base, strict=True)) > 1:
                variant = _tree((*base[:index], own, *base[index + 1 :]), scalars, composed)
                if any(variant[group] != composed[base][group] for group in variant if group != own.key):
                    parts.clear()
                    break
                parts[own.key] = variant[own.key]
        if parts:
            merged = composed[base].copy()
            for group, part in parts.items():
                merged[group] = part
            composed[structure] = merged
            return merged
    # The scalars are composed once with each structure too, so that Hydra checks their keys.
    tree = compose("config", [line for item in (*structure, *scalars) for line in item.lines])
    composed[structure] = tree
    return tree


def _explain(error: Exception, overrides: Sequence[str]) -> str:
    """Hydra's message on one line, with near keys where a key is unknown."""
    key = getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "full_key" not in line]
    lines = [line for line in lines if not line.startswith(("To append", "object_type", "See http"))]
    message = " ".join(lines) or type(error).__name__
    if "not in struct" in message or "Could not override" in message:
        culprit = message.split("'")[1] if "'" in message else str(key)
        known = _known_keys(overrides)
        if culprit in known:
            return f"{culprit}: not every choice of this grid has that key"
        return f"unknown key {culprit}{nearest_names(culprit, known)}"
    return message


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _known_keys(overrides: Sequence[str]) -> list[str]:
    groups = [line for line in overrides if line.split("=")[0] in GROUPS and "," not in line and ":" not in line]
    try:
        tree = OmegaConf.to_container(compose("config", groups))
    except (HydraException, OmegaConfBaseException):
        return list(GROUPS)
    assert isinstance(tree, dict)
    flat = [f"{group!s}.{key!s}" for group, keys in tree.items() if isinstance(keys, dict) for key in keys]
    return [*flat, *map(str, GROUPS), "seed"]


def single_config(overrides: Sequence[str]) -> Config:
    """Raises UsageError for a grid."""
    points = compose_grid(list(overrides))
    if len(points) > 1:
        raise UsageError(f"{' '.join(overrides)}: one value a key here, not a grid")
    return points[0]


def allow_modules_of_current_folder() -> None:
    """A user's own module:function is looked for in the current folder too, as `python -m` does."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def activation_defaults(name: str) -> dict[str, Any]:
    """The keys of one activation's own YAML."""
    content = OmegaConf.to_container(OmegaConf.load(shipped("conf") / "activation" / f"{name}.yaml"))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}

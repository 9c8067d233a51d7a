"""Composes conf/, an experiment's overrides and the command line's into the settings of a grid, by Hydra.

Overrides are Hydra's own grammar, parsed by Hydra. A sweep is not Hydra's multirun, which takes 0.16 to 0.32 s a job
before any training: groups are composed once per distinct choice, and scalars are set on the result.
"""

import contextlib
import itertools
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from actbench.activations.table import TABLE
from actbench.errors import UsageError, nearest_names
from actbench.experiment.command import CommandSettings
from actbench.experiment.options import choices_with
from actbench.experiment.overrides import (
    COMMAND_GROUPS,
    GROUPS,
    MOST_RUNS,
    RUN_GROUPS,
    choices_of,
    number_of_values,
    parse_overrides,
)
from actbench.experiment.questions import Experiment, shipped
from actbench.experiment.schema import RunSettings
from actbench.experiment.trees import Trees
from actbench.experiment.validation import groups_of
from actbench.experiment.yaml_files import check_yaml, invalid_yaml

_SHARED = tuple(key for key in RUN_GROUPS if key != "seed")  # groups of a run, which are mappings


@dataclass(frozen=True)
class Grid:
    """What overrides span: the settings of each run, in the order of the overrides, and those of their command."""

    runs: tuple[RunSettings, ...]
    command: CommandSettings


def compose_grid(overrides: Sequence[str], config_dir: str | None = None) -> Grid:
    """Composes and validates all points of the grid that the overrides span.

    config_dir: a folder with further choices of groups. Raises UsageError for unknown keys, values out of range, more
    than MOST_RUNS points, and a grid over the settings of the command.
    """
    with _composing(overrides, config_dir) as loader:
        parsed = parse_overrides(overrides, loader)
        _check_size(parsed, loader)
        axes = [choices_of(override, loader) for override in parsed]
        trees = Trees()
        first_point = trees.point([axis[0] for axis in axes])
        for model in (CommandSettings, RunSettings):  # most errors are found here, before the other points are made
            groups_of(model, first_point)
        mappings = [trees.point(choice) for choice in itertools.product(*axes)]
    for key in mappings[0]:
        if key not in (*RUN_GROUPS, *COMMAND_GROUPS):
            raise UsageError(f"unknown key {key}; known here: {', '.join((*RUN_GROUPS, *COMMAND_GROUPS))}")
    # Points that share their groups of the command share the mappings themselves.
    distinct = {tuple(id(mapping[group]) for group in COMMAND_GROUPS): mapping for mapping in mappings}
    first, *others = [groups_of(CommandSettings, mapping) for mapping in distinct.values()]
    for group in COMMAND_GROUPS:
        if any(getattr(other, group) != getattr(first, group) for other in others):
            raise UsageError(
                f"{_differing(first, others, group)}: must be the same for all runs of a command; run one "
                "command for each"
            )
    grid = Grid(_validated_runs(mappings), first)
    baseline = grid.command.protocol.baseline
    if ":" in baseline and baseline not in {run.activation.label for run in grid.runs}:
        raise UsageError(f"protocol.baseline={baseline}: is not among the activations; add it to activation=...")
    return grid


def _differing(first: CommandSettings, others: Sequence[CommandSettings], group: str) -> str:
    """The first key of a group of the command that is not the same in all settings."""
    own = getattr(first, group)
    keys = own.model_dump() if hasattr(own, "model_dump") else {}
    differing = [
        key for key in keys if any(getattr(getattr(other, group), key) != getattr(own, key) for other in others)
    ]
    return f"{group}.{differing[0]}" if differing else group


def compose_experiment(experiment: Experiment | None, overrides: Sequence[str], config_dir: str | None = None) -> Grid:
    """The grid of an experiment, of a suite those of all its tasks, with the overrides of the command line last.

    A point that several tasks span counts once. Raises UsageError as `compose_grid` does.
    """
    if experiment is None:
        return compose_grid(overrides, config_dir)
    tasks = experiment.tasks or ((),)
    grids = [_task_grid(experiment, task, overrides, config_dir) for task in tasks]
    for task, grid in zip(tasks, grids, strict=True):
        if grid.command != grids[0].command:
            raise UsageError(
                f"{experiment.name}: task {' '.join(task)}: protocol, execution and store must be the same"
            )
    return Grid(tuple(dict.fromkeys(run for grid in grids for run in grid.runs)), grids[0].command)


def _task_grid(experiment: Experiment, task: Sequence[str], overrides: Sequence[str], config_dir: str | None) -> Grid:
    """The grid of a task; an error of the experiment's own overrides names the experiment."""
    try:
        return compose_grid([*experiment.overrides, *task, *overrides], config_dir)
    except UsageError:
        try:
            compose_grid([*experiment.overrides, *task], config_dir)
        except UsageError as error:
            where = f", task [{', '.join(task)}]" if task else ""
            raise UsageError(f"experiment {experiment.name}{where}: {error}") from error
        raise


def _validated_runs(mappings: Sequence[Mapping[str, Any]]) -> tuple[RunSettings, ...]:
    """The settings of each point. A group that points share is validated once, and one object for all of them."""
    groups: dict[int, Any] = {}  # by identity of the group's mapping, which `mappings` keeps alive
    runs = []
    for mapping in mappings:
        run = groups_of(RunSettings, {key: groups.get(id(value), value) for key, value in mapping.items()})
        runs.append(run)
        groups |= {id(value): getattr(run, key) for key, value in mapping.items() if key in _SHARED}
    return tuple(runs)


def _check_size(overrides: Sequence[Override], loader: Any) -> None:
    """Raises UsageError for more than MOST_RUNS points, before any of them is made."""
    sizes = [number_of_values(override, loader) for override in overrides]
    for override, size in zip(overrides, sizes, strict=True):
        if size > MOST_RUNS:
            raise UsageError(f"{override.input_line}: {size:,} values, more than {MOST_RUNS:,}; split the sweep")
    if (points := math.prod(sizes)) > MOST_RUNS:
        raise UsageError(f"a grid of {points:,} points; at most {MOST_RUNS:,} at once, split it")


def compose_command(overrides: Sequence[str]) -> CommandSettings:
    """The settings of a command that trains nothing. Raises UsageError for a grid."""
    return _only_one(overrides).command


def compose_run(overrides: Sequence[str]) -> RunSettings:
    """The settings of a single run. Raises UsageError for a grid."""
    return _only_one(overrides).runs[0]


def _only_one(overrides: Sequence[str]) -> Grid:
    grid = compose_grid(overrides)
    if len(grid.runs) > 1:
        raise UsageError(f"{' '.join(overrides)}: one value per key here, not a grid")
    return grid


def composed_yaml(overrides: Sequence[str], config_dir: str | None = None) -> str:
    """The first point of the grid as YAML, resolved: what --cfg job prints."""
    with _composing(overrides, config_dir) as loader:
        choice = [choices_of(override, loader)[0] for override in parse_overrides(overrides, loader)]
        return OmegaConf.to_yaml(compose("config", [line for item in choice for line in item.lines]), resolve=True)


def register_activations() -> None:
    """Makes each row of the activation table that takes no settings a choice of the group `activation`.

    Rows with settings have their defaults in conf/activation/.
    """
    for row in TABLE.values():
        if not row.settings:
            ConfigStore.instance().store(row.name, {"name": row.name}, group="activation")


@contextlib.contextmanager
def _composing(overrides: Sequence[str], config_dir: str | None) -> Iterator[Any]:
    """Yields Hydra's loader of conf/ and config_dir; what Hydra raises becomes a UsageError of one line."""
    GlobalHydra.instance().clear()
    register_activations()
    with initialize_config_dir(str(shipped("conf").resolve()), version_base="1.3"):
        loader: Any = GlobalHydra.instance().config_loader()
        if config_dir is not None:
            if not config_dir or not os.path.isdir(config_dir):
                raise UsageError(f"--config-dir {config_dir or repr(config_dir)}: no such folder")
            # Not hydra.searchpath, which the glob of a sweep does not see. Hydra wants its own schema last.
            sources = loader.repository.get_sources()
            sources.insert(len(sources) - 1, _FolderOfUser("command-line", str(Path(config_dir).resolve())))
        try:
            yield loader
        except UsageError:
            raise
        except RecursionError as error:
            raise UsageError(
                f"the composed configuration refers to itself; look at its defaults{_in(config_dir)}"
            ) from error
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise UsageError(_explain(error, overrides)) from error


def _in(config_dir: str | None) -> str:
    return "" if config_dir is None else f" and interpolations in --config-dir {config_dir}"


class _FolderOfUser(FileConfigSource):
    """The folder of --config-dir; its files are checked before they are loaded."""

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of a file. Raises UsageError where it is not a plain YAML mapping."""
        path = Path(self.path) / self._normalize_file_name(config_path)
        check_yaml(path)
        try:
            return super().load_config(config_path)
        except yaml.YAMLError as error:
            raise invalid_yaml(path, error) from error


def _explain(error: Exception, overrides: Sequence[str]) -> str:
    """Hydra's message on one line, with near keys where a key is unknown."""
    key = getattr(error, "full_key", None) or getattr(error.__cause__, "full_key", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "full_key" not in line]
    lines = [line for line in lines if not line.startswith(("To append", "object_type", "See http"))]
    message = " ".join(lines).partition(" Config search path:")[0] or type(error).__name__
    if "not in struct" in message or "Could not override" in message:
        unknown = message.split("'")[1] if "'" in message else str(key)
        known = _known_keys(overrides)
        if unknown in known:
            return f"{unknown}: not every choice of this grid has that key"
        if owners := choices_with(unknown):
            return f"{unknown}: only {', '.join(owners)} have that key; choose one of them, or leave it out"
        return f"unknown key {unknown}{nearest_names(unknown, known)}"
    if isinstance(error, InterpolationResolutionError | MissingMandatoryValue) and key:
        return f"{key}: {message}"
    return message


def _known_keys(overrides: Sequence[str]) -> list[str]:
    groups = [line for line in overrides if line.split("=")[0] in GROUPS and "," not in line and ":" not in line]
    try:
        tree: Any = OmegaConf.to_container(compose("config", groups))
    except (HydraException, OmegaConfBaseException):
        return list(GROUPS)
    keys = [f"{group}.{key}" for group, values in tree.items() if isinstance(values, dict) for key in values]
    return [*keys, *GROUPS, "seed", "name"]


def allow_modules_of_current_folder() -> None:
    """Adds the current folder to sys.path, so that a user's module:function is found, as with `python -m`."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def activation_defaults(name: str) -> dict[str, Any]:
    """The default settings of a row of the activation table; empty where it takes none."""
    path = shipped("conf") / "activation" / f"{name}.yaml"
    content: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else {}
    return {str(key): value for key, value in content.items() if key != "name"}

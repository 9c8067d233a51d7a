"""The grid to runs with ids. Pure: nothing is loaded, trained or stored here."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from actbench.activations.bound import BoundActivation
from actbench.activations.load import load_activation
from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.experiment.schema import ArchitectureConfig, Config
from actbench.models.matching import build_architecture
from actbench.models.parameters import Architecture, Shape

ENGINE = 3  # raise it with every change that moves a run's numbers: run ids then differ from older ones


@dataclass(frozen=True)
class Run:
    """One training. id: of everything that decides its numbers. phase: train, sweep, tune or confirm."""

    id: str
    phase: str
    config: Config
    data: PreparedData
    steps: int

    @property
    def reads_test(self) -> bool:
        """Tuning never sees the test set."""
        return self.phase != "tune"


def bound_activation(config: Config) -> BoundActivation:
    return load_activation(config.activation.name, config.activation.function, **config.activation.settings)


def architecture_of(config: Config, data: PreparedData) -> Architecture:
    """The network of a run, units matched to ReLU's parameter count where the config says so."""
    image = (data.height, data.width, data.channels)
    return _architecture(config.architecture, bound_activation(config), image, data.classes)


@cache
def _architecture(
    config: ArchitectureConfig, activation: BoundActivation, image: tuple[int, int, int], classes: int
) -> Architecture:
    keys = {k: v for k, v in asdict(config).items() if k not in ("name", "match_parameters")}
    shape = Shape(image, classes, activation.pieces)
    return build_architecture(config.name, keys, shape, activation.record, config.match_parameters)


def make_run(config: Config, data: PreparedData, phase: str) -> Run:
    steps = training_steps(config, data)
    _check_batch_norm(config, data, steps)
    return Run(run_id(config, data, steps), phase, config, data, steps)


def _check_batch_norm(config: Config, data: PreparedData, steps: int) -> None:
    """Raises UsageError where batch norm would see a mini-batch of a single value a unit."""
    size, examples = config.training.batch_size, data.train - data.validation_size(config.dataset.validation)
    if config.architecture.norm != "batch" or not steps or min(architecture_of(config, data).positions) > 1:
        return
    if size == 1 or (examples % size == 1 and steps >= -(-examples // size)):
        raise UsageError(
            f"architecture.norm=batch: with training.batch_size={size} one of {examples} training examples is alone "
            "in its mini-batch, which has no variance; take another batch size or norm"
        )


def training_steps(config: Config, data: PreparedData) -> int:
    if config.training.steps is not None:
        return config.training.steps
    examples = data.train - data.validation_size(config.dataset.validation)
    return config.training.epochs * -(-examples // config.training.batch_size)  # the last batch may be ragged


def run_id(config: Config, data: PreparedData, steps: int) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON of everything that decides the run's numbers.

    The data counts by its content, not its place; a user's function by name and source; the schedule by its steps.
    """
    decides = decisive(config)
    decides["dataset"]["fingerprint"] = data.fingerprint
    decides["activation"]["digest"] = bound_activation(config).digest
    decides["training"]["steps"] = steps
    decides["engine"] = ENGINE
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def decisive(config: Config) -> dict[str, Any]:
    """The part of a configuration that can move a number, as nested dicts."""
    kept = ("dataset", "architecture", "activation", "initialization", "optimizer", "training", "seed")
    decides = {key: value for key, value in asdict(config).items() if key in kept}
    for key in ("root", "download", "target"):
        del decides["dataset"][key]
    for key in ("epochs", "stack_size"):
        del decides["training"][key]
    if decides["activation"]["function"] is not None:
        decides["activation"]["name"] = "custom"  # the table's row plays no part
    return decides


def flat(config: Config) -> dict[str, Any]:
    """The part of a configuration that can move a number, by dotted key."""
    return {
        f"{group}.{key}" if isinstance(keys, dict) else group: value
        for group, keys in decisive(config).items()
        for key, value in (keys.items() if isinstance(keys, dict) else [("", keys)])
    }


_SEPARATE_COLUMNS = ("activation.function", "optimizer.lr", "seed")  # so has every name


def variants(runs: Sequence[Run]) -> list[dict[str, str]]:
    """For each run, its values of the keys that differ among the runs of its group; empty where none does.

    A group has the same data set, architecture, activation, initialization and optimizer by name. Keys are dotted.
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    names, settings = [], []
    for run in runs:
        config = run.config
        values = flat(config) | {"training.steps": run.steps, "dataset.fingerprint": run.data.fingerprint}
        names.append((config.dataset.name, config.architecture.name, config.activation.label,
                      config.initialization.name, config.optimizer.name))  # fmt: skip
        settings.append({k: v for k, v in values.items() if k not in _SEPARATE_COLUMNS and not k.endswith(".name")})
        groups.setdefault(names[-1], []).append(settings[-1])
    differing = {
        name: [key for key in group[0] if len({repr(values.get(key)) for values in group}) > 1]
        for name, group in groups.items()
    }
    return [{key: str(values[key]) for key in differing[name]} for name, values in zip(names, settings, strict=True)]

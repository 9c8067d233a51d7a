"""Runs with their ids. No data are loaded here, and nothing is trained or stored."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.experiment.schema import ArchitectureSettings, RunSettings

if TYPE_CHECKING:
    from actbench.activations.bound import BoundActivation
    from actbench.models.parameters import Architecture

ENGINE = 4  # raise it with every change that affects a run's numbers: run ids then differ from older ones


@dataclass(frozen=True)
class Run:
    """One training. id: hash of everything that decides its numbers. phase: train, sweep or compare."""

    id: str
    phase: str
    settings: RunSettings
    data: PreparedData
    steps: int


def make_run(settings: RunSettings, data: PreparedData, phase: str) -> Run:
    """Returns the run of these settings on its data. Raises UsageError where batch norm sees one example."""
    steps = training_steps(settings, data)
    _check_batch_norm(settings, data, steps)
    return Run(run_id(settings, data, steps), phase, settings, data, steps)


def bound_activation(settings: RunSettings) -> "BoundActivation":
    """The activation of a run with its settings."""
    from actbench.activations.load import load_activation  # torch takes seconds, and a report needs none

    activation = settings.activation
    return load_activation(activation.name, activation.function, **activation.settings)


def architecture_of(settings: RunSettings, data: PreparedData) -> "Architecture":
    """The network of a run, its units matched to ReLU's parameter count where `match_parameters` says so."""
    image = (data.height, data.width, data.channels)
    return _architecture(settings.architecture, bound_activation(settings), image, data.classes)


@cache
def _architecture(
    settings: ArchitectureSettings, activation: "BoundActivation", image: tuple[int, int, int], classes: int
) -> "Architecture":
    from actbench.models.matching import build_architecture
    from actbench.models.parameters import Shape

    keys = settings.model_dump(exclude={"name", "match_parameters"})
    shape = Shape(image, classes, activation.pieces)
    return build_architecture(settings.name, keys, shape, activation.record, settings.match_parameters)


def training_steps(settings: RunSettings, data: PreparedData) -> int:
    """Updates of a run: training.steps, or those of training.epochs."""
    training = settings.training
    if training.steps is not None:
        return training.steps
    return training.epochs * -(-training_examples(settings, data) // training.batch_size)  # the last may be smaller


def training_examples(settings: RunSettings, data: PreparedData) -> int:
    """Training images without the validation examples."""
    return data.train - data.validation_size(settings.dataset.validation)


def _check_batch_norm(settings: RunSettings, data: PreparedData, steps: int) -> None:
    """Raises UsageError where batch norm would see a mini-batch of a single value a unit."""
    size, examples = settings.training.batch_size, training_examples(settings, data)
    if settings.architecture.norm != "batch" or not steps or min(architecture_of(settings, data).positions) > 1:
        return
    if size == 1 or (examples % size == 1 and steps >= -(-examples // size)):
        raise UsageError(
            f"architecture.norm=batch: with training.batch_size={size} one of {examples} training examples is alone "
            "in its mini-batch, which has no variance; take another batch size or norm"
        )


def run_id(settings: RunSettings, data: PreparedData, steps: int) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON of everything that decides the run's numbers.

    The data enter by their content, not their path; a user's function by name and source; the length by its steps.
    """
    keys = settings.in_id()
    keys["dataset"]["fingerprint"] = data.fingerprint
    keys["activation"]["digest"] = bound_activation(settings).digest
    keys["training"]["steps"] = steps
    keys["engine"] = ENGINE
    text = json.dumps(keys, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def flat(settings: RunSettings) -> dict[str, Any]:
    """The settings that can decide a run's numbers, by dotted key; absent ones too, so that variants name them."""
    return {
        f"{group}.{key}" if isinstance(keys, dict) else group: value
        for group, keys in settings.deciding().items()
        for key, value in (keys.items() if isinstance(keys, dict) else [("", keys)])
    }


_SEPARATE_COLUMNS = ("activation.function", "optimizer.lr", "seed")  # every name also has a column of its own


def variants(runs: Sequence[Run]) -> list[dict[str, str]]:
    """For each run, its values of the keys that differ among the runs of its group; empty where none does.

    A group has the same data set, architecture, activation, initialization and optimizer by name. Keys are dotted.
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    names, keys = [], []
    for run in runs:
        settings = run.settings
        values = flat(settings) | {"training.steps": run.steps, "dataset.fingerprint": run.data.fingerprint}
        names.append((settings.dataset.name, settings.architecture.name, settings.activation.label,
                      settings.initialization.name, settings.optimizer.name))  # fmt: skip
        keys.append({k: v for k, v in values.items() if k not in _SEPARATE_COLUMNS and not k.endswith(".name")})
        groups.setdefault(names[-1], []).append(keys[-1])
    differing = {
        name: [key for key in group[0] if len({repr(values.get(key)) for values in group}) > 1]
        for name, group in groups.items()
    }
    return [{key: str(values[key]) for key in differing[name]} for name, values in zip(names, keys, strict=True)]

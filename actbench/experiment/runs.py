"""Runs with their ids. No data are loaded here, and nothing is trained or stored."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from actbench.activations.own import OwnActivation, inspect_own
from actbench.activations.source import source_digest
from actbench.activations.table import TABLE, Activation
from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.experiment.architecture_settings import ArchitectureSettings
from actbench.experiment.evaluation import examples_seen
from actbench.experiment.kinds import check_kind
from actbench.experiment.schema import ActivationSettings, RunSettings
from actbench.experiment.suitable import check_suitable, own_gate

if TYPE_CHECKING:
    from actbench.activations.bound import BoundActivation
    from actbench.models.parameters import Architecture

ENGINE = 4  # raise it with every change that affects a run's numbers: run ids then differ from older ones

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
MOST_EVALUATIONS = 100_000  # of a run; each is a record in memory and a row in the files


@dataclass(frozen=True)
class Run:
    """One training. id: hash of everything that decides its numbers. phase: train, sweep or compare.

    own, own_gate: the activation, and the function of a recurrent network's gates, where they are a user's own.
    """

    id: str
    phase: str
    settings: RunSettings
    data: PreparedData
    steps: int
    own: OwnActivation | None = None
    own_gate: OwnActivation | None = None

    @property
    def has_own_code(self) -> bool:
        """Whether it calls a user's own code, which may hang or crash."""
        return self.own is not None or self.own_gate is not None


def make_run(settings: RunSettings, data: PreparedData, phase: str) -> Run:
    """Returns the run of these settings on its data.

    Raises UsageError for settings that do not suit the data or each other, and for a user's own function that is none.
    """
    check_kind(settings, data)
    steps = training_steps(settings, data)
    _check_patch(settings, data)
    _check_evaluations(settings, steps)
    function = settings.activation.function
    own = None if function is None else inspect_own(function)
    check_suitable(settings, _record(settings.activation, own))
    gate = own_gate(settings)
    run = Run(run_id(settings, data, steps, own, gate), phase, settings, data, steps, own, gate)
    _check_batch_norm(run)
    return run


def bound_activation(run: Run) -> "BoundActivation":
    """The activation of a run with its settings; a user's own is imported into this process.

    Raises UsageError where its source, or that of a user's own gate, is no longer the one that the run's id was made
    with.
    """
    from actbench.activations.load import load_activation  # torch takes seconds, and a report needs none

    activation = run.settings.activation
    bound = load_activation(activation.name, activation.function, **activation.settings)
    if run.own is not None and bound.digest != run.own.digest:
        raise UsageError(f"activation.function={activation.function}: its source changed while the command ran")
    if run.own_gate is not None and source_digest(run.own_gate.path) != run.own_gate.digest:
        raise UsageError(f"architecture.gate={run.own_gate.path}: its source changed while the command ran")
    return bound


def activation_record(run: Run) -> Activation:
    """The table's row of a run's activation, or the record of a user's own; nothing is imported."""
    return _record(run.settings.activation, run.own)


def _record(activation: ActivationSettings, own: OwnActivation | None) -> Activation:
    return TABLE[activation.name] if own is None else own.record


def pieces_of(run: Run) -> int:
    """Pre-activation features that make one unit of a run's network."""
    return _pieces(run.settings.activation, activation_record(run))


def _pieces(activation: ActivationSettings, record: Activation) -> int:
    return int(activation.settings.get("pieces", record.pieces))


def architecture_of(run: Run) -> "Architecture":
    """The network of a run, its units matched to ReLU's parameter count where `match_parameters` says so."""
    return architecture(run.settings, run.data, run.own)


def architecture(settings: RunSettings, data: PreparedData, own: OwnActivation | None) -> "Architecture":
    """As `architecture_of`, of what a run consists of."""
    image = (data.height, data.width, data.channels)
    return _architecture(settings.architecture, settings.activation, own, image, data.classes, data.kind)


@cache
def _architecture(
    settings: ArchitectureSettings, activation: ActivationSettings, own: OwnActivation | None,
    image: tuple[int, int, int], classes: int, kind: str,
) -> "Architecture":  # fmt: skip
    from actbench.models.matching import build_architecture
    from actbench.models.parameters import Shape

    keys = settings.model_dump(exclude={"name", "match_parameters"})
    record = _record(activation, own)
    shape = Shape(image, classes, _pieces(activation, record), kind)
    return build_architecture(settings.name, keys, shape, record, settings.match_parameters)


def training_steps(settings: RunSettings, data: PreparedData) -> int:
    """Updates of a run: training.steps, or those of training.epochs."""
    training = settings.training
    if training.steps is not None:
        return training.steps
    return training.epochs * -(-training_examples(settings, data) // training.batch_size)  # the last may be smaller


def training_examples(settings: RunSettings, data: PreparedData) -> int:
    """Training examples without those of validation; of text as many windows as fit into the training part."""
    return data.train - data.validation_size(settings.dataset.validation)


def examples_after(run: Run, steps: int) -> int:
    """Training examples in the first `steps` mini-batches of a run."""
    size, examples = run.settings.training.batch_size, training_examples(run.settings, run.data)
    return examples_seen(steps, size, examples, run.data.kind == "text")


def _check_patch(settings: RunSettings, data: PreparedData) -> None:
    """Raises UsageError where a patch is larger than the image, of which most would be padding."""
    patch, side = getattr(settings.architecture, "patch", None), max(data.height, data.width)
    if patch is not None and patch > side:
        raise UsageError(
            f"architecture.patch={patch}: larger than the images of {data.name}, {data.height}x{data.width} pixels; "
            f"take at most {side}"
        )


def _check_evaluations(settings: RunSettings, steps: int) -> None:
    """Raises UsageError for an interval that gives a run more evaluations or measurements than memory should hold."""
    for key in ("evaluate_every", "measure_every"):
        every = getattr(settings.training, key)
        if every and steps // every > MOST_EVALUATIONS:
            raise UsageError(
                f"training.{key}={every}: {steps // every:,} times in {steps:,} steps, more than {MOST_EVALUATIONS:,}; "
                f"take at least {-(-steps // MOST_EVALUATIONS)}"
            )


def _check_batch_norm(run: Run) -> None:
    """Raises UsageError where batch norm would see a mini-batch of a single value a unit."""
    size, examples = run.settings.training.batch_size, training_examples(run.settings, run.data)
    if run.settings.architecture.norm != "batch" or not run.steps or min(architecture_of(run).positions) > 1:
        return
    if size == 1 or (examples % size == 1 and run.steps >= -(-examples // size)):
        raise UsageError(
            f"architecture.norm=batch: with training.batch_size={size} one of {examples} training examples is alone "
            "in its mini-batch, which has no variance; take another batch size or norm"
        )


def run_id(
    settings: RunSettings, data: PreparedData, steps: int, own: OwnActivation | None = None,
    gate: OwnActivation | None = None,
) -> str:  # fmt: skip
    """First 12 hex digits of the SHA-256 of the canonical JSON of everything that decides the run's numbers.

    The data enter by their content, not their path; a user's function by name and source; the length by its steps.
    """
    keys = settings.in_id()
    keys["dataset"]["fingerprint"] = data.fingerprint
    keys["activation"]["digest"] = "" if own is None else own.digest
    if gate is not None:
        keys["architecture"]["gate_digest"] = gate.digest
    keys["training"]["steps"] = steps
    keys["engine"] = ENGINE
    return hashlib.sha256(_CANONICAL.encode(keys).encode()).hexdigest()[:12]


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

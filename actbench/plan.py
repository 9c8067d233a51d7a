"""The grid to runs with ids, and runs to stacks. Pure: nothing is loaded, trained or stored here."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from actbench import architectures, callables
from actbench.architectures import Architecture, Shape, parameter_count
from actbench.callables import Applied
from actbench.config import ArchitectureConfig, Config
from actbench.datasets import Prepared
from actbench.errors import UsageError

ENGINE = 3  # raise it with every change that moves a run's numbers: run ids then differ from older ones

# A stack on a CPU core, for the cache: values that its widest layers hold together, and parameters beyond 8 runs. A run
# then takes 0.1 (tiny MLP) to 1.0 (CNN) of its time alone (measured: results/benchmarks/NOTES.md).
CPU_VALUES, CPU_PARAMETERS, CPU_STACK = 2**19, 2**18, 64

# Examples a forward pass of evaluation holds: few, for the cache. Fixed, so that sums round the same in any stack.
CHUNK = 128

# On a GPU as many as its memory holds, by a rough estimate; a stack that proves too large is halved. Not measured yet.
CUDA_STACK, CUDA_SHARE = 1024, 0.5  # runs at most; share of the free memory
_STATES, _COPIES = 4, 8  # tensors a parameter (with gradient and two moments); of each layer's values in a step


@dataclass(frozen=True)
class Run:
    """One training. id: of everything that decides its numbers. phase: train, sweep, tune or confirm."""

    id: str
    phase: str
    config: Config
    data: Prepared
    steps: int

    @property
    def reads_test(self) -> bool:
        """Tuning never sees the test set."""
        return self.phase != "tune"


@dataclass(frozen=True)
class Stack:
    """Runs that train at once: equal shapes and schedule, any activations, learning rates and seeds."""

    runs: tuple[Run, ...]


def applied(config: Config) -> Applied:
    return callables.load(config.activation.name, config.activation.function, **config.activation.settings)


def architecture(config: Config, data: Prepared) -> Architecture:
    """The network of a run, units matched to ReLU's parameter count where the config says so."""
    image = (data.height, data.width, data.channels)
    return _architecture(config.architecture, applied(config), image, data.classes)


@cache
def _architecture(
    config: ArchitectureConfig, activation: Applied, image: tuple[int, int, int], classes: int
) -> Architecture:
    keys = {k: v for k, v in asdict(config).items() if k not in ("name", "match_parameters")}
    shape = Shape(image, classes, activation.pieces)
    return architectures.build(config.name, keys, shape, activation.record, config.match_parameters)


def make_run(config: Config, data: Prepared, phase: str) -> Run:
    steps = training_steps(config, data)
    _check_batch_norm(config, data, steps)
    return Run(run_id(config, data, steps), phase, config, data, steps)


def _check_batch_norm(config: Config, data: Prepared, steps: int) -> None:
    """Raises UsageError where batch norm would see a mini-batch of a single value a unit."""
    size, examples = config.training.batch_size, data.train - data.validation_size(config.dataset.validation)
    if config.architecture.norm != "batch" or not steps or min(architecture(config, data).positions) > 1:
        return
    if size == 1 or (examples % size == 1 and steps >= -(-examples // size)):
        raise UsageError(
            f"architecture.norm=batch: with training.batch_size={size} one of {examples} training examples is alone "
            "in its mini-batch, which has no variance; take another batch size or norm"
        )


def training_steps(config: Config, data: Prepared) -> int:
    if config.training.steps is not None:
        return config.training.steps
    examples = data.train - data.validation_size(config.dataset.validation)
    return config.training.epochs * -(-examples // config.training.batch_size)  # the last batch may be ragged


def run_id(config: Config, data: Prepared, steps: int) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON of everything that decides the run's numbers.

    The data counts by its content, not its place; a user's function by name and source; the schedule by its steps.
    """
    decides = decisive(config)
    decides["dataset"]["fingerprint"] = data.fingerprint
    decides["activation"]["digest"] = applied(config).digest
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


_COLUMNS_OF_THEIR_OWN = ("activation.function", "optimizer.lr", "seed")  # and every name


def variants(runs: Sequence[Run]) -> list[str]:
    """What tells a run from others with the same data set, architecture, activation, initialization and optimizer by
    name: `key=value` of the other keys that differ among them, space-separated; empty where none does."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    names, settings = [], []
    for run in runs:
        own = flat(run.config) | {"training.steps": run.steps, "dataset.fingerprint": run.data.fingerprint}
        config = run.config
        names.append((config.dataset.name, config.architecture.name, config.activation.label,
                      config.initialization.name, config.optimizer.name))  # fmt: skip
        settings.append({k: v for k, v in own.items() if k not in _COLUMNS_OF_THEIR_OWN and not k.endswith(".name")})
        groups.setdefault(names[-1], []).append(settings[-1])
    differing = {
        name: [key for key in group[0] if len({repr(own.get(key)) for own in group}) > 1]
        for name, group in groups.items()
    }
    return [" ".join(f"{key}={own[key]}" for key in differing[name]) for name, own in zip(names, settings, strict=True)]


def stacks(runs: Sequence[Run], device: str, workers: int, memory: int) -> list[Stack]:
    """Runs grouped by what can train together, sorted by activation within a stack, so that each activation works on
    one contiguous slice. The stacks of a group are about equal and, where there are runs enough, as many for each
    worker; those with most to do come first, of equals by seed, so that single runs that are compared train one after
    the other. memory: bytes on a GPU for each worker."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_stack_key(run), []).append(run)
    made = []
    for group in groups.values():
        group = sorted(group, key=lambda run: (run.config.activation.label, _settings(run), run.config.seed))
        size = min(
            _stack_size(run, device, memory) for run in {run.config.activation.label: run for run in group}.values()
        )
        rounds = -(-len(group) // (size * workers))
        made += [Stack(tuple(part)) for part in _parts(group, min(len(group), rounds * workers))]
    return sorted(made, key=lambda stack: (-_work(stack), stack.runs[0].config.seed))


def _parts(group: list[Run], count: int) -> Iterator[list[Run]]:
    for part in range(count):
        yield group[part * len(group) // count : (part + 1) * len(group) // count]


def _work(stack: Stack) -> int:
    """About what a stack costs: parameters by examples by positions. Only its order matters."""
    run = stack.runs[0]
    network = architecture(run.config, run.data)
    each = parameter_count(network, applied(run.config).record) * max(network.positions)
    return len(stack.runs) * each * (run.steps + 1) * run.config.training.batch_size


def _settings(run: Run) -> str:
    return json.dumps([run.config.activation.settings, run.config.optimizer.lr], sort_keys=True)


def _stack_size(run: Run, device: str, memory: int) -> int:
    config = run.config
    if device == "cpu" and config.training.precision == "bf16":
        return 1  # oneDNN now and then rounds a product of bf16 by its place in a batch
    if config.training.stack_size != "auto":
        return int(config.training.stack_size)
    network, own = architecture(config, run.data), applied(config)
    parameters = parameter_count(network, own.record)
    layers = [  # values an example
        units * positions * own.pieces for units, positions in zip(network.units, network.positions, strict=True)
    ]
    if device != "cpu":
        examples = max(config.training.batch_size, CHUNK)
        each = 4 * (_STATES * parameters + _COPIES * examples * sum(layers))  # bytes
        return max(1, min(CUDA_STACK, int(CUDA_SHARE * memory) // each))
    values = config.training.batch_size * max(layers)
    if 4 * values >= CPU_VALUES:
        return 1  # in turn they take no more time, and less where activations differ
    return max(1, min(CPU_STACK, CPU_VALUES // values, max(8, CPU_PARAMETERS // parameters)))


def _stack_key(run: Run) -> str:
    """Equal for runs that can share a stack: everything but activation, initialization, learning rate and seed."""
    decides = decisive(run.config)
    for key in ("activation", "initialization", "seed"):
        del decides[key]
    del decides["optimizer"]["lr"]
    network = architecture(run.config, run.data)
    shapes = [(name, parameter.shape) for name, parameter in network.parameters.items()]
    return repr(
        (sorted(decides.items(), key=str), run.data.fingerprint, run.steps, run.reads_test, network.units, shapes)
    )

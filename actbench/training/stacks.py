"""Runs packed into stacks that train at once."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from actbench.experiment.evaluation import EVALUATION_CHUNK
from actbench.experiment.runs import Run, architecture_of, bound_activation
from actbench.models.matching import parameter_count

# A stack on a CPU core, for the cache: values that its widest layers hold together, and parameters beyond 8 runs. A run
# then takes 0.1 (tiny MLP) to 1.0 (CNN) of its time alone (measured: results/benchmarks/NOTES.md).
CPU_VALUES, CPU_PARAMETERS, CPU_STACK = 2**19, 2**18, 64


# On a GPU as many as its memory holds, by a rough estimate; a stack that proves too large is halved. Not measured yet.
CUDA_STACK, CUDA_SHARE = 1024, 0.5  # runs at most; share of the free memory
_STATES, _COPIES = 4, 8  # tensors a parameter (with gradient and two moments); of each layer's values in a step


@dataclass(frozen=True)
class Stack:
    """Runs that train at once: equal shapes and schedule, any activations, learning rates and seeds."""

    runs: tuple[Run, ...]


def pack_stacks(runs: Sequence[Run], device: str, workers: int, memory: int) -> list[Stack]:
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
    network = architecture_of(run.config, run.data)
    each = parameter_count(network, bound_activation(run.config).record) * max(network.positions)
    return len(stack.runs) * each * (run.steps + 1) * run.config.training.batch_size


def _settings(run: Run) -> str:
    return json.dumps([run.config.activation.settings, run.config.optimizer.lr], sort_keys=True)


def _stack_size(run: Run, device: str, memory: int) -> int:
    config = run.config
    if device == "cpu" and config.training.precision == "bf16":
        return 1  # oneDNN now and then rounds a product of bf16 by its place in a batch
    if config.training.stack_size != "auto":
        return int(config.training.stack_size)
    network, own = architecture_of(config, run.data), bound_activation(config)
    parameters = parameter_count(network, own.record)
    layers = [  # values an example
        units * positions * own.pieces for units, positions in zip(network.units, network.positions, strict=True)
    ]
    if device != "cpu":
        examples = max(config.training.batch_size, EVALUATION_CHUNK)
        each = 4 * (_STATES * parameters + _COPIES * examples * sum(layers))  # bytes
        return max(1, min(CUDA_STACK, int(CUDA_SHARE * memory) // each))
    values = config.training.batch_size * max(layers)
    if 4 * values >= CPU_VALUES:
        return 1  # in turn they take no more time, and less where activations differ
    return max(1, min(CPU_STACK, CPU_VALUES // values, max(8, CPU_PARAMETERS // parameters)))


def _stack_key(run: Run) -> str:
    """Equal for runs that can share a stack: everything but activation, initialization, learning rate and seed."""
    decides = run.config.in_id()
    for key in ("activation", "initialization", "seed"):
        del decides[key]
    del decides["optimizer"]["lr"]
    network = architecture_of(run.config, run.data)
    shapes = [(name, parameter.shape) for name, parameter in network.parameters.items()]
    return repr(
        (sorted(decides.items(), key=str), run.data.fingerprint, run.steps, run.reads_test, network.units, shapes)
    )

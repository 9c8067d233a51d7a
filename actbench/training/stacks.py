"""Runs packed into stacks that train at once."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from actbench.experiment.evaluation import chunk_of
from actbench.experiment.runs import Run, activation_record, architecture_of, pieces_of
from actbench.models.matching import parameter_count

# Limits of a stack on a CPU core, for its cache: values of the widest layer over all runs, parameters beyond 8 runs.
# A run then takes 0.1 (tiny MLP) to 1.0 (CNN) of its time alone (measured: results/benchmarks/NOTES.md).
CPU_VALUES, CPU_PARAMETERS, CPU_STACK = 2**19, 2**18, 64
CPU_OUTPUTS = 2**23  # units of all time steps of a stack of recurrent networks, which keeps about 15 values of each

# A stack on a GPU fills its memory, by a rough estimate; one that proves too large is halved. Not measured yet.
CUDA_STACK, CUDA_SHARE = 1024, 0.5  # runs at most; share of the free memory
_STATES, _COPIES = 4, 8  # tensors per parameter (with gradient and two moments); per layer's values in a step


@dataclass(frozen=True)
class Stack:
    """Runs that train at once: equal shapes and schedule, any activations, learning rates and seeds."""

    runs: tuple[Run, ...]


def pack_stacks(runs: Sequence[Run], device: str, workers: int, memory: int) -> list[Stack]:
    """Packs runs that can train together into stacks, the longest stack first.

    Within a stack runs are sorted by activation, so that each activation works on one contiguous slice. The stacks of
    a group are about equally large and, where there are enough runs, their number is a multiple of `workers`. Stacks
    of equal work are in order of seed, so that single runs that are compared train one after the other. memory: bytes
    on a GPU for each worker.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_stack_key(run), []).append(run)
    stacks = []
    for group in groups.values():
        group = sorted(group, key=lambda run: (run.settings.activation.label, _settings(run), run.settings.seed))
        size = min(
            _stack_size(run, device, memory) for run in {run.settings.activation.label: run for run in group}.values()
        )
        rounds = -(-len(group) // (size * workers))
        stacks += [Stack(tuple(part)) for part in _parts(group, min(len(group), rounds * workers))]
    return longest_first(stacks)


def longest_first(stacks: Iterable[Stack]) -> list[Stack]:
    """Stacks in the order in which they are to train, so that none of the longest is left for the end."""
    return sorted(stacks, key=lambda stack: (-_work(stack), stack.runs[0].settings.seed))


def _parts(group: list[Run], count: int) -> Iterator[list[Run]]:
    for part in range(count):
        yield group[part * len(group) // count : (part + 1) * len(group) // count]


def _work(stack: Stack) -> int:
    return len(stack.runs) * work_of(stack.runs[0])


def work_of(run: Run) -> int:
    """An estimate of the work of a run, parameters x examples x positions, to be compared with that of another."""
    network = architecture_of(run)
    work = parameter_count(network, activation_record(run)) * max(network.positions)
    return work * (run.steps + 1) * run.settings.training.batch_size


def _settings(run: Run) -> str:
    return json.dumps([run.settings.activation.settings, run.settings.optimizer.lr], sort_keys=True)


def _stack_size(run: Run, device: str, memory: int) -> int:
    settings = run.settings
    if device == "cpu" and settings.training.precision == "bf16":
        return 1  # oneDNN sometimes rounds a product of bf16 by its place in a batch
    if settings.training.stack_size != "auto":
        return int(settings.training.stack_size)
    network, pieces = architecture_of(run), pieces_of(run)
    parameters = parameter_count(network, activation_record(run))
    layers = [  # values per example
        units * positions * pieces for units, positions in zip(network.units, network.positions, strict=True)
    ]
    if device != "cpu":
        examples = max(settings.training.batch_size, chunk_of(run.data))
        size = 4 * (_STATES * parameters + _COPIES * examples * sum(layers))  # bytes of a run
        return max(1, min(CUDA_STACK, int(CUDA_SHARE * memory) // size))
    values, most = settings.training.batch_size * max(layers), CPU_STACK
    if network.recurrent:  # it holds the values of one time step in the cache
        values, most = settings.training.batch_size * max(network.units), min(CPU_STACK, CPU_OUTPUTS // values)
    if 4 * values >= CPU_VALUES:
        return 1  # one after the other they take as long, or less where activations differ
    return max(1, min(most, CPU_VALUES // values, max(8, CPU_PARAMETERS // parameters)))


def _stack_key(run: Run) -> str:
    """Equal for runs that can share a stack: everything but activation, initialization, learning rate and seed."""
    settings = run.settings.in_id()
    for key in ("activation", "initialization", "seed"):
        del settings[key]
    del settings["optimizer"]["lr"]
    network = architecture_of(run)
    shapes = [(name, parameter.shape) for name, parameter in network.parameters.items()]
    return repr((sorted(settings.items(), key=str), run.data.fingerprint, run.steps, network.units, shapes))

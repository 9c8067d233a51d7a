"""The memory that training needs at least, against what the machine has: nothing is allocated to find out."""

import math
from collections.abc import Sequence

import psutil
import torch

from actbench.errors import UsageError
from actbench.experiment.evaluation import chunk_of
from actbench.experiment.runs import Run, activation_record, architecture_of, pieces_of, training_examples
from actbench.models.matching import parameter_count

WORKER_MEMORY = 3 * 10**8  # bytes of a worker process before its first run
_FLOAT = 4  # bytes
_TENSORS = {"sgd": 2, "adagrad": 3, "rmsprop": 3, "adam": 4, "adamw": 4}  # per parameter: value, gradient, moments
_SAVED = 2  # tensors that autograd keeps of each hidden layer: pre-activations and units


def check_memory(runs: Sequence[Run], device: str) -> None:
    """Raises UsageError where a single run needs more memory than the device has, whatever else is in use."""
    available = total_memory(device)
    seen = set()
    for run in runs:
        settings = run.settings
        key = (settings.architecture, settings.activation, settings.optimizer.name, settings.training, run.data.name)
        if key in seen:
            continue
        seen.add(key)
        needed = least_memory(run)
        if needed > available:
            raise UsageError(
                f"a run of {settings.architecture.name} with training.batch_size={settings.training.batch_size} needs "
                f"at least {_gigabytes(needed)}, more than the {_gigabytes(available)} of this {_NAMES[device]}; take "
                f"a smaller network ({_sizes(run)}) or batch"
            )


def check_workers(workers: int) -> None:
    """Raises UsageError where the machine has no memory for the code of so many worker processes."""
    most = max(1, total_memory("cpu") // WORKER_MEMORY)
    if workers > most:
        raise UsageError(
            f"execution.workers={workers}: each takes {WORKER_MEMORY / 2**30:.1f} GB for torch alone, and this machine "
            f"has {_gigabytes(total_memory('cpu'))}; take at most {most}, better one a core"
        )


_NAMES = {"cpu": "machine", "cuda": "GPU"}


def least_memory(run: Run) -> int:
    """A lower bound of the bytes of one run: its parameters with optimizer state, and one batch's hidden layers."""
    settings = run.settings
    network, pieces = architecture_of(run), pieces_of(run)
    parameters = parameter_count(network, activation_record(run))
    values = sum(  # of one example
        units * positions * pieces for units, positions in zip(network.units, network.positions, strict=True)
    )
    if not run.steps:  # evaluation alone, which keeps one layer at a time
        return _FLOAT * (parameters + chunk_of(run.data) * max(network.units))
    examples = min(settings.training.batch_size, training_examples(settings, run.data))
    return _FLOAT * (_TENSORS[settings.optimizer.name] * parameters + _SAVED * examples * values)


def total_memory(device: str) -> int:
    """Bytes of the GPU, or of the machine."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[1])
    return int(psutil.virtual_memory().total)


def _gigabytes(size: int) -> str:
    return f"{math.ceil(size / 2**30):,} GB"


def _sizes(run: Run) -> str:
    keys = run.settings.architecture.model_dump(include={"depth", "width", "ffn"})
    return ", ".join(f"architecture.{key}={value}" for key, value in keys.items())

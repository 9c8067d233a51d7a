"""The processor or GPU that runs train on."""

import os
import sys
from functools import cache

import torch

from actbench.errors import UsageError, one_line
from actbench.experiment.command import ExecutionSettings


def choose_device(settings: ExecutionSettings) -> str:
    """`cpu` or `cuda`, chosen before anything trains. Raises UsageError for a CUDA device where none computes.

    `auto` takes the CPU where there is no CUDA device, and with a message where there is one that fails.
    """
    available = settings.device != "cpu" and torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise UsageError("execution.device=cuda: this machine has no CUDA device that torch can use; take auto or cpu")
    problem = cuda_problem() if available else None
    if problem is None:
        return "cuda" if available else "cpu"
    if settings.device == "cuda":
        raise UsageError(f"execution.device=cuda: the device fails: {problem}; take cpu")
    _tell(f"the CUDA device of this machine fails, so all runs train on the CPU: {problem}")
    return "cpu"


@cache
def cuda_problem() -> str | None:
    """Why this machine's CUDA device does not compute; None where it does."""
    try:
        torch.ones(2, device="cuda").sum().item()
    except RuntimeError as error:
        return one_line(error)
    return None


@cache  # a command asks for its device several times
def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def worker_count(settings: ExecutionSettings, device: str) -> int:
    """Worker processes: as configured, else one for each core of this process on a CPU, one for each GPU."""
    if settings.workers != "auto":
        return int(settings.workers)
    if device != "cpu":
        return max(1, len(visible_gpus()))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = chosen.split(",") if chosen is not None else map(str, range(torch.cuda.device_count()))
    return [name.strip() for name in names][
        : torch.cuda.device_count()
    ]  # CUDA ignores those after one that is not there


def memory_per_worker(device: str, workers: int) -> int:
    """Free bytes of a GPU for each worker on it; 0 on a CPU, where the cache limits the size of stacks instead."""
    if device != "cuda":
        return 0
    gpus = torch.cuda.device_count()
    return min(torch.cuda.mem_get_info(gpu)[0] for gpu in range(gpus)) // -(-workers // gpus)


def device_name(device: str) -> str:
    """The GPU's name, or `cpu`: the column `device` of runs.csv."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"

"""The processor or GPU that runs train on."""

import os

import torch

from actbench.errors import UsageError
from actbench.experiment.command import ExecutionSettings


def choose_device(settings: ExecutionSettings) -> str:
    """`cpu` or `cuda`. Raises UsageError for a CUDA device where there is none."""
    available = torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise UsageError("execution.device=cuda: this machine has no CUDA device that torch can use; take auto or cpu")
    return "cuda" if available and settings.device != "cpu" else "cpu"


def worker_count(settings: ExecutionSettings, device: str) -> int:
    """Worker processes: as configured, else one for each core of this process on a CPU, one on a GPU."""
    if settings.workers != "auto":
        return int(settings.workers)
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory(device: str) -> int:
    """Free bytes of the GPU; 0 on a CPU, where the cache limits the size of stacks instead."""
    return int(torch.cuda.mem_get_info()[0]) if device == "cuda" else 0


def device_name(device: str) -> str:
    """The GPU's name, or `cpu`: the column `device` of runs.csv."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"

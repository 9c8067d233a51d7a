"""Chooses where the stacks of a command train: in processes of this machine, or in jobs of a cluster."""

from collections.abc import Sequence
from pathlib import Path

from actbench.errors import UsageError
from actbench.execution.devices import choose_device, memory_per_worker, worker_count
from actbench.execution.jobs import GPU_MEMORY, JobPool
from actbench.execution.local import Pool
from actbench.execution.memory import check_memory, check_workers
from actbench.execution.worker import Saving
from actbench.experiment.command import CommandSettings, ExecutionSettings
from actbench.experiment.runs import Run

AnyPool = Pool | JobPool


def pool_device(settings: ExecutionSettings) -> str:
    """`cpu` or `cuda`: of this machine, or of the jobs. Raises UsageError where it is not there."""
    engine = settings.slurm or settings.ray
    if engine is None:
        return choose_device(settings)
    device = ("cuda" if engine.gpus else "cpu") if settings.device == "auto" else settings.device
    if device == "cuda" and not engine.gpus:
        raise UsageError("execution.device=cuda: jobs ask for no GPU; set execution.slurm.gpus or execution.ray.gpus")
    return device


def check_pool(settings: ExecutionSettings, runs: Sequence[Run]) -> None:
    """Raises UsageError where the device is not there, or lacks a precision or the memory that the runs need."""
    device = pool_device(settings)
    if device == "cpu" and any(run.settings.training.precision == "tf32" for run in runs):
        raise UsageError("training.precision=tf32: only CUDA devices have it; take fp32 or bf16")
    if settings.slurm is None and settings.ray is None:
        check_memory(runs, device)
        check_workers(_workers(settings, device, runs))


def _workers(settings: ExecutionSettings, device: str, runs: Sequence[Run]) -> int:
    return 1 if len(runs) == 1 else min(worker_count(settings, device), len(runs))


def pool_size(settings: ExecutionSettings, runs: Sequence[Run]) -> tuple[str, int, int]:
    """The device, the number of workers and the memory of a GPU for each, of the pool that a command would make."""
    device = pool_device(settings)
    if settings.slurm is None and settings.ray is None:
        workers = _workers(settings, device, runs)
        return device, workers, memory_per_worker(device, workers)
    return device, int(settings.workers), GPU_MEMORY if device == "cuda" else 0


def make_pool(
    settings: CommandSettings, experiment: str, runs: Sequence[Run], checkpoints: Path | None, apart: bool = False
) -> AnyPool:
    """A pool for a command that begins with these runs. checkpoints: the folder of those of stacks, if any are kept.

    apart: train in worker processes, where one would be enough too. Raises UsageError where its engine is not there.
    """
    execution, device = settings.execution, pool_device(settings.execution)
    weights = settings.store.save_weights
    saving = Saving(weights, checkpoints, execution.checkpoint_minutes)
    if execution.slurm is None and execution.ray is None:
        workers = _workers(settings.execution, device, runs)
        own_code = any(run.has_own_code for run in runs)  # which may hang or crash
        in_process = workers == 1 and not apart and not own_code
        return Pool(device, workers, in_process, saving, execution.timeout)
    engine = "slurm" if execution.slurm else "ray"
    # Results of other weights or devices are never taken up, as their folder is another.
    folder = Path("results") / ".jobs" / experiment / f"{engine}-{device}-{weights}"
    if execution.slurm is not None:
        from actbench.execution.slurm import Slurm

        slurm = Slurm(execution.slurm, folder.resolve() / "logs")
        return JobPool(slurm, folder, device, saving, execution, execution.slurm.minutes)
    assert execution.ray is not None
    from actbench.execution.ray import Ray

    ray = Ray(execution.ray, int(execution.workers))
    return JobPool(ray, folder, device, saving, execution, execution.ray.minutes)

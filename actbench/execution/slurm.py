"""Jobs of Slurm, submitted through submitit. squeue says whether they live, as it needs no accounting database."""

import contextlib
import io
import os
import signal
import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from actbench.errors import UsageError
from actbench.execution.job_worker import Order, work
from actbench.experiment.command import SlurmSettings

_DELAY = 60  # seconds from the signal to the end of a job whose minutes are over
_MISSING = "execution=slurm needs submitit: pip install 'actbench[slurm]'"


class Slurm:
    """The Slurm of this machine. folder: of the jobs' output. Raises UsageError where there is none."""

    name = "slurm"

    def __init__(self, settings: SlurmSettings, folder: Path) -> None:
        os.environ.setdefault("SUBMITIT_PREEMPT_SIGNAL", "USR1")  # read when submitit is imported
        try:
            import submitit
        except ImportError as error:
            raise UsageError(_MISSING) from error
        self.logs = str(folder)
        try:
            executor = submitit.SlurmExecutor(folder=folder)
        except RuntimeError as error:
            raise UsageError(f"execution=slurm: {error}") from error
        asked = {
            "partition": settings.partition, "account": settings.account, "gpus_per_node": settings.gpus or None,
            "mem": None if settings.memory is None else f"{round(1024 * settings.memory)}M",
        }  # fmt: skip
        executor.update_parameters(
            job_name="actbench", time=settings.minutes, cpus_per_task=1, signal_delay_s=_DELAY, stderr_to_stdout=True,
            additional_parameters=dict(settings.additional or {}),
            **{key: value for key, value in asked.items() if value is not None},
        )  # fmt: skip
        self._executor = executor

    def submit(self, order: Order, names: Sequence[str]) -> list[str]:
        """Submits an array of jobs."""
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # submitit prints there what it also raises
                jobs = self._executor.map_array(_work, [order] * len(names), names)
        except Exception as error:  # submitit's own, and those of its commands
            raise UsageError(f"execution=slurm: sbatch refused the jobs: {_last_line(error)}") from error
        return [str(job.job_id) for job in jobs]

    def alive(self, ids: Collection[str]) -> dict[str, bool]:
        """As squeue says; all as running, where it does not answer."""
        arrays = {id.partition("_")[0] for id in ids}
        asked = ["squeue", "--noheader", "--array", "--format=%i %T", f"--jobs={','.join(sorted(arrays))}"]
        try:
            done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return dict.fromkeys(ids, True)
        if done.returncode and "Invalid job id" not in done.stderr:
            return dict.fromkeys(ids, True)
        states = dict(line.split() for line in done.stdout.splitlines())
        return {id: states[id] == "RUNNING" for id in ids if states.get(id, "COMPLETING") != "COMPLETING"}

    def cancel(self, ids: Collection[str]) -> None:
        """By scancel."""
        subprocess.run(["scancel", *ids], capture_output=True, timeout=60)

    def close(self) -> None:
        """Leaves the jobs as they are."""


def _work(order: Order, job: str) -> None:
    """The content of a job: it ends in order at the signals of scancel, of preemption and of the time limit."""
    with _ended_by(signal.SIGTERM, signal.SIGUSR1):
        work(order, job)


@contextlib.contextmanager
def _ended_by(*numbers: signal.Signals) -> Iterator[None]:
    def end(number: int, frame: object) -> None:
        for other in numbers:  # a second signal must not cut what the first one ends
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(f"ended by {signal.Signals(number).name}")

    for number in numbers:
        signal.signal(number, end)
    yield


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__

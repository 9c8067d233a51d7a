"""Runs commands and measures them: seconds, busy cores, and where the time of actbench's stacks goes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CORES = len(os.sched_getaffinity(0))
ON_CPU = ("execution.device=cpu", f"execution.workers={CORES}")


class Unmeasured(Exception):
    """A command failed, or did not do what was to be measured; the text says which and why."""


@dataclass(frozen=True)
class Times:
    """Of one actbench command, in seconds.

    training, evaluation, measuring: of all stacks, over all cores. span: from the first stack's begin to the last one's
    end. processor: user and system time of all processes of the machine meanwhile.
    """

    seconds: float
    processor: float
    training: float
    evaluation: float
    measuring: float
    span: float

    @property
    def rows(self) -> dict[str, float]:
        """By the name in throughput.md; those of the stacks only where the stopwatch has seen any."""
        stacks = self.training + self.evaluation + self.measuring
        rows = {"seconds": self.seconds, "busy cores, %": 100 * self.processor / (self.seconds * CORES)}
        if not stacks:
            return rows
        return {
            **rows,
            "training, seconds on all cores": self.training,
            "evaluation, seconds on all cores": self.evaluation,
            "measuring, seconds on all cores": self.measuring,
            "stacks from first to last, over the sum of these": self.span / stacks,
            "all else, seconds": self.seconds - self.span,
        }


def timed(commands: Sequence[Sequence[str]], folder: Path, variables: Mapping[str, str] | None = None) -> float:
    """Seconds until all commands, at once, have ended. Raises Unmeasured where one fails."""
    begun, environment = time.perf_counter(), {**os.environ, "OMP_NUM_THREADS": "1", **(variables or {})}
    processes = [
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in commands
    ]
    outputs = [process.communicate()[0] for process in processes]
    seconds = time.perf_counter() - begun
    for command, process, output in zip(commands, processes, outputs, strict=True):
        if process.returncode:
            raise Unmeasured(f"{' '.join(command)[:300]}\n{output[-3000:]}")
    return seconds


def check_checkout(checkout: Path) -> None:
    """Raises Unmeasured unless `actbench` in the environment of `actbench_times` is that of the checkout."""
    command = [sys.executable, "-c", "import actbench; print(actbench.__file__)"]
    found = subprocess.run(command, env=_environment(checkout), cwd="/", capture_output=True, text=True)
    if not found.stdout.startswith(f"{checkout}{os.sep}"):
        raise Unmeasured(f"{checkout}: no checkout of actbench; imported was {found.stdout.strip() or found.stderr}")


def actbench_times(arguments: Sequence[str], folder: Path, checkout: Path = ROOT) -> Times:
    """Measures `actbench` of a checkout, called in the folder, with the number of cores as its workers."""
    log = folder / "stopwatch.jsonl"
    log.unlink(missing_ok=True)
    before = _busy_seconds()
    command = [sys.executable, "-m", "actbench", *arguments, *ON_CPU]
    seconds = timed([command], folder, {**_environment(checkout), "ACTBENCH_STOPWATCH": str(log)})
    processor = _busy_seconds() - before
    stacks = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    training, evaluation, measuring = (
        sum(stack[phase] for stack in stacks) / CORES for phase in ("training", "evaluation", "measuring")
    )
    span = max(stack["ended"] for stack in stacks) - min(stack["begun"] for stack in stacks) if stacks else 0.0
    return Times(seconds, processor, training, evaluation, measuring, span)


def _busy_seconds() -> float:
    """Processor time of all processes since the machine started: workers that are forked are no children's children."""
    user, nice, system, *_ = (int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{checkout}{os.pathsep}{HERE / 'stopwatch'}"}

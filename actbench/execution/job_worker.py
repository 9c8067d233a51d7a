"""The worker that a job of a cluster runs: it trains stacks one after the other until there are none or its time is up.

It trains in a `local.Pool` of one process, so a run that fails, crashes or needs too much memory is treated there as
on the user's own machine; only the end of the whole job loses a stack.
"""

import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from actbench.data.datasets import PreparedData
from actbench.errors import UsageError, one_line
from actbench.execution.job_folder import Call, JobFolder, Task
from actbench.execution.local import Pool
from actbench.execution.worker import Failure, Saving
from actbench.experiment.compose import allow_modules_of_current_folder
from actbench.experiment.dataset_settings import DatasetSettings
from actbench.experiment.kinds import prepare
from actbench.experiment.runs import ENGINE, Run
from actbench.training.stacks import Stack

IDLE = 20.0  # seconds that a worker waits for further tasks, such as the next round of a comparison


@dataclass(frozen=True)
class Order:
    """What a job is to do. folder: of the tasks; current: the command's current folder. Both are absolute.

    minutes: of the whole job. timeout: of `local.Pool`. code: what `code` returns in the command.
    """

    folder: str
    current: str
    minutes: float
    device: str
    saving: Saving
    timeout: float
    code: tuple[int, str]


def code() -> tuple[int, str]:
    """What must be equal in a command and its workers: ENGINE and actbench's version."""
    return ENGINE, version("actbench")


def work(order: Order, job: str) -> None:
    """Carries out tasks. job: its name in the command, the same after the job was put back into the queue."""
    os.chdir(order.current)
    allow_modules_of_current_folder()
    folder = JobFolder(Path(order.folder))
    with folder.until_removed():
        _work(folder, order, job)


def _work(folder: JobFolder, order: Order, job: str) -> None:
    node, started = socket.gethostname(), time.monotonic()
    if code() != order.code:
        (engine, own), (asked_engine, asked) = code(), order.code
        folder.publish(
            "refused",
            job,
            f"node {node} has actbench {own} (engine {engine}), the command {asked} (engine {asked_engine})",
        )
        return
    with folder.counting(job, node) as worker:
        held: list[str] = []
        try:
            with Pool(order.device, 1, False, order.saving, order.timeout) as pool:
                _carry_out_all(folder, pool, worker, held, started + 60 * order.minutes)
        except UsageError as error:
            folder.publish("refused", job, f"node {node}: {error}")
        finally:  # once the pool has written its checkpoint: what the end of the job has cut goes on in another
            for name in held:
                folder.give_back(name, worker)


def _carry_out_all(folder: JobFolder, pool: Pool, worker: str, held: list[str], end: float) -> None:
    """Carries out tasks while there are any, and time for one more. held: the name of the one that is carried out.

    Raises UsageError where this node does not have the task's data.
    """
    longest = 0.0
    while (not longest or time.monotonic() + longest <= end) and (claimed := _next_task(folder, worker)):
        name, task = claimed
        held.append(name)
        began = time.monotonic()
        _carry_out(folder, pool, task)
        held.clear()
        folder.release(name, worker)
        longest = max(longest, time.monotonic() - began)


def _next_task(folder: JobFolder, worker: str) -> tuple[str, Task] | None:
    deadline = time.monotonic() + IDLE
    while (claimed := folder.claim(worker)) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    return claimed


def _carry_out(folder: JobFolder, pool: Pool, task: Task) -> None:
    """Publishes a task's results. Raises UsageError where this node does not have the task's data."""
    if isinstance(task, Call):
        arguments = [_with_own_data(value) if isinstance(value, list) else value for value in task.arguments]
        content: object
        try:
            content = pool.call(task.function, *arguments)
        except RuntimeError as error:
            content = Failure(str(error))
        folder.publish("results", task.key, content)
        return
    for results in pool.run([Stack(tuple(_with_own_data(task.runs)))]):
        for result in results:
            folder.publish("results", result.run.id, result)


def _with_own_data(runs: Sequence[Run]) -> list[Run]:
    """The runs with the data that this node has or prepares."""
    return [replace(run, data=_own_data(run.settings.dataset, run.data)) for run in runs]


@cache
def _own_data(settings: DatasetSettings, data: PreparedData) -> PreparedData:
    """The data on this node. Raises UsageError where they are not there, or are others than the command's."""
    try:
        if json.loads((Path(data.folder) / "meta.json").read_text())["fingerprint"] == data.fingerprint:
            return data
    except (OSError, ValueError, KeyError):  # the cache is not shared, and this node's has not been filled
        pass
    try:
        own = prepare(settings)
    except OSError as error:
        raise UsageError(f"dataset={settings.name}: {one_line(error)}") from error
    if own.fingerprint != data.fingerprint:
        raise UsageError(
            f"dataset={settings.name} is not the command's: fingerprint {own.fingerprint}, not {data.fingerprint}; "
            "copy the same files to this node, or name a shared folder as dataset.root"
        )
    return own

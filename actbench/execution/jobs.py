"""Trains stacks in the jobs of a cluster, which take them from a folder and write each result as a file.

Only the files count, by run id: a run without a result that no living worker holds is submitted again, whatever the
engine says about its job.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from actbench.errors import Submitted
from actbench.execution.engine import Engine, Jobs
from actbench.execution.job_folder import Call, JobFolder, Task, keys_of, part_of
from actbench.execution.job_worker import Order, code
from actbench.execution.local import OnRecords
from actbench.execution.worker import Failure, Saving
from actbench.experiment.command import ExecutionSettings
from actbench.experiment.runs import Run
from actbench.signals import check_interruption
from actbench.training.results import Result, failed_result
from actbench.training.stacks import Stack

POLL = 0.3  # seconds between two looks at the folder
GPU_MEMORY = 16 * 2**30  # bytes, assumed of a node's GPU for the size of stacks; one that proves too large is halved


class JobPool:
    """Context manager that trains stacks in jobs, with the interface of `local.Pool`.

    workers: jobs at once. memory: of a GPU, for `pack_stacks`. Jobs and results that a killed command has left in the
    folder are taken over. When the block ends, jobs are cancelled, unless by Submitted.
    """

    in_process = False
    at_once = 1  # calls that run at once: those of one measurement run on one node

    def __init__(
        self, engine: Engine, folder: Path, device: str, saving: Saving, settings: ExecutionSettings, minutes: float
    ) -> None:
        self.device, self.workers = device, int(settings.workers)
        self.memory = GPU_MEMORY if device == "cuda" else 0
        self._engine, self._retries, self._wait = engine, settings.retries, settings.wait
        self._folder = JobFolder(folder)
        self._order = Order(str(folder.resolve()), os.getcwd(), minutes, device, saving, settings.timeout, code())
        self._tasks: dict[str, Task] = {}  # without all results, by name
        self._workers: dict[str, str] = {}  # that last took a task
        self._unheld: set[str] = set()  # tasks that nothing held at the last look
        self._losses = Counter[str]()  # by run id or key
        self._runs: dict[str, Run] = {}  # that `run` trains, by id
        self._missing: set[str] = set()  # ids of those without a result

    def __enter__(self) -> "JobPool":
        self._folder.make()
        self._jobs = Jobs(self._engine, self._folder, self._order, (self._retries + 1) * self.workers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not Submitted:
            for name in self._tasks:
                self._withdraw(name)
            self._jobs.cancel()
            if kind is None and not self._losses and not self._folder.names("results") | self._folder.names("todo"):
                shutil.rmtree(self._folder.path, ignore_errors=True)
                with contextlib.suppress(OSError):  # other folders are there
                    self._folder.path.parent.rmdir()
                    self._folder.path.parent.parent.rmdir()
        self._engine.close()

    def _withdraw(self, name: str) -> None:
        self._folder.remove("todo", name)
        for task, worker in self._folder.claims().items():
            if task == name:
                self._folder.release(name, worker)

    def call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Returns the value of a function, called in a job. Raises RuntimeError where it fails.

        Lists among the arguments are of runs.
        """
        described = repr((function.__qualname__, [getattr(value, "id", value) for value in _flat(arguments)]))
        key = f"call-{hashlib.sha256(described.encode()).hexdigest()[:12]}"
        self._submit([Call(key, function, arguments)])
        for found in self._outcomes({key}):
            value = found[key]
        if isinstance(value, Failure):
            raise RuntimeError(value.message)
        return value

    def calls(self, function: Callable[..., Any], arguments: Sequence[Sequence[object]]) -> list[Any]:
        """Values of a function for several arguments, one after the other. Raises RuntimeError where a call fails."""
        return [self.call(function, *own) for own in arguments]

    def run(
        self, stacks: Sequence[Stack], on_records: OnRecords = lambda stack, records: None
    ) -> Iterator[list[Result]]:
        """Results as they are found, in no fixed order; jobs are submitted before the first is asked for.

        The caller may `add` stacks while it iterates. on_records: never called, as only results come back. Raises
        Submitted where the command is not to wait, and UsageError where the engine or its nodes refuse.
        """
        self._runs.clear()
        self._missing.clear()
        self.add(stacks)

        def results() -> Iterator[list[Result]]:
            for found in self._outcomes(self._missing):
                yield [
                    failed_result(self._runs[id], content.message, self.device)
                    if isinstance(content, Failure)
                    else replace(content, run=self._runs[id])
                    for id, content in found.items()
                ]

        return results()

    def add(self, stacks: Sequence[Stack]) -> None:
        """Adds stacks to those that `run` trains."""
        runs = {run.id: run for stack in stacks for run in stack.runs}
        self._runs |= runs
        self._missing |= set(runs)
        self._submit(stacks)

    def _submit(self, tasks: Sequence[Task]) -> None:
        """Puts tasks into the folder, but for those parts that an earlier command's jobs have done or hold."""
        asked = {key for task in tasks for key in keys_of(task)}
        due = set(asked)
        places = {name: ("todo", name) for name in self._folder.names("todo")}
        places |= {name: ("taken", f"{name}~{worker}") for name, worker in self._folder.claims().items()}
        for key in asked & self._folder.names("results"):
            content = self._folder.read("results", key)
            if content is None or isinstance(content, Failure) or getattr(content, "error", None) is not None:
                self._folder.remove("results", key)  # what has failed is tried again
            else:
                due.discard(key)
        for name, place in places.items():
            task = self._folder.read(*place)
            if task is not None and asked.issuperset(keys_of(task)):
                self._tasks[name] = task
                due.difference_update(keys_of(task))
        for task in tasks:
            if due.intersection(keys_of(task)):
                self._put(part_of(task, due))
        self._jobs.look()
        self._jobs.hire(min(self.workers, len(self._tasks)))

    def _put(self, task: Task) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:6]}"  # workers take tasks in the order of their names
        self._tasks[name] = task
        self._folder.publish("todo", name, task)

    def _outcomes(self, missing: set[str]) -> Iterator[dict[str, Any]]:
        """Contents of results by key until none is missing; a Failure for what was lost too often."""
        while missing:
            check_interruption()
            self._jobs.look()
            held = self._held()  # before the results, as a worker writes these first
            found = {}
            for key in missing & self._folder.names("results"):
                if (content := self._folder.read("results", key)) is None:
                    self._folder.remove("results", key)
                else:
                    found[key] = content
            missing -= set(found)
            if found:
                self._jobs.forgive()
                yield found
                for key in found:
                    self._folder.remove("results", key)
            failed = self._resubmit(missing, held)
            missing -= set(failed)
            if failed:
                yield failed
            if missing and not self._wait:
                raise Submitted(
                    f"{len(missing)} runs are left to {self._engine.name}; the same command takes up their results"
                )
            if missing:
                self._jobs.hire(min(self.workers, len(self._tasks)))
                time.sleep(0 if found else POLL)

    def _held(self) -> set[str]:
        """Names of the tasks that wait for a worker, or that a living worker carries out."""
        waiting, claims = self._folder.names("todo"), self._folder.claims()
        self._workers |= claims
        return waiting | {name for name, worker in claims.items() if self._jobs.holds(worker)}

    def _resubmit(self, missing: Collection[str], held: Collection[str]) -> dict[str, Failure]:
        """Submits what was lost again; returns, by key, what was lost too often. Drops tasks that have all results."""
        failed: dict[str, Failure] = {}
        unheld = set()
        for name, task in list(self._tasks.items()):
            keys = [key for key in keys_of(task) if key in missing]
            if not keys:
                del self._tasks[name]
            elif name not in held and name not in self._unheld:
                unheld.add(name)  # a second look decides: a task may move between folders during the first
            elif name not in held:
                self._withdraw(name)
                del self._tasks[name]
                failed |= self._retry(part_of(task, keys), self._workers.get(name))
        self._unheld = unheld
        return failed

    def _retry(self, task: Task, worker: str | None) -> dict[str, Failure]:
        """Submits a lost task again: first as it was, then run by run. worker: that took it, None where none has."""
        keys, node = keys_of(task), "no node" if worker is None else self._jobs.node(worker)
        if worker is not None:
            self._losses.update(keys)
        times = max(self._losses[key] for key in keys)
        print(f"{len(keys)} runs lost their job ({node})", file=sys.stderr, flush=True)
        if times > self._retries:
            message = f"its job was lost {times} times, at last on {node}; see {self._engine.logs}"
            return dict.fromkeys(keys, Failure(message, died=True))
        for part in [task] if times < 2 else [part_of(task, {key}) for key in keys]:
            self._put(part)
        return {}


def _flat(arguments: Sequence[object]) -> Iterator[object]:
    for value in arguments:
        yield from value if isinstance(value, list) else [value]

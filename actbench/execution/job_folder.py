"""A folder on a shared file system through which a command and the workers of its cluster jobs exchange files.

    todo/TASK            a pickled task that no worker has taken
    taken/TASK~WORKER    the same file while a worker carries it out
    results/KEY          a pickled result: of a run by its id, of a call by its key
    workers/WORKER       a counter that the worker raises while it lives
    started/JOB          the node on which a job has begun
    refused/JOB          why a job takes no tasks
    jobs.json            the engine's id of each job

A file appears and moves as a whole, by a rename. Pickles are read from here alone, and no other user can write here.
"""

import contextlib
import json
import os
import pickle
import stat
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actbench.errors import UsageError
from actbench.signals import write_json
from actbench.training.stacks import Stack

BEAT = 1.0  # seconds between two counts of a worker

_FOLDERS = ("todo", "taken", "results", "workers", "started", "refused", "logs", "tmp")
_CLAIM = "~"  # between the names of a task and of its worker


@dataclass(frozen=True)
class Call:
    """A function to call instead of a stack to train. key: names its result."""

    key: str
    function: Callable[..., Any]
    arguments: tuple[object, ...]


Task = Stack | Call


def keys_of(task: Task) -> tuple[str, ...]:
    """The names of a task's results."""
    return (task.key,) if isinstance(task, Call) else tuple(run.id for run in task.runs)


def part_of(task: Task, keys: Collection[str]) -> Task:
    """The task without those runs whose ids are not among the keys."""
    return task if isinstance(task, Call) else Stack(tuple(run for run in task.runs if run.id in keys))


class JobFolder:
    """The files that a command and its workers exchange."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Creates the folder. Raises UsageError where it belongs to another user."""
        for path in (self.path, *(self.path / name for name in _FOLDERS)):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.path.stat()
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise UsageError(f"{self.path.resolve()}: other users can change it; remove it, and run again")

    @contextlib.contextmanager
    def until_removed(self) -> Iterator[None]:
        """In the block it is no error that the command ends and removes the folder."""
        try:
            yield
        except FileNotFoundError:
            if all((self.path / name).is_dir() for name in _FOLDERS):
                raise

    def names(self, kind: str) -> set[str]:
        """The files of a subfolder."""
        with contextlib.suppress(FileNotFoundError):
            return set(os.listdir(self.path / kind))
        return set()

    def publish(self, kind: str, name: str, content: object) -> None:
        """Writes a pickle, which appears as a whole."""
        scratch = self.path / "tmp" / uuid.uuid4().hex
        scratch.write_bytes(pickle.dumps(content))
        scratch.replace(self.path / kind / name)

    def read(self, kind: str, name: str) -> Any:
        """The content of a pickle; None where it is not there, or damaged."""
        try:
            return pickle.loads((self.path / kind / name).read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def remove(self, kind: str, name: str) -> None:
        """Removes a file, if it is there."""
        (self.path / kind / name).unlink(missing_ok=True)

    def claims(self) -> dict[str, str]:
        """The worker of each task that is taken."""
        return dict(name.split(_CLAIM, 1) for name in self.names("taken"))

    def claim(self, worker: str) -> tuple[str, Task] | None:
        """Takes the first task that no other worker takes; None where there is none."""
        for name in sorted(self.names("todo")):
            with contextlib.suppress(FileNotFoundError):
                claim = f"{name}{_CLAIM}{worker}"
                (self.path / "todo" / name).rename(self.path / "taken" / claim)
                if (task := self.read("taken", claim)) is not None:
                    return name, task
        return None

    def release(self, name: str, worker: str) -> None:
        """Ends a claim."""
        self.remove("taken", f"{name}{_CLAIM}{worker}")

    def give_back(self, name: str, worker: str) -> None:
        """Makes a task that was taken available to the other workers, unless the command has withdrawn it."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / "taken" / f"{name}{_CLAIM}{worker}").rename(self.path / "todo" / name)

    @contextlib.contextmanager
    def counting(self, job: str, node: str) -> Iterator[str]:
        """In the block a thread raises the counter of a worker, whose name it yields.

        A job that was put back into the queue starts as a new worker; the counter of the one before is removed.
        """
        for before in self.names("workers"):
            if before.startswith(f"{job}."):
                self.remove("workers", before)
        self.publish("started", job, node)
        worker, ended = f"{job}.{uuid.uuid4().hex[:6]}", threading.Event()

        def count() -> None:
            counter = 0
            while not ended.wait(BEAT if counter else 0):
                counter += 1
                with contextlib.suppress(OSError):
                    (self.path / "workers" / worker).write_text(str(counter))  # in place, as renames show late on NFS

        thread = threading.Thread(target=count, daemon=True)
        thread.start()
        try:
            yield worker
        finally:
            ended.set()
            thread.join()
            self.remove("workers", worker)

    def read_jobs(self) -> dict[str, str]:
        """The engine's id of each job by its name."""
        try:
            return dict(json.loads((self.path / "jobs.json").read_text()))
        except (OSError, ValueError):
            return {}

    def write_jobs(self, jobs: Mapping[str, str]) -> None:
        """Writes what `read_jobs` reads."""
        write_json(self.path / "jobs.json", dict(jobs))


class Counters:
    """When the counter of each worker last changed, by this process's clock, as clocks of nodes differ."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[str, float]] = {}

    def update(self) -> None:
        """Reads the counters of all workers."""
        workers = self._folder.names("workers")
        for worker in workers:
            with contextlib.suppress(OSError):
                text = (self._folder.path / "workers" / worker).read_text()
                if self._seen.get(worker, ("", 0.0))[0] != text:
                    self._seen[worker] = text, time.monotonic()
        self._seen = {worker: seen for worker, seen in self._seen.items() if worker in workers}

    def silent(self, seconds: float) -> list[str]:
        """Workers whose counter has not changed for so long."""
        return [worker for worker in self._seen if self.age(worker) >= seconds]

    def age(self, worker: str) -> float:
        """Seconds since the counter changed; infinite for a worker that has none."""
        return time.monotonic() - self._seen[worker][1] if worker in self._seen else float("inf")

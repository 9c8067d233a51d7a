"""The jobs that a command has submitted to a cluster's engine: which of them live, and how many more are needed."""

import contextlib
import sys
import time
import uuid
from collections.abc import Collection, Sequence
from typing import Protocol

from actbench.errors import UsageError
from actbench.execution.job_folder import BEAT, Counters, JobFolder
from actbench.execution.job_worker import Order
from actbench.signals import deferred_signals

ASK = 5.0  # seconds between two questions to the engine, which many users share
QUIET = 10 * BEAT  # seconds without a count after which a worker is lost, if the engine says that its job does not run
SILENT = 60.0  # ... and where it says that the job still runs: a network file system may be slow


class Engine(Protocol):
    """What starts jobs. name: the choice of the group execution. logs: where its jobs' output is."""

    name: str
    logs: str

    def submit(self, order: Order, names: Sequence[str]) -> list[str]:
        """Submits a job for each name, which carries out the order; returns their ids. Raises UsageError."""

    def alive(self, ids: Collection[str]) -> dict[str, bool]:
        """Those of the jobs that wait or run, or may do so as far as is known, and whether they run."""

    def cancel(self, ids: Collection[str]) -> None:
        """Ends jobs, if they have not ended."""

    def close(self) -> None:
        """Leaves the engine."""


class Jobs:
    """The jobs of a command. fruitless: how many may end in a row before they begin."""

    def __init__(self, engine: Engine, folder: JobFolder, order: Order, fruitless: int) -> None:
        self._engine, self._folder, self._order, self._most_fruitless = engine, folder, order, fruitless
        self._counters = Counters(folder)
        self._ids = folder.read_jobs()  # of living jobs, by name
        self._alive, self._asked_at = dict.fromkeys(self._ids.values(), True), -ASK
        self._started = set(self._ids) | folder.names("started")  # names of jobs
        self._fruitless = 0
        self._refused: dict[str, str] = {}  # reasons by name of job
        self._refusals = 0  # since the last result
        for name in folder.names("refused"):
            folder.remove("refused", name)

    def look(self) -> None:
        """Notices which jobs have begun, ended, refused or fallen silent."""
        self._counters.update()
        if started := self._folder.names("started") - self._started:
            self._started |= started
            self._fruitless = 0
        for name in self._folder.names("refused") - set(self._refused):
            reason = str(self._folder.read("refused", name))
            if reason not in self._refused.values():
                print(f"a job takes no runs: {reason}", file=sys.stderr, flush=True)
            self._refused[name] = reason
            self._refusals += 1
        if time.monotonic() - self._asked_at >= ASK:
            self._alive = self._engine.alive(set(self._ids.values())) if self._ids else {}
            self._asked_at = time.monotonic()
        for worker in self._counters.silent(SILENT):
            id = self._ids.get(worker.partition(".")[0], "")
            if self._alive.get(id):  # it is on a node that the engine has not given up yet
                self._engine.cancel([id])
                del self._alive[id]
        ended = {name for name, id in self._ids.items() if id not in self._alive}
        self._fruitless += len(ended - self._started - set(self._refused))
        if ended:
            self._ids = {name: id for name, id in self._ids.items() if name not in ended}
            self._folder.write_jobs(self._ids)

    def holds(self, worker: str) -> bool:
        """Whether a worker lives, by its counter. One whose job does not run is given up sooner."""
        runs = self._alive.get(self._ids.get(worker.partition(".")[0], ""), False)
        return self._counters.age(worker) < (SILENT if runs else QUIET)

    def node(self, worker: str) -> str:
        """The node of a worker."""
        return str(self._folder.read("started", worker.partition(".")[0]) or "a node that is not known")

    def hire(self, wanted: int) -> None:
        """Submits jobs until `wanted` live. Raises UsageError where jobs only refuse, or end before they begin."""
        living = len(set(self._ids) - set(self._refused))
        if self._fruitless >= self._most_fruitless:
            raise UsageError(
                f"{self._fruitless} jobs of {self._engine.name} ended before they began; see {self._engine.logs}"
            )
        missing = wanted - self._refusals - living
        if self._refusals and missing <= 0 and not living:
            raise UsageError(f"no node takes the runs: {next(reversed(self._refused.values()))}")
        if missing > 0:
            names = [uuid.uuid4().hex[:12] for _ in range(missing)]
            with deferred_signals():  # a job whose id is not written could not be cancelled
                ids = self._engine.submit(self._order, names)
                self._ids |= dict(zip(names, ids, strict=True))
                self._alive |= dict.fromkeys(ids, False)
                self._folder.write_jobs(self._ids)

    def forgive(self) -> None:
        """Forgets refusals, as a result shows that other nodes take runs."""
        self._refusals = 0

    def cancel(self) -> None:
        """Ends the jobs that live."""
        if self._ids:
            with contextlib.suppress(OSError):
                self._engine.cancel(set(self._ids.values()))
            self._ids = {}
            self._folder.write_jobs({})

"""What `compare`, `sweep` and `train` have in common: skip runs that the store holds, train the rest, store results."""

import gc
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from actbench.commands.estimate import Forecast
from actbench.commands.live import LiveWriter
from actbench.commands.planning import note_of
from actbench.commands.progress import RunProgress, weight_of
from actbench.execution.pools import AnyPool
from actbench.experiment.command import CommandSettings
from actbench.experiment.questions import Hypothesis
from actbench.experiment.request import Request
from actbench.experiment.runs import Run
from actbench.report.numbers import count
from actbench.signals import check_interruption, deferred_signals, write_json
from actbench.store.files import REQUEST, RUNS, costs_frame, write_comparison, write_results
from actbench.store.names import JOURNALS
from actbench.store.provenance import Spent
from actbench.store.sqlite import checkpoint_log, is_new
from actbench.training.checkpoints import weights_folder
from actbench.training.results import Mark, Result, missing_result
from actbench.training.resume import checkpoint_path, resumable_stacks
from actbench.training.stacks import Stack, pack_stacks

if TYPE_CHECKING:
    from actbench.store.reader import Store
    from actbench.store.writer import ParentRun

Follow = Callable[[Sequence[Result]], Iterable[tuple[Sequence[Run], str]]]

FAILED = 1  # exit code: some run failed, or is not stored yet


@dataclass(frozen=True)
class Ended:
    """How a command has ended. folder: of its results."""

    exit_code: int
    folder: Path


@dataclass
class Session:
    """The state of one command: its runs, their results, the worker processes and the parent run in the store.

    command: compare, sweep or train. planned: runs by id, in the order of the plan. results: of runs found finished or
    trained, by run id. trained: how many were trained now. hypotheses, costs, marks (by run id): of a comparison.
    checkpoints: the folder of those of stacks, None where none are kept.
    imports: modules that the end of the command needs, which take seconds; they are imported while workers train.
    before: what earlier commands spent on the runs of the folder. forecast: of the time; None for jobs of a cluster.
    family: the name that the plans of one experiment have in common. taken: runs that were trained for another of them.
    """

    command: str
    request: Request
    settings: CommandSettings
    pool: AnyPool
    folder: Path
    checkpoints: Path | None
    family: str
    planned: dict[str, Run] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    trained: int = 0
    taken: int = 0
    hypotheses: Sequence[Hypothesis] | None = None
    costs: pd.DataFrame = field(default_factory=lambda: costs_frame([]))
    marks: dict[str, Mark] = field(default_factory=dict)
    imports: Sequence[str] = ()
    forecast: Forecast | None = None
    before: Spent = field(default_factory=Spent)
    started: float = field(default_factory=time.monotonic)
    _parent: "ParentRun | None" = None

    @cached_property
    def store(self) -> "Store":
        """The experiment in the store; a new database is made at the first access."""
        from actbench.store.reader import Store  # imports MLflow, which takes seconds: workers train meanwhile

        return Store(self.settings.store.uri, self.request.experiment, family=self.family)

    @cached_property
    def relatives(self) -> "list[Store]":
        """The other plans of the experiment in the store."""
        from actbench.store.relatives import relatives  # imports MLflow

        return relatives(self.settings.store.uri, self.family, self.request.experiment)

    @property
    def is_new(self) -> bool:
        """Whether there is no store yet, and nothing that waits for it; one that has gone since is not a new one."""
        return "store" not in vars(self) and is_new(self.settings.store.uri) and not JOURNALS.exists()

    @property
    def parent(self) -> "ParentRun":
        """The command's parent run, created at the first access."""
        if self._parent is None:
            self._parent = self.store.start(self.command, self.request.to_tags())
        return self._parent

    def train(self, runs: Sequence[Run], title: str, follow: Follow = lambda results: ()) -> None:
        """Adds the results of all these runs to `results`: found in the store, or trained now and stored one by one.

        title: printed. follow: called with results as they come, in no fixed order; returns further runs to train, with
        what is printed about them.
        """
        due = self._due(runs, title, follow)
        if not due:
            return
        stacks = self._stacks(due)
        if self.forecast is not None:
            self.forecast.announce()
        weigh = self.forecast.weigh if self.forecast is not None else weight_of
        with RunProgress(self.request.experiment, due, weigh) as bar:
            for result in self.results.values():
                bar.compare(result)
            self._train(stacks, bar, follow)
        if self.forecast is not None:
            self.forecast.seconds += bar.seconds
        if self.checkpoints is not None:
            shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _due(self, runs: Sequence[Run], title: str, follow: Follow) -> list[Run]:
        """Those of the runs, and of what follows from results that are found, which are to be trained."""
        due: dict[str, Run] = {}
        further = deque([(runs, title)])
        while further:
            runs, title = further.popleft()
            self.planned |= {run.id: run for run in runs}
            finished, taken = self._found(runs)
            rest = {run.id: run for run in runs if run.id not in finished}
            found = f"{len(runs) - len(rest)} found finished{f' ({taken} of another plan)' * (taken > 0)}"
            print(f"{title}: {count(len(runs), 'run')}, {found}, {len(rest)} to train", flush=True)
            due |= rest
            further.extend(follow(list(finished.values())))
        return list(due.values())

    def _found(self, runs: Sequence[Run]) -> tuple[dict[str, Result], int]:
        """The results that the store has of these runs, and how many of them another plan of the experiment had.

        Those are stored under this plan too.
        """
        if self.is_new:
            return {}, 0
        from actbench.store.relatives import finished_elsewhere  # imports MLflow

        weights = self.settings.store.save_weights
        finished = self.store.finished(runs, weights)
        rest = [run for run in runs if run.id not in finished]
        taken = finished_elsewhere(self.relatives, rest, weights) if rest else {}
        self.results |= finished
        for result in taken.values():
            check_interruption()
            with deferred_signals():
                self.parent.add(result)
                self.results[result.run.id] = result
                self.taken += 1
        return finished | taken, len(taken)

    def _train(self, stacks: Sequence[Stack], bar: RunProgress, follow: Follow) -> None:
        groups = self.pool.run(stacks, LiveWriter(lambda: self.parent, self.pool.in_process, bar))
        _ = self.store  # making a new database takes seconds; workers train meanwhile
        if not self.pool.in_process:
            for module in self.imports:
                import_module(module)
            gc.collect()
            gc.freeze()  # else each collection looks at half a million objects of libraries, which takes 0.2 s
        if self.settings.store.system_metrics:
            self.parent.monitor_system()
        for results in groups:
            self._store(results, bar)
            for runs, title in follow(results):
                further = self._due(runs, title, follow)
                bar.extend(further)
                self.pool.add(self._stacks(further))

    def _stacks(self, due: Sequence[Run]) -> list[Stack]:
        """Stacks that go on from their checkpoints, then those of the other runs."""
        resumed: list[Stack] = []
        if self.checkpoints is not None:
            resumed = [Stack(runs) for runs in resumable_stacks(self.checkpoints, {run.id: run for run in due})]
        ids = {run.id for stack in resumed for run in stack.runs}
        if ids:
            print(f"{count(len(ids), 'run')} of them from checkpoints", flush=True)
        rest = [run for run in due if run.id not in ids]
        stacks = resumed + pack_stacks(rest, self.pool.device, self.pool.workers, self.pool.memory)
        if self.forecast is not None:
            self.forecast.stacks += stacks
        return stacks

    def _store(self, results: Sequence[Result], bar: RunProgress) -> None:
        with_weights = self.settings.store.save_weights != "none"
        for result in results:
            check_interruption()
            with deferred_signals():  # `results` and the store hold the same runs after an interruption
                self.parent.add(result, weights_folder(result.run) if with_weights else None)
                self.results[result.run.id] = result
                self.trained += 1
            bar.done(result)
        if self.checkpoints is not None:
            checkpoint_path(self.checkpoints, [result.run for result in results]).unlink(missing_ok=True)

    def write_files(self) -> None:
        """Writes results/<experiment>/, a row per planned run; those without a result are `missing`."""
        rows = [self.results.get(id) or missing_result(run, self.pool.device) for id, run in self.planned.items()]
        spent = self.before
        if self.trained or self.taken or spent.seconds is None:  # the report says how long the training took
            spent = spent.plus(time.monotonic() - self.started, self.planned, self.taken)
        write_results(self.folder, rows, self.request.command, spent, self.marks)
        write_json(self.folder / REQUEST, self.request.to_tags())  # it is there already, unless the folder was removed
        if self.hypotheses is not None:
            write_comparison(self.folder, self.costs, self.hypotheses)

    def end(self, note: str, killed: bool = False) -> bool:
        """Ends the parent run, with the files as artifacts. Returns whether the store has taken everything.

        note: Markdown that describes the command in MLflow.
        """
        status = "KILLED" if killed else "FAILED" if self.failures else "FINISHED"
        self.parent.end(status, note, self.folder, self.results.values())
        if self.parent.is_stored:
            checkpoint_log(self.settings.store.uri)
        return self.parent.is_stored

    @property
    def has_stored(self) -> bool:
        """Whether the command has stored anything."""
        return self._parent is not None

    def interrupted(self) -> None:
        """Stores the finished runs after an interruption."""
        with deferred_signals():  # a second Ctrl-C must not cost what the first one kept
            if self._parent is not None:
                self.write_files()
                self.end(note_of(self.request), killed=True)
        print(f"\n{len(self.results)} finished runs are kept; the same command goes on from there", flush=True)

    def ended(self, stored: bool) -> Ended:
        """Prints where the runs are and which failed. stored: whether the store has taken everything."""
        uri = self.settings.store.uri
        if not self.trained:
            print("nothing to train: every run was found finished in the store")
        if stored and self._parent is not None and self._parent.is_gone(self.results.values()):
            stored = False
        removed = not (self.folder / RUNS).is_file()
        places = [] if removed else [f"{self.folder}{os.sep}"]
        places += [f"{uri}, experiment {self.request.experiment}"] if stored else []
        print(" ".join([count(len(self.planned), "run"), " and ".join(f"in {place}" for place in places)]), flush=True)
        if removed:
            print(f"{self.folder} was removed while the command ran; the same command writes it again")
        for result in self.failures:
            run = result.run
            print(f"failed: run {run.id} ({run.settings.activation.label}, seed {run.settings.seed}): {result.error}")
        if not stored:
            print(
                f"not in {uri} yet, as {self.parent.outbox.problem}; the rest is in {self.parent.journal_folder}, and "
                "the next command on this store in this folder writes it"
            )
        weightless = self._parent.without_weights if self._parent is not None else 0
        if weightless:
            lost = f"the weights of {count(weightless, 'run')} were removed from the artifacts while the command ran"
            print(f"{lost}; the same command trains them again")
        return Ended(FAILED if self.failures or weightless or removed or not stored else 0, self.folder)

    @property
    def failures(self) -> list[Result]:
        """Results of runs that failed, in the order of the plan."""
        return [self.results[id] for id in self.planned if id in self.results and self.results[id].error is not None]

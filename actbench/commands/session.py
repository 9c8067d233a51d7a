"""One command's way from plan to store."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from actbench.commands.progress import RunProgress
from actbench.execution.devices import free_memory
from actbench.execution.local import Pool
from actbench.execution.worker import REPORT_EVERY
from actbench.experiment.questions import Hypothesis
from actbench.experiment.runs import Run
from actbench.report.numbers import count
from actbench.signals import deferred_signals
from actbench.store.files import costs_frame, write_comparison, write_results
from actbench.store.reader import Store
from actbench.store.runs import ParentRun
from actbench.store.sqlite import checkpoint_log, is_new
from actbench.training.checkpoints import weights_folder
from actbench.training.results import LiveCurves, Record, Result, missing_result
from actbench.training.stacks import Stack, pack_stacks

_SELDOM = 8.0  # seconds between two writes of a stack that trains
_COST = 20  # times what a write takes, at least: a twentieth of the writer's time


@dataclass
class Command:
    """What is held is not trained again, what is trained is stored at once."""

    kind: str
    experiment: str
    tags: dict[str, str]
    pool: Pool
    uri: str
    folder: Path
    parent: ParentRun | None = None
    plan: list[Run] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    trained: int = 0
    hypotheses: Sequence[Hypothesis] = ()
    costs: pd.DataFrame = field(default_factory=lambda: costs_frame([]))

    @cached_property
    def store(self) -> Store:
        return Store(self.uri, self.experiment)

    def carry_out(self, runs: Sequence[Run], title: str) -> None:
        """All runs are in `results` after it: found in the store, or trained now and stored one by one."""
        self.plan += runs
        found = {} if is_new(self.uri) else self.store.finished(runs, runs[0].config.store.save_weights)
        self.results |= found
        todo = list({run.id: run for run in runs if run.id not in found}.values())
        print(
            f"{title}: {count(len(runs), 'run')}, {len(runs) - len(todo)} found finished, {len(todo)} to train",
            flush=True,
        )
        if todo:
            single = len(todo) == 1
            with RunProgress(title, todo[0].steps if single else len(todo), "steps" if single else "runs") as bar:
                memory = free_memory(self.pool.device) // self.pool.workers
                grouped = pack_stacks(todo, self.pool.device, self.pool.workers, memory)
                follow = _Follow(self, bar if single else None)
                groups = self.pool.run(grouped, follow)
                _ = self.store  # a new database takes seconds to make: workers train meanwhile
                if todo[0].config.store.system_metrics:
                    self.begun().monitor_system()
                for group in groups:
                    self._keep(group, None if single else bar)

    def begun(self) -> ParentRun:
        """The command's parent run."""
        if self.parent is None:
            self.parent = self.store.start(self.kind, self.tags)
        return self.parent

    def _keep(self, results: Iterable[Result], bar: RunProgress | None) -> None:
        for result in results:
            with deferred_signals():  # an interruption keeps here what the store keeps, whole
                kept = result.run.config.store.save_weights != "none"
                self.begun().add(result, weights_folder(result.run) if kept else None)
                self.results[result.run.id] = result
                self.trained += 1
            if bar is not None:
                bar.done(result)

    def mirror(self) -> list[Result]:
        """results/<experiment>/: a row for each run of the plan, those that were not made `missing`."""
        planned = {run.id: run for run in self.plan}  # a grid may name a run twice
        ended = [self.results.get(id) or missing_result(run, self.pool.device) for id, run in planned.items()]
        write_results(self.folder, ended, self.tags["command"])
        if self.kind == "compare":
            write_comparison(self.folder, self.costs, self.hypotheses)
        return ended

    def end(self, status: str, note: str) -> bool:
        """Whether the store has taken everything."""
        self.begun().end(status, note, self.folder)
        checkpoint_log(self.uri)
        return self.begun().is_stored


class _Follow:
    """Shows runs in the store while they train: those that do so for a while, and seldom enough to cost little."""

    def __init__(self, command: Command, bar: RunProgress | None) -> None:
        self._command, self._bar = command, bar
        self._stacks: dict[Stack, _Followed] = {}

    def __call__(self, stack: Stack, records: Sequence[Record]) -> None:
        for record in records:
            if self._bar is not None and record.metric == "val_accuracy":
                self._bar.at_step(record.step, f"val. accuracy {100 * record.values[0]:.2f} %")
        now = time.monotonic()
        if stack not in self._stacks:  # of workers, nothing is heard before
            self._stacks[stack] = _Followed(LiveCurves(stack.runs), now + self._command.pool.in_process * REPORT_EVERY)
        own = self._stacks[stack]
        own.records += records
        if now < own.due:
            return
        with deferred_signals():
            parent = self._command.begun()
            parent.begin(stack.runs)
            for run, points in zip(stack.runs, own.live.sure(own.records), strict=True):
                parent.log(run, points)
        own.records.clear()
        taken = time.monotonic() - now
        own.due = time.monotonic() + max(_SELDOM, _COST * taken)


@dataclass
class _Followed:
    live: LiveCurves
    due: float  # by time.monotonic()
    records: list[Record] = field(default_factory=list)

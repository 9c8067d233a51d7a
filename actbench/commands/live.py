"""Writes runs to the store while they train."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actbench.commands.progress import RunProgress
from actbench.execution.worker import REPORT_EVERY
from actbench.signals import check_interruption, deferred_signals
from actbench.training.results import STEP, LiveCurves, Record, score_curve
from actbench.training.stacks import Stack

if TYPE_CHECKING:
    from actbench.store.writer import ParentRun

_WRITE_INTERVAL = 8.0  # seconds between two writes of a stack that trains
_WRITE_COST = 20  # least wait, in durations of a write: writing takes at most 1/20 of the parent's time


class LiveWriter:
    """Writes runs to the store while they train: only longer runs, and rarely enough to cost little time."""

    def __init__(self, parent: "Callable[[], ParentRun]", in_process: bool, bar: RunProgress) -> None:
        """parent: the command's parent run, created at its first call. in_process: whether runs train here."""
        self._parent, self._in_process, self._bar = parent, in_process, bar
        self._stacks: dict[Stack, _LiveStack] = {}

    def __call__(self, stack: Stack, records: Sequence[Record]) -> None:
        check_interruption()
        for record in records:
            if record.metric in (STEP, score_curve(stack.runs[0])):
                self._bar.at(stack, record.step, float(record.values[0]) if len(record.values) else None)
        now = time.monotonic()
        if stack not in self._stacks:  # workers report only after REPORT_EVERY
            self._stacks[stack] = _LiveStack(LiveCurves(stack.runs), now + self._in_process * REPORT_EVERY)
        live = self._stacks[stack]
        live.records += records
        if now < live.due:
            return
        with deferred_signals():
            parent = self._parent()
            parent.begin(stack.runs)
            for run, points in zip(stack.runs, live.curves.certain(live.records), strict=True):
                parent.log(run, points)
        live.records.clear()
        seconds = time.monotonic() - now
        live.due = time.monotonic() + max(_WRITE_INTERVAL, _WRITE_COST * seconds)


@dataclass
class _LiveStack:
    curves: LiveCurves
    due: float  # by time.monotonic()
    records: list[Record] = field(default_factory=list)

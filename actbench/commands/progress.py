"""How far a command is while runs train: a bar on a terminal, else a line every half a minute."""

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from actbench.activations.own import shown_name
from actbench.experiment.runs import Run, architecture_of
from actbench.experiment.scores import ACCURACY, METRICS
from actbench.report.numbers import duration
from actbench.training.results import Result
from actbench.training.stacks import Stack, work_of

LINE_EVERY = 30.0  # seconds between two lines of a log

_VALUE = 300  # multiplications that take as long as a unit's value (AMD EPYC: an MLP, a CNN and a Transformer)
_SHOWN_FROM = 0.02  # share of the weight that is done before the time left is shown

Wait = Callable[[threading.Event, float], bool]


def weight_of(run: Run) -> float:
    """An estimate of a run's time, in proportion to that of others: of its products, and of its hidden units."""
    network = architecture_of(run)
    values = sum(units * positions for units, positions in zip(network.units, network.positions, strict=True))
    return work_of(run) + _VALUE * values * run.settings.training.batch_size * (run.steps + 1)


class RunProgress:
    """Runs done, time left and the best validation score so far; a run that trains counts by its steps.

    The time left is in proportion to the weights of the runs. Where there is neither a terminal nor a notebook with
    ipywidgets, a line on stderr says all of it every LINE_EVERY seconds. clock, wait: of these lines.
    """

    def __init__(
        self, title: str, runs: Sequence[Run], weigh: Callable[[Run], float] = weight_of,
        clock: Callable[[], float] = time.monotonic, wait: Wait = threading.Event.wait,
    ) -> None:  # fmt: skip
        self._weigh = weigh
        self._title, self._clock, self._wait, self._started = title, clock, wait, clock()
        self._waiting: dict[str, float] = {}  # weights of the runs that have not ended, by run id
        self._begun: dict[str, float] = {}  # share of the steps, of those that train
        self._runs, self._ended_runs, self._weight, self._ended_weight = 0, 0, 0.0, 0.0
        self._share = 0.0  # of the weight
        self._best: dict[str, float] = {}  # validation score, by metric
        self._note = ""
        self._ended = threading.Event()
        notebook = Console().is_jupyter and find_spec("ipywidgets") is not None
        self._console = Console(stderr=True, force_jupyter=notebook)
        self._has_bar = self._console.is_terminal or notebook
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(), TextColumn("{task.fields[left]}"), TextColumn("{task.fields[note]}", markup=False),
            console=self._console, disable=not self._has_bar,
        )  # fmt: skip
        self._steps = runs[0].steps if len(runs) == 1 else 0  # a single run is shown by its steps
        unit = "steps" if self._steps else "runs"
        self._task = self._bar.add_task(title, total=self._steps or len(runs), unit=unit, left="", note="")
        self.extend(runs)

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        if not self._has_bar:
            threading.Thread(target=self._print_lines, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the runs began to train."""
        return self._clock() - self._started

    def extend(self, runs: Sequence[Run]) -> None:
        """Adds runs to those that are to be done."""
        self._waiting |= {run.id: self._weigh(run) for run in runs}
        self._runs = self._ended_runs + len(self._waiting)
        self._weight = self._ended_weight + sum(self._waiting.values())
        self._show()

    def at(self, stack: Stack, step: int, score: float | None = None) -> None:
        """Notes how far a stack is. score: of its first run, by validation."""
        for run in stack.runs:
            if run.id in self._waiting:
                self._begun[run.id] = step / max(1, run.steps)
        if self._steps and score is not None:
            metric = METRICS[stack.runs[0].data.metric]
            self._note = f"val. {metric.noun} {metric.cell(score)}" + " %" * (metric is ACCURACY)
        self._show()

    def done(self, result: Result) -> None:
        """Counts a run that has ended."""
        self._begun.pop(result.run.id, None)
        self._ended_runs += 1
        self._ended_weight += self._waiting.pop(result.run.id, 0.0)
        self.compare(result)
        self._show()

    def compare(self, result: Result) -> None:
        """Notes the result where it is the best so far; also of a run that is not counted."""
        metric, score = METRICS[result.run.data.metric], result.row["val_score"]
        if isinstance(score, float) and score > self._best.get(metric.name, -math.inf):
            self._best[metric.name] = score
            self._note = f"best run {shown_name(result.run.settings.activation.label)} {metric.finer(score)}"

    def _show(self) -> None:
        begun = sum(share * self._waiting[id] for id, share in self._begun.items())
        self._share = min(1.0, (self._ended_weight + begun) / self._weight) if self._weight else 0.0
        runs = self._ended_runs + sum(self._begun.values())
        total, completed = (self._steps, self._share * self._steps) if self._steps else (self._runs, runs)
        self._bar.update(self._task, total=total, completed=completed, left=self._left(), note=self._note)

    def _left(self) -> str:
        """The time left in words; empty where too little is done to know it."""
        if not _SHOWN_FROM <= self._share < 1:
            return ""
        return f"{duration(self.seconds * (1 - self._share) / self._share)} left"

    def line(self) -> str:
        """Runs done, share of the weight, time spent, time left and the best run so far."""
        parts = (
            f"{self._title}: {self._ended_runs:,} of {self._runs:,} runs", f"{100 * self._share:.0f} %",
            duration(self.seconds), self._left(), self._note,
        )  # fmt: skip
        return ", ".join(filter(None, parts))

    def _print_lines(self) -> None:
        while not self._wait(self._ended, LINE_EVERY):
            print(self.line(), file=sys.stderr, flush=True)

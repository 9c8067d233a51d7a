"""The progress bar while runs train, and tables on the terminal. There is no bar if stderr is not a terminal."""

from types import TracebackType

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from actbench.training.results import Result

WIDEST = 10_000  # columns


class RunProgress:
    """A bar with runs done, time left and the best validation accuracy so far. total: runs, or steps of one run."""

    def __init__(self, title: str, total: int, unit: str = "runs") -> None:
        self._console = Console(stderr=True)
        self._best: Result | None = None
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TextColumn(unit),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            TextColumn("{task.fields[best]}", markup=False),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._total = total
        self._task = self._bar.add_task(title, total=total, best="")

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def extend(self, runs: int) -> None:
        """Adds runs to those that are to be done."""
        self._total += runs
        self._bar.update(self._task, total=self._total)

    def done(self, result: Result) -> None:
        """Counts a run that has ended."""
        accuracy = result.row["val_accuracy"]
        best = None if self._best is None else self._best.row["val_accuracy"]
        if isinstance(accuracy, float) and (not isinstance(best, float) or accuracy > best):
            self._best = result
            label = result.run.settings.activation.label
            self._bar.update(self._task, best=f"best {label} {100 * accuracy:.2f} %")
        self._bar.advance(self._task)

    def at_step(self, step: int, note: str) -> None:
        """Shows how far a single run is. note: shown behind the bar."""
        self._bar.update(self._task, completed=step, best=note)


def print_table(table: pd.DataFrame) -> None:
    """Prints a frame of texts, folded to the width of a terminal; elsewhere lines are not folded."""
    console = Console(markup=False) if Console().is_terminal else Console(width=WIDEST, markup=False)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        left = column in ("dataset", "architecture", "initialization", "optimizer", "activation")
        shown.add_column(str(column), justify="left" if left else "right", overflow="fold")
    for row in table.itertuples(index=False):
        shown.add_row(*map(str, row))
    with console.capture() as captured:  # then printed by print, because rich exits the process if a pipe is closed
        console.print(shown)
    print(captured.get(), end="")


def print_runs(runs: pd.DataFrame) -> None:
    """Prints means over seeds. runs: rows of runs.csv."""
    from actbench.analysis.summary import summarize  # these libraries take half a second
    from actbench.report.tables import summary_table

    print_table(summary_table(summarize(runs)))

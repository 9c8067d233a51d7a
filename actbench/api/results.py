"""The results of a command as one object: frames, the answer, figures, reports."""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from actbench.errors import UsageError, nearest_names
from actbench.experiment.request import Request
from actbench.store.files import ANSWER, HYPOTHESES, RUNS, SCORES, VERDICTS, holds_comparison, read_runs, read_series
from actbench.store.folder import folder_lock
from actbench.store.provenance import read_environment
from actbench.store.tables import read_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from actbench.commands.report import Compared

_HEIGHT = 700  # pixels of the front page in a notebook


def show_in_notebooks() -> None:
    """Makes IPython show figures as PNG where nothing else has told it how, as pyplot does, which is not imported."""
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython
    from IPython.core.pylabtools import select_figure_formats
    from matplotlib.figure import Figure

    if (shell := get_ipython()) is None:
        return
    known = shell.display_formatter.formatters
    if not any(Figure in known[kind].type_printers for kind in ("image/png", "image/svg+xml", "application/pdf")):
        select_figure_formats(shell, {"png"})


class Figures(Mapping[str, "Figure"]):
    """Figures by name, each drawn when it is asked for, `width` inches wide: 6.8 for two columns of a page."""

    def __init__(self, makers: Mapping[str, Callable[[float], "Figure"]], width: float = 6.8) -> None:
        self._makers, self.width = makers, width

    def __getitem__(self, name: str) -> "Figure":
        if name not in self._makers:
            raise KeyError(f"no figure {name!r}{nearest_names(name, list(self._makers))}")
        show_in_notebooks()
        return self._makers[name](self.width)

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __repr__(self) -> str:
        return f"<figures: {', '.join(self)}>"

    def at(self, width: float) -> "Figures":
        """The same figures `width` inches wide, from 2.5 to 20. Below 5 inches panels stand below each other."""
        if not isinstance(width, int | float) or not 2.5 <= width <= 20:
            raise UsageError(f"width={width!r}: must be a number of inches from 2.5 to 20")
        return Figures(self._makers, width)


class Results:
    """What a command left in its results folder; frames are read when they are asked for.

    folder: results/<experiment>. In a notebook it shows the front page of a comparison, or the table of a sweep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        if not (folder / RUNS).is_file():
            raise UsageError(f"{folder}: holds no {RUNS}; name a folder that a command has written, results/EXPERIMENT")

    def __repr__(self) -> str:
        if self.is_comparison:
            return f"{self.answer}\n{len(self.runs)} runs in {self.folder}"
        return f"{len(self.runs)} runs in {self.folder}\n{self.summary.to_string(index=False)}"

    def _repr_html_(self) -> str:
        if not self.is_comparison:
            return self.summary.to_html(index=False, border=0)
        page = escape(self._front_page(), quote=True)
        fit = "this.style.height = this.contentDocument.documentElement.scrollHeight + 20 + 'px'"
        style = f"width: 100%; height: {_HEIGHT}px; border: 0"
        return f'<iframe srcdoc="{page}" style="{style}" onload="{fit}"></iframe>'

    @property
    def is_comparison(self) -> bool:
        """Whether it is of `compare`."""
        return holds_comparison(self.folder)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for each run, as runs.csv; `variant` holds dicts."""
        return read_runs(self.folder / RUNS)

    @cached_property
    def _series(self) -> dict[str, pd.DataFrame]:
        return read_series(self.folder)

    @property
    def curves(self) -> pd.DataFrame:
        """run_id, step, metric, value."""
        return self._series["curves"]

    @property
    def layers(self) -> pd.DataFrame:
        """run_id, step, layer, metric, value."""
        return self._series["layers"]

    @property
    def histograms(self) -> pd.DataFrame:
        """run_id, step, layer, low, high, count."""
        return self._series["histograms"]

    @property
    def costs(self) -> pd.DataFrame:
        """Of a comparison: run_id, round, activation_ns, step_ns, step_share; empty for a sweep."""
        return self._series["costs"]

    @property
    def failed(self) -> pd.DataFrame:
        """The runs that failed."""
        return self.runs[self.runs["status"] == "failed"]

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Means over seeds as texts: the table that a sweep prints."""
        from actbench.analysis.summary import summarize  # these libraries take half a second
        from actbench.report.tables import summary_table

        return summary_table(summarize(self.runs))

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Command, seconds, machine, versions and code revision."""
        return read_environment(self.folder)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The content of answer.json. Raises UsageError for a sweep, which has no answer."""
        if not self.is_comparison:
            raise UsageError(f"{self.folder}: is of a sweep or a single run, which have no answer; use compare")
        content: dict[str, Any] = json.loads((self.folder / ANSWER).read_text(encoding="utf-8"))
        return content

    @property
    def answer(self) -> str:
        """The answer over all tasks. Raises UsageError for a sweep."""
        return str(self.document["answer"])

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """A row for each task and activation: score, interval, difference to the baseline, p-values, verdict, choice.

        choice: take, avoid or undecided. Raises UsageError for a sweep.
        """
        rows = []
        for task in self.document["tasks"]:
            choices = {name: choice for choice in ("take", "avoid", "undecided") for name in task[choice]}
            for name, own in task["activations"].items():
                row = {"task": task["task"], "activation": name, **own, "choice": choices.get(name, "")}
                rows.append({key: value for key, value in row.items() if key not in ("lr", "raced_out")})
        return pd.DataFrame(rows)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """task, activation, seed, lr, score, as scores.csv. Raises UsageError for a sweep."""
        _ = self.document
        return read_table(self.folder / SCORES)

    @cached_property
    def hypotheses(self) -> pd.DataFrame:
        """A row for each hypothesis and task, as verdicts.csv; empty without hypotheses."""
        path = self.folder / VERDICTS
        return read_table(path) if path.is_file() and (self.folder / HYPOTHESES).is_file() else pd.DataFrame()

    @cached_property
    def request(self) -> Request:
        """What the command was asked to do. Raises UsageError where the folder is of an older version."""
        from actbench.commands.report import read_request

        return read_request(self.folder)

    @cached_property
    def _compared(self) -> "Compared":
        from actbench.commands.report import read_comparison

        _ = self.document
        return read_comparison(self.folder, self.request)

    @cached_property
    def figures(self) -> Figures:
        """The figures of the report, or of the sweep, by name, as matplotlib draws them."""
        if not self.is_comparison:
            from actbench.report.sweep import sweep_figures

            return Figures(sweep_figures(self.runs, self.curves))
        from actbench.commands.report import figure_makers

        return Figures(figure_makers(self._compared))

    def report(self, format: str = "html", pairs: bool = False) -> Path:
        """Writes the report anew and returns its path. format: md, html, pdf or tex. pairs: of all activations too.

        Raises UsageError for another format, and for pairs of a sweep.
        """
        from actbench.commands.report import written_reports
        from actbench.report.report import FORMATS

        if format not in FORMATS:
            raise UsageError(f"format={format}: not known; there are: {', '.join(FORMATS)}")
        with folder_lock(self.folder, "report", wait=False):
            (path,) = written_reports(self.folder, self.request, [format], pairs)
        return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

    def _front_page(self) -> str:
        """The first page of the report as HTML; without the figure where the folder is of an older version."""
        from actbench.commands.report import front_html

        return front_html(self._compared)


def warn_of_failures(results: Results) -> None:
    """Warns of runs that failed; the command has printed why."""
    if len(results.failed):
        warnings.warn(f"{len(results.failed)} runs failed; see .failed", stacklevel=3)

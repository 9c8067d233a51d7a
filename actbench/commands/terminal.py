"""What a command prints at its end: the answer first, tables, and what comes next.

Titles are bold and verdicts have colours on a terminal alone, and nowhere where NO_COLOR is set.
"""

import re
import shlex
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

_WIDEST = 10_000  # columns of a file or a pipe, in which no row is folded
_NOTEBOOK = 80  # columns that a page which shows a notebook has room for
_DEFAULT_STORE = "sqlite:///mlflow.db"  # store.uri of conf/
_BREAK = re.compile(r"(?<!±) +(?!±)")  # where a cell may be folded
_GAP = 2  # characters between columns
_TEXTS = ("dataset", "architecture", "initialization", "optimizer", "activation")  # columns that are aligned left
_COLOURS = {"better": "green", "worse": "red", "inconclusive": "dim", "no verdict": "dim", "baseline": "bold"}


def _text_console() -> Console:
    """A console for texts without marks: as wide as the terminal; of a file, a pipe or a notebook plain."""
    terminal = Console(markup=False, highlight=False, force_jupyter=False)
    plain = Console(width=_WIDEST, markup=False, highlight=False, force_jupyter=False, force_terminal=False)
    return terminal if terminal.is_terminal and not Console().is_jupyter else plain


def _style(console: Console, style: str) -> str:
    """The style on a terminal that shows colours; else none."""
    return style if console.is_terminal and not console.no_color else ""


def print_title(title: str) -> None:
    """Prints the title of a section."""
    console = _text_console()
    with console.capture() as captured:
        console.print(title, style=_style(console, "bold cyan"))
    print(f"\n{captured.get()}", end="")


def fitted_table(
    titles: Sequence[str], rows: Sequence[Sequence[str | Text]], room: int, left: Collection[str] | None = None
) -> Table:
    """A table without lines, folded between words to `room` characters; between letters where words are too long.

    left: titles of columns that are aligned left; None: all.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    widths = _widths([[str(title), *(str(row[place]) for row in rows)] for place, title in enumerate(titles)], room)
    for title, width in zip(titles, widths, strict=True):
        table.add_column(
            title, justify="left" if left is None or title in left else "right", overflow="fold", width=width
        )
    for row in rows:
        table.add_row(*row)
    return table


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int | None]:
    """The width of each column of texts; what its longest word needs, and of the rest first to those that need little.

    None for all where the words do not fit.
    """
    widths = [max(len(word) for text in column for word in _BREAK.split(text)) for column in columns]
    lacking = [max(map(len, column)) - width for column, width in zip(columns, widths, strict=True)]
    rest = room - _GAP * (len(columns) - 1) - sum(widths)
    if rest < 0:
        return [None] * len(columns)
    for place in sorted(range(len(columns)), key=lambda place: lacking[place]):
        more = min(rest, lacking[place])
        widths[place] += more
        rest -= more
    return list(widths)


def print_table(table: "pd.DataFrame", verdicts: bool = False) -> None:
    """Prints a frame of texts, folded to the width of a terminal; elsewhere lines are not folded.

    verdicts: all columns but the first hold verdicts, which have colours.
    """
    console = _text_console()
    cell = _coloured if verdicts else str
    rows = [[cell(str(value)) for value in row] for row in table.itertuples(index=False)]
    shown = fitted_table(list(map(str, table.columns)), rows, console.width, None if verdicts else _TEXTS)
    with console.capture() as captured:  # then printed by print, because rich exits the process if a pipe is closed
        console.print(shown)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _coloured(cell: str) -> Text:
    """A cell in the colour of the verdict at its end."""
    return Text(cell, next((colour for verdict, colour in _COLOURS.items() if cell.endswith(verdict)), ""))


def _filled(text: str, width: int, subsequent_indent: str = "") -> str:
    """A text in lines of `width` characters; a number stays beside its per cent sign."""
    lines = textwrap.fill(text.replace(" %", "\u00a0%"), width, subsequent_indent=subsequent_indent)
    return lines.replace("\u00a0", " ")


def print_text(text: str) -> None:
    """Prints a text, its lines as wide as the terminal; elsewhere in one line."""
    console = _text_console()
    print(_filled(text, console.width) if console.is_terminal else text)


def print_answer(answer: str, tasks: Sequence[str], conditions: str = "") -> None:
    """Prints the answer of a command, a line for each task and claim, and the conditions."""
    console = _text_console()
    width = max(40, min(console.width, 100)) if console.is_terminal else _NOTEBOOK if Console().is_jupyter else 100
    print_title("Answer")
    with console.capture() as captured:
        console.print(_filled(answer, width), style=_style(console, "bold"), soft_wrap=True)
        for task in tasks:
            console.print(_filled(f"- {task}", width, subsequent_indent="  "), soft_wrap=True)
        if conditions:
            console.print(_filled(conditions, width), style=_style(console, "dim"), soft_wrap=True)
    print(captured.get(), end="")


def print_next(name: str, reports: Sequence[Path], uri: str) -> None:
    """Prints where the reports are and what comes next. name: of the results."""
    store = "" if uri == _DEFAULT_STORE else f" store.uri={shlex.quote(uri)}"
    lines: Mapping[str, str] = {
        "report": ", ".join([str(reports[0]), *(path.suffix for path in reports[1:])]) if reports else "",
        "figures": f"actbench figure {shlex.quote(name)}" if reports else "",
        "dashboard": f"actbench ui --open{store}",
    }
    print_title("Next")
    for key, text in lines.items():
        if text:
            print(f"{key + ':':<11}{text}")


def print_runs(runs: "pd.DataFrame") -> None:
    """Prints what is best, of several runs, and means over seeds. runs: rows of runs.csv."""
    from actbench.analysis.summary import summarize  # these libraries take half a second
    from actbench.report.formats.blocks import TERMINAL
    from actbench.report.sweep import best
    from actbench.report.tables import summary_table

    summary = summarize(runs)
    if len(runs) > 1:
        lead, *tasks = map(TERMINAL, best(summary))
        print_answer(lead, tasks)
        print_title("Means over seeds")
    print_table(summary_table(summary))

"""`actbench table`: the scores and verdicts of a comparison, or the means of a sweep, as a table to paste."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from actbench.commands.report import (
    check_activations,
    chosen_activations,
    read_comparison,
    read_request,
    written_folder,
)
from actbench.errors import UsageError
from actbench.signals import replaced_file
from actbench.store.files import RUNS, holds_comparison, read_runs

if TYPE_CHECKING:
    import pandas as pd

_COMMENTS = {"tex": "% {}\n", "md": "{}\n\n", "csv": ""}  # the task above its table


def table(name: str, activations: Sequence[str], format: str, out: str | None) -> int:
    """Prints a table for each task of results/<name>/, or writes it into the file `out`. Returns the exit code.

    activations: shown; empty: all. format: of report.formats.tabular. Raises UsageError.
    """
    from actbench.report.formats.tabular import FORMATS  # these libraries take a second

    if format not in FORMATS:
        raise UsageError(f"--format {format}: not known; there are: {', '.join(FORMATS)}")
    texts = [
        _COMMENTS[format].format(task) * (task != "") + FORMATS[format](frame)
        for task, frame in _tables(written_folder(name), activations)
    ]
    text = "\n".join(texts)
    if out is None:
        print(text, end="")
        return 0
    try:
        with replaced_file(Path(out)) as scratch:
            scratch.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}") from error
    print(out)
    return 0


def _tables(folder: Path, activations: Sequence[str]) -> "Iterator[tuple[str, pd.DataFrame]]":
    """The task and the table of each task of a comparison; the table of a sweep."""
    if holds_comparison(folder):
        from actbench.report.tables import scores_table

        for comparison in chosen_activations(read_comparison(folder, read_request(folder)), activations).comparisons:
            if not comparison.scores.empty:
                yield comparison.task, scores_table(comparison)
        return
    from actbench.analysis.summary import summarize
    from actbench.report.tables import summary_table

    found = summary_table(summarize(read_runs(folder / RUNS)))
    check_activations(activations, list(found["activation"]))
    yield "", found[found["activation"].isin(activations)] if activations else found

"""Damaged files of a results folder are told in one line, with what to do."""

import contextlib
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from actbench.errors import UsageError, one_line
from actbench.experiment.scores import ACCURACY, METRICS
from actbench.store.tables import read_table
from actbench.training.results import IDENTITY


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[None]:
    """Raises UsageError, naming `path`, where the block that reads it fails in any way."""
    try:
        yield
    except Exception as error:  # readers of damaged bytes raise whatever they stumble over
        problem = str(error) if isinstance(error, Damage) else one_line(error)
        name = path.absolute().parent.name
        command = "sweep" if name == "sweep" else f"compare {name}"
        raise UsageError(
            f"{path} is damaged ({problem}); run `actbench {command}` again: it trains nothing anew and writes "
            "its files"
        ) from error


class Damage(ValueError):
    """What is wrong with a file, in words."""


def read_whole_table(path: Path, columns: Iterable[Hashable], **keywords: Any) -> pd.DataFrame:
    """A CSV file that has at least these columns. keywords: of `read_table`. Raises Damage where it is cut."""
    if not path.read_bytes().endswith(b"\n"):
        raise Damage("it ends within a line")
    return with_columns(read_table(path, **keywords), columns)


def with_columns(frame: pd.DataFrame, columns: Iterable[Hashable]) -> pd.DataFrame:
    """The frame. Raises Damage where it lacks one of the columns."""
    if lacking := [str(name) for name in columns if name not in frame]:
        raise Damage(f"no column {', '.join(lacking)}")
    return frame


def check_compared(runs: pd.DataFrame) -> None:
    """Raises Damage where a run of a comparison lacks what tells it from others, or its scores."""
    scored = runs[runs["status"].eq("finished") & runs["chosen"].eq(True)]
    check_known(runs, IDENTITY)
    by_accuracy = scored["metric"].eq(ACCURACY.name)
    check_known(scored[by_accuracy], ("val_accuracy", "test_accuracy"))
    check_known(scored, ("val_score", "score"))
    if unknown := sorted(set(runs["metric"]) - set(METRICS)):
        raise Damage(f"no metric {', '.join(map(str, unknown))}")


def check_known(frame: pd.DataFrame, columns: Iterable[Hashable]) -> pd.DataFrame:
    """The frame. Raises Damage where a value of one of the columns is missing."""
    empty = frame[list(columns)].isna().any()
    if empty.any():
        raise Damage(f"values of {', '.join(empty.index[empty])} are missing")
    return frame

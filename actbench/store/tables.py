"""CSV files of texts and numbers that a spreadsheet opens without running any of them as a formula."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from actbench.signals import replaced_file

# A spreadsheet takes a cell that begins with one of these for a formula, and one behind an apostrophe for text. Texts
# that have apostrophes before it get another one, so that reading can take away the one that was written.
_FORMULA = re.compile(r"'*(?![+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z)[=+\-@\t\r\n]")


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Writes a frame as CSV; the file is replaced as a whole. Texts that would be formulas get an apostrophe."""
    table = _with_texts(frame, _quoted)
    # The writer of csv leaves a carriage return outside quotes, where it would end the row.
    returns = any(isinstance(cell, str) and "\r" in cell for name in _texts(table) for cell in table[name])
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    with replaced_file(path) as scratch:
        table.to_csv(scratch, index=False, lineterminator="\n", quoting=quoting)


def read_table(path: Path, **keywords: Any) -> pd.DataFrame:
    """The inverse of `write_table`. keywords: of pandas.read_csv."""
    return _with_texts(pd.read_csv(path, **keywords), _unquoted)


def _with_texts(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """A frame with its texts changed; columns of numbers are the same."""
    return frame.assign(
        **{
            name: frame[name].map(lambda cell: change(cell) if isinstance(cell, str) else cell)
            for name in _texts(frame)
        }
    )


def _texts(frame: pd.DataFrame) -> list[str]:
    """The columns that may hold texts."""
    types = pd.api.types
    return [str(name) for name in frame if types.is_object_dtype(frame[name]) or types.is_string_dtype(frame[name])]


def _quoted(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _unquoted(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text

"""The CSV or Parquet file of a table, and its columns as numbers or as categories."""

import csv
import warnings
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actbench.data.arrays import Array
from actbench.errors import UsageError, one_line

_PARQUET = (".parquet", ".pq")
_SEPARATORS = ",;\t"
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst", ".tar")
_LARGEST = 3e38  # of float32, in which networks compute
_MOSTLY = 0.5  # share of numbers from which the texts of a column are taken for errors
_LONGEST = 40  # characters of a value in a message


def table_files(root: Path) -> list[Path]:
    """The file of a table. Raises UsageError where there is none."""
    if not root.is_file():
        what = "is a folder" if root.is_dir() else "is missing"
        raise UsageError(f"dataset=table: {root} {what}; set dataset.root to a CSV or Parquet file")
    return [root]


def read_frame(path: Path) -> pd.DataFrame:
    """The rows of a file: Parquet by its suffix, else CSV with a header. Raises UsageError."""
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() in _PARQUET else _read_csv(path)
    except pd.errors.EmptyDataError as error:
        raise UsageError(f"dataset=table: {path} is empty; name another file") from error
    except pd.errors.ParserWarning as error:
        raise UsageError(
            f"dataset=table: {path} has rows with more values than its header has names; name every column"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"dataset=table: {path} is not UTF-8 text; save it as UTF-8") from error
    except Exception as error:  # the readers raise whatever they come across
        raise UsageError(f"dataset=table: {path} cannot be read: {one_line(error)}") from error
    frame.columns = [str(name) for name in frame.columns]
    if frame.empty:
        raise UsageError(f"dataset=table: {path} has no rows below its header; name another file")
    if path.suffix.lower() not in (*_PARQUET, *_COMPRESSED):
        _check_header(path, frame)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise UsageError(f"dataset=table: {path} has two columns {twice!r}; rename one")
    return frame.reset_index(drop=True)


def _read_csv(path: Path) -> pd.DataFrame:
    """Raises ParserWarning where rows have more values than the header, which pandas would take for an index or cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, sep=_separator(path), index_col=False, skipinitialspace=True, low_memory=False)


def _separator(path: Path) -> str:
    """The separator of a CSV file: the comma, or what the header has in its place."""
    if path.suffix.lower() in _COMPRESSED:
        return ","
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline(10**6)
    bare = "".join(header.split('"')[::2])  # without quoted names
    return next((separator for separator in _SEPARATORS if separator in bare), ",")


def _check_header(path: Path, frame: pd.DataFrame) -> None:
    """Raises UsageError where the header leaves a column without a name, or has a name twice."""
    for place, name in enumerate(frame.columns, 1):
        if name.startswith("Unnamed: "):  # pandas' name for a column without one, such as the index that it writes
            raise UsageError(f"dataset=table: column {place} of {path} has no name; name or remove it")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        names = next(csv.reader(file, delimiter=_separator(path), skipinitialspace=True), [])
    if len(names) == len(frame.columns) and len(set(names)) < len(names):  # pandas would call the second `name.1`
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"dataset=table: {path} has two columns {twice!r}; rename one")


def numbers(name: str, values: "pd.Series[Any]") -> Array | None:
    """A column as float64 (rows,), NaN where a value is missing; None where it holds categories: texts or booleans.

    name: of the table, for messages. Raises UsageError for texts among numbers, numbers that are too large, and values
    of any other type.
    """
    dtype, known = values.dtype, values.dropna()
    where = f"{name}: column {values.name!r}"
    if pd.api.types.is_bool_dtype(dtype):
        return None
    if isinstance(dtype, pd.CategoricalDtype):
        return None
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return _in_range(where, values.to_numpy(dtype=np.float64, na_value=np.nan), values)
    if (
        pd.api.types.is_object_dtype(dtype)
        and len(known)
        and all(isinstance(value, (Real, Decimal)) for value in known)
    ):
        if all(isinstance(value, bool | np.bool_) for value in known):
            return None
        found = np.array([np.nan if pd.isna(value) else _float(value) for value in values])
        return _in_range(where, found, values)
    odd = next((value for value in known if not isinstance(value, str | bool | np.bool_)), None)
    if odd is not None:
        raise UsageError(
            f"{where} holds values of type {type(odd).__name__} in {row(values.notna())}; write them as numbers or "
            "texts, or remove it"
        )
    _check_texts(where, values)
    return None


def _float(value: Any) -> float:
    """Infinite for a whole number beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return np.inf


def _in_range(where: str, found: Array, values: "pd.Series[Any]") -> Array:
    with np.errstate(invalid="ignore"):
        wrong = np.abs(found) > _LARGEST
    if wrong.any():
        value = str(values[wrong].iloc[0])[:_LONGEST]
        raise UsageError(f"{where} has {value} in {row(wrong)}; it may hold numbers up to {_LARGEST:g}")
    return found


def _check_texts(where: str, values: "pd.Series[Any]") -> None:
    """Raises UsageError for a column of numbers in which a few texts stand."""
    known = values.dropna().astype(str)
    texts = pd.to_numeric(known, errors="coerce").isna()
    if len(known) and _MOSTLY <= 1 - texts.mean() < 1:
        place = texts[texts].index[0]
        raise UsageError(
            f"{where} holds numbers, but {str(values[place])[:_LONGEST]!r} in row {place + 1}; correct that, or leave "
            "it empty where a value is missing"
        )


def row(mask: Any) -> str:
    """The first row that is marked, counted from 1 below the header."""
    return f"row {int(np.flatnonzero(np.asarray(mask))[0]) + 1}"

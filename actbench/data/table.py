"""Tables: CSV and Parquet files of one's own, and those of scikit-learn.

Columns of numbers stay as they are, with NaN for a missing value; columns of texts or booleans become one column of 0
and 1 for each of their values in the whole file. A column with missing values gets a further one that says where.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actbench.data.arrays import Array
from actbench.data.prepared import Loaded, Options
from actbench.data.table_file import numbers, read_frame, row
from actbench.errors import UsageError, nearest_names

SKLEARN_TABLES = ("breast_cancer", "wine", "diabetes")
MOST_CATEGORIES = 1000  # of a column, and classes of a label; more is an identifier or a text
MOST_VALUES = 2**27  # of all rows and columns, 1 GiB
_FEW = 20  # distinct whole numbers of a label up to which they may be classes
_PARTS = ("train", "validation", "test")

Column = tuple[bool, Array]  # whether it is standardised, and its values (rows,)


def sklearn_table(name: str) -> Loaded:
    """A table of scikit-learn: breast cancer and wine have classes, diabetes has a number to predict."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    kind = "regression" if name == "diabetes" else "classification"
    return _loaded(name, bunch.data, bunch.target, None, None, Options(kind=kind, missing="error"))


def read_own_table(path: Path, options: Options) -> Loaded:
    """The table in a CSV or Parquet file. Raises UsageError that names file, column and row."""
    frame = read_frame(path)
    label = _column(path, frame, "label", options.label)
    group, split = (
        None if name is None else _column(path, frame, key, name)
        for key, name in (("group", options.group), ("split", options.split))
    )
    named = [name for name in (options.label, options.group, options.split) if name is not None]
    if len(set(named)) < len(named):
        raise UsageError("dataset.label, dataset.group and dataset.split: name a different column with each")
    inputs = frame.drop(columns=named)
    if inputs.columns.empty:
        raise UsageError(f"dataset=table: {path} has no column beside {', '.join(named)}; add inputs")
    return _loaded(str(path), inputs, label, group, split, options)


def _column(path: Path, frame: pd.DataFrame, key: str, name: str | None) -> "pd.Series[Any]":
    """A named column, which has a value in every row. Raises UsageError."""
    if name not in frame:
        near = nearest_names(str(name), list(frame.columns))
        raise UsageError(f"dataset.{key}={name}: {path} has no such column{near}")
    if frame[name].isna().any():
        raise UsageError(
            f"dataset.{key}={name}: {path} has no value in {row(frame[name].isna())}; fill it or remove the row"
        )
    return frame[name]


def label_kind(name: str, label: "pd.Series[Any]") -> str:
    """What a label without missing values asks for, where dataset.kind does not say it.

    Texts, booleans and two different whole numbers are classes. Numbers with decimals, and more than 20 different whole
    numbers, are amounts. From 3 to 20 different whole numbers may be either: raises UsageError that asks for the kind.
    """
    values = numbers(name, label)
    if values is None:
        return "classification"
    distinct = len(np.unique(values))
    if distinct > _FEW or not np.array_equal(values, values.round()):
        return "regression"
    if distinct > 2:
        raise UsageError(
            f"dataset.label={label.name}: {distinct} different whole numbers may be classes or amounts; say "
            "dataset.kind=classification or dataset.kind=regression"
        )
    return "classification"


def _loaded(
    name: str, inputs: pd.DataFrame, label: "pd.Series[Any]", group: "pd.Series[Any] | None",
    split: "pd.Series[Any] | None", options: Options,
) -> Loaded:  # fmt: skip
    kind = options.kind or label_kind(name, label)
    targets, classes = _amounts(name, label) if kind == "regression" else _classes(name, label)
    columns = list(_input_columns(name, inputs, refuse=options.missing == "error"))
    rows = np.stack([values for _, values in columns], 1)[:, None, :, None]
    order, sizes = _parts(name, split, len(rows))
    train, test = order[: sizes[0] + sizes[1]], order[sizes[0] + sizes[1] :]
    if kind == "classification":
        _check_classes(name, label, targets[train[: sizes[0]]], targets[order[sizes[0] :]], split)
    fields = {
        "classes": classes, "metric": "r2" if kind == "regression" else "accuracy",
        "validation": sizes[1] or None, "own_test": sizes[2] > 0,
    }  # fmt: skip
    arrays = {
        "train_images": rows[train], "train_labels": targets[train], "test_images": rows[test],
        "test_labels": targets[test], "groups": _groups(name, group, split, train, drawn=not sizes[1]),
        "numeric": np.array([is_number for is_number, _ in columns]),
    }  # fmt: skip
    return Loaded({key: np.ascontiguousarray(values) for key, values in arrays.items()}, fields)


def _input_columns(name: str, inputs: pd.DataFrame, refuse: bool) -> Iterator[Column]:
    """Columns of the network's input: numbers first, then flags and categories. refuse: missing values."""
    later: list[Column] = []
    columns = len(inputs.columns)
    for column in inputs:
        values = inputs[column]
        missing = values.isna().to_numpy()
        if refuse and missing.any():
            raise UsageError(
                f"{name}: column {column!r} has no value in {row(missing)}; fill it, or set dataset.missing=median"
            )
        if missing.any():
            later.append((False, missing.astype(np.float64)))
        found = numbers(name, values)
        if found is not None:
            yield True, found
            continue
        codes, categories = pd.factorize(values, sort=True)  # -1 for a missing value
        _check_number(f"{name}: column {column!r}", len(categories), "texts; remove it, or group its values")
        columns += len(categories)
        if columns * len(inputs) > MOST_VALUES:
            raise UsageError(
                f"{name}: {columns:,} columns of {len(inputs):,} rows, with one for each category up to column "
                f"{column!r}, are more than {MOST_VALUES:,} values; remove columns, or group their values"
            )
        later += [(False, (codes == place).astype(np.float64)) for place in range(len(categories))]
    yield from later


def _check_number(where: str, count: int, what: str) -> None:
    if count > MOST_CATEGORIES:
        raise UsageError(f"{where} has {count:,} different values, more than {MOST_CATEGORIES:,} {what}")


def _amounts(name: str, label: "pd.Series[Any]") -> tuple[Array, int]:
    """Targets of a regression, float64, and 1. Raises UsageError for texts and for a constant."""
    targets = numbers(name, label)
    if targets is None:
        raise UsageError(
            f"{name}: label {label.name!r} holds no numbers but {str(label.iloc[0])[:40]!r}; take "
            "dataset.kind=classification"
        )
    if np.ptp(targets) == 0:
        raise UsageError(f"{name}: label {label.name!r} is {targets[0]:g} in every row; there is nothing to predict")
    return targets, 1


def _classes(name: str, label: "pd.Series[Any]") -> tuple[Array, int]:
    """Labels of a classification, int64 from 0, and the number of classes. Raises UsageError for one, or too many."""
    numbers(name, label)  # refuses texts among numbers
    codes, classes = pd.factorize(label, sort=True)
    if len(classes) < 2:
        raise UsageError(f"{name}: label {label.name!r} has one class only, {classes[0]}; at least two are needed")
    _check_number(f"{name}: label {label.name!r}", len(classes), "classes; take dataset.kind=regression for amounts")
    return codes.astype(np.int64), len(classes)


def _check_classes(
    name: str, label: "pd.Series[Any]", train: Array, others: Array, split: "pd.Series[Any] | None"
) -> None:
    """Raises UsageError where a split of one's own tests classes that it does not train."""
    unseen = sorted(set(others.tolist()) - set(train.tolist()))
    if split is not None and unseen:
        first = pd.factorize(label, sort=True)[1][unseen[0]]
        raise UsageError(
            f"{name}: column {split.name!r} has no row of class {first} in train, but elsewhere; change the split"
        )


def _parts(name: str, split: "pd.Series[Any] | None", rows: int) -> tuple[Array, tuple[int, int, int]]:
    """The rows in the order of their parts, and how many each part has; all are for training without a split."""
    if split is None:
        return np.arange(rows), (rows, 0, 0)
    texts = split.astype(str)
    if (unknown := ~texts.isin(_PARTS)).any():
        value = texts[unknown].iloc[0][:40]
        raise UsageError(
            f"{name}: column {split.name!r} has {value!r} in {row(unknown)}; it may hold {', '.join(_PARTS)}"
        )
    places = [np.flatnonzero(texts.eq(part)) for part in _PARTS]
    for part in ("train", "test"):
        if not len(places[_PARTS.index(part)]):
            raise UsageError(f"{name}: column {split.name!r} has no row of {part}; it needs train and test")
    return np.concatenate(places), (len(places[0]), len(places[1]), len(places[2]))


def _groups(
    name: str, group: "pd.Series[Any] | None", split: "pd.Series[Any] | None", train: Array, drawn: bool
) -> Array:
    """The group of each training row, int64 from 0; empty where there are none, or no part is drawn.

    Raises UsageError where a split of one's own has a group in two parts.
    """
    if group is None:
        return np.zeros(0, np.int64)
    if group.map(lambda value: hasattr(value, "__len__") and not isinstance(value, str | bytes)).any():
        raise UsageError(f"{name}: column {group.name!r} holds lists; name a column of single values as dataset.group")
    if split is not None:
        divided = split.groupby(group, observed=True).nunique().gt(1)
        if divided.any():
            first = divided[divided].index[0]
            raise UsageError(
                f"{name}: group {first} of column {group.name!r} is in several parts of column {split.name!r}; change "
                "the split"
            )
    return pd.factorize(group.iloc[train])[0].astype(np.int64) if drawn else np.zeros(0, np.int64)


def left_out(groups: Array, parts: int) -> int:
    """Rows that no part of a run has, as groups stay together: all seeds draw parts of equal size, but whole groups.

    groups: int64 (rows,). parts: how many are drawn beside training. Where a part ends within a group, the rest of that
    group is left out: at most the largest group but one row, for each part.
    """
    return parts * (int(np.bincount(groups).max()) - 1)

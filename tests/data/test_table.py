"""Tables: what their columns become, who is in which part, and every bad table is one line."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import datasets as sklearn_datasets

from actbench.data import table as source
from actbench.data.batches import split
from actbench.data.datasets import Options, PreparedData, TableData, load_data, prepare_data
from actbench.data.float_batches import AnyBatches, make_batches, split_of
from actbench.errors import UsageError
from tests.support import actbench

CPU = torch.device("cpu")
Read = Callable[..., tuple[PreparedData, TableData]]


def loaded(prepared: PreparedData) -> TableData:
    data = load_data(prepared)
    assert isinstance(data, TableData)
    return data


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """A function from a frame, or the text of a CSV file, and dataset.* to the prepared table."""

    def function(content: pd.DataFrame | str | bytes, name: str = "t.csv", **keys: Any) -> Any:
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path) if path.suffix == ".parquet" else content.to_csv(path, index=False)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        options = Options(**{"label": "y", "missing": "median", **keys})
        prepared = prepare_data("table", str(path), False, None, options=options)
        return prepared, loaded(prepared)

    return function


def batches(
    prepared: PreparedData, data: TableData, seeds: list[int], normalize: str = "column", size: int = 16
) -> AnyBatches:
    return make_batches(data, prepared, seeds, 0.2, size, normalize, False, CPU)


def frame(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame({
        "size": generator.normal(50, 9, rows), "time": 1.7e9 + generator.integers(0, 3600, rows),
        "colour": generator.choice(["red", "green", "blue"], rows), "sold": generator.random(rows) < 0.5,
        "y": generator.choice(["no", "yes"], rows),
    })  # fmt: skip


def test_numbers_come_first_and_categories_are_one_hot(read: Read) -> None:
    own = frame()
    prepared, data = read(own)
    assert (prepared.kind, prepared.metric, prepared.classes, prepared.own_test) == ("table", "accuracy", 2, False)
    assert (prepared.height, prepared.width, prepared.channels) == (1, 7, 1)
    assert (prepared.train, prepared.test) == (48, 12)
    assert data.numeric.tolist() == [True, True, *[False] * 5]
    expected = np.column_stack([
        own["size"], own["time"], *(own["colour"] == name for name in ("blue", "green", "red")), ~own["sold"],
        own["sold"],
    ]).astype(float)  # fmt: skip
    assert np.array_equal(data.train_images[:, 0, :, 0].numpy(), expected)
    assert data.train_labels.tolist() == (own["y"] == "yes").tolist()


@pytest.mark.parametrize("regression", [False, True])
def test_numbers_are_standardised_on_each_seeds_training_part(regression: bool, read: Read) -> None:
    own = frame()
    if regression:
        own["y"] = 300 + 7 * own["size"]
    prepared, data = read(own)
    assert prepared.metric == ("r2" if regression else "accuracy")
    source = batches(prepared, data, [5, 2, 5])
    numbers = own[["size", "time"]].to_numpy()
    for run, seed in enumerate((5, 2, 5)):
        parts = split(seed, 60, 10, 12)
        mean, deviation = numbers[parts.train].mean(0), numbers[parts.train].std(0)
        for index, (x, targets) in ((parts.validation, source.validation(0, 10)), (parts.test, source.test(0, 12))):
            assert (x.dtype, x.shape) == (torch.float32, (3, len(index), 1, 7, 1))
            theirs = (numbers[index] - mean) / deviation
            # The times differ by less than float32 can tell apart at 1.7e9.
            assert np.allclose(x[run, :, 0, :2, 0].numpy(), theirs, atol=1e-6)
            assert np.array_equal(x[run, :, 0, 2:, 0], data.train_images[index, 0, 2:, 0])
            labels = data.train_labels.numpy()
            if regression:
                assert targets.dtype == torch.float32
                theirs = (labels[index] - labels[parts.train].mean()) / labels[parts.train].std()
                assert np.allclose(targets[run].numpy(), theirs, atol=1e-6)
            else:
                assert targets[run].tolist() == labels[index].tolist()
        if regression:
            variance = labels[parts.test].var() / labels[parts.train].var()
            assert source.target_variance("test", 12)[run].item() == pytest.approx(variance, rel=1e-5)
    epoch = torch.cat([source.training(step)[0] for step in range(source.steps_per_epoch)], 1)
    assert epoch.shape[1] == 38
    assert epoch[:, :, 0, :2, 0].double().mean(1).abs().max() < 1e-6
    assert (epoch[:, :, 0, :2, 0].double().std(1, correction=0) - 1).abs().max() < 1e-6


def test_without_normalisation_numbers_stay_as_they_are(read: Read) -> None:
    prepared, data = read(frame())
    x, _ = batches(prepared, data, [0], "none").test(0, 12)
    assert torch.equal(x[0], data.train_images[split(0, 60, 10, 12).test].float())


def test_a_missing_number_becomes_the_training_median_and_is_flagged(read: Read) -> None:
    own = frame()
    own.loc[[3, 10, 17, 31, 44], "size"] = np.nan
    own.loc[[0, 59], "colour"] = None
    prepared, data = read(own)
    assert prepared.width == 2 + 1 + 1 + 3 + 2
    flags = data.train_images[:, 0, 2:4, 0].numpy()
    assert np.array_equal(flags, own[["size", "colour"]].isna().to_numpy())
    assert not data.train_images[[0, 59], 0, 4:7, 0].any()  # no colour at all
    source = batches(prepared, data, [0, 1])
    for run, seed in enumerate((0, 1)):
        parts = split(seed, 60, 10, 12)
        train = own["size"].iloc[parts.train.numpy()]
        filled = own["size"].fillna(train.median())
        mean, deviation = filled.iloc[parts.train.numpy()].mean(), filled.iloc[parts.train.numpy()].std(ddof=0)
        x, _ = source.test(0, 12)
        theirs = (filled.iloc[parts.test.numpy()] - mean) / deviation
        assert np.allclose(x[run, :, 0, 0, 0].numpy(), theirs, atol=1e-6)
        assert source.constants(run)["input.fill"][0].item() == train.median()
        assert x.isfinite().all()


def test_a_constant_and_an_empty_column_are_harmless(read: Read) -> None:
    own = frame().assign(constant=0.1, empty=np.nan, tiny=lambda table: 1e-20 * table["size"])
    prepared, data = read(own)
    x, _ = batches(prepared, data, [0]).training(0)
    numeric = x[0, :, 0, data.numeric, 0]
    assert numeric.shape == (16, 5)
    assert numeric[:, 2].abs().max() < 1e-12
    assert not numeric[:, 3].any()
    assert torch.allclose(numeric[:, 4], numeric[:, 0], atol=1e-5)  # however small, it is no constant


def test_csv_and_parquet_of_one_table_are_the_same_data(read: Read) -> None:
    own = frame().assign(count=pd.array([1, None, 3] * 20, dtype="Int64"), flag=pd.array([True, None] * 30, "boolean"))
    prepared = read(own, "t.parquet")[0]
    assert read(own)[0].fingerprint == prepared.fingerprint
    for name, separator in (("t.txt", ";"), ("t.tsv", "\t")):
        text = StringIO()
        own.to_csv(text, sep=separator, index=False)
        assert read(text.getvalue(), name)[0].fingerprint == prepared.fingerprint
    assert read(own.to_csv(index=False).encode("utf-8-sig"))[0].fingerprint == prepared.fingerprint
    categorical = own.assign(colour=own["colour"].astype("category"))
    assert read(categorical, "c.parquet")[0].fingerprint == prepared.fingerprint
    changed = own.assign(size=own["size"] + 1e-9 * (own.index == 5))
    assert read(changed)[0].fingerprint != prepared.fingerprint


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b", "c"], "classification"),
        ([True, False, False], "classification"),
        ([0, 1, 1], "classification"),
        ([5.0, 7.0, 5.0], "classification"),
        ([0.5, 1.0, 2.0], "regression"),
        (list(range(21)), "regression"),
        ([1, 2, 3], None),
        (list(range(20)), None),
    ],
)
def test_the_kind_of_a_task_follows_its_label_where_that_is_clear(values: list[Any], kind: str | None) -> None:
    label = pd.Series(values, name="y")
    if kind is not None:
        assert source.label_kind("t", label) == kind
        return
    with pytest.raises(UsageError, match=r"may be classes or amounts; say dataset.kind=classification or dataset"):
        source.label_kind("t", label)


def test_a_kind_that_is_given_decides(read: Read) -> None:
    own = frame().assign(y=np.arange(60) % 5)
    for kind, metric, classes in (("classification", "accuracy", 5), ("regression", "r2", 1)):
        prepared, _ = read(own, kind=kind)
        assert (prepared.metric, prepared.classes) == (metric, classes)


def grouped(sizes: list[int]) -> pd.DataFrame:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    order = np.random.default_rng(1).permutation(len(groups))
    return frame(len(groups)).assign(patient=[f"p{group}" for group in groups[order]])


@pytest.mark.parametrize("sizes", [[1] * 30, [4] * 25, [1, 2, 3, 4, 5, 6, 7] * 6, [20, 20, 20]])
def test_no_group_is_in_two_parts(sizes: list[int], read: Read) -> None:
    own = grouped(sizes)
    prepared, data = read(own, group="patient")
    assert prepared.width == 7  # the group is no input
    validation = prepared.validation_size(0.2)
    seen = set()
    for seed in range(20):
        parts = split_of(data, prepared, seed, 0.2)
        assert [len(part) for part in parts] == [prepared.train - validation, validation, prepared.test]
        assert len(set(torch.cat(parts).tolist())) == prepared.train + prepared.test
        names = [set(own["patient"].iloc[part.numpy()]) for part in parts]
        assert not names[0] & names[1]
        assert not (names[0] | names[1]) & names[2]
        seen.add(tuple(sorted(names[2])))
    assert len(seen) > 1
    assert prepared.test == round(0.2 * len(own))
    assert prepared.train + prepared.test == len(own) - 2 * (max(sizes) - 1)
    x, _ = batches(prepared, data, [0, 3]).validation(0, validation)
    assert x.shape[1] == validation


def test_a_group_of_one_row_each_is_no_restriction(read: Read) -> None:
    prepared, _ = read(grouped([1] * 30), group="patient")
    assert prepared.train + prepared.test == 30


def parted(parts: list[str]) -> pd.DataFrame:
    own = frame(len(parts)).assign(part=parts)
    own["y"] = np.where(np.arange(len(parts)) // 2 % 2, "yes", "no")
    return own


def test_a_split_of_ones_own_is_kept(read: Read) -> None:
    names = ["test", "train", "validation", "train", "test", "train", "validation", "train"] * 5
    own = parted(names)
    prepared, data = read(own, split="part")
    assert (prepared.own_test, prepared.test, prepared.validation, prepared.train) == (True, 10, 10, 30)
    assert prepared.width == 7  # the column is no input
    source = batches(prepared, data, [0, 8])
    assert (source.validation_size, source.test_size) == (10, 10)
    numbers = own["size"].groupby(own["part"]).agg(list)
    mean, deviation = np.mean(numbers["train"]), np.std(numbers["train"])
    for part, (x, targets) in (("validation", source.validation(0, 10)), ("test", source.test(0, 10))):
        for run in (0, 1):
            assert np.allclose(x[run, :, 0, 0, 0], (np.array(numbers[part]) - mean) / deviation, atol=1e-6)
            assert targets[run].tolist() == (own["y"][own["part"] == part] == "yes").tolist()


def test_a_split_without_validation_draws_it_from_training_by_the_seed(read: Read) -> None:
    own = parted(["train"] * 40 + ["test"] * 10).assign(y=np.arange(50) / 7, patient=[i // 2 for i in range(50)])
    prepared, data = read(own.drop(columns="patient"), split="part")
    assert (prepared.own_test, prepared.validation, prepared.train, prepared.test) == (True, None, 40, 10)
    own_batches = batches(prepared, data, [0, 1])
    labels = own["y"].to_numpy()
    for run, seed in enumerate((0, 1)):
        train = split(seed, 40, 8).train
        _, targets = own_batches.test(0, 10)
        theirs = (labels[40:] - labels[train].mean()) / labels[train].std()
        assert np.allclose(targets[run], theirs, atol=1e-6)
        assert own_batches.target_variance("test", 10)[run].item() == pytest.approx(theirs.var(), rel=1e-5)
    prepared, data = read(own, split="part", group="patient")
    assert (prepared.train, prepared.test) == (39, 10)
    for seed in range(20):
        parts = split_of(data, prepared, seed, 0.2)
        assert [len(part) for part in parts] == [31, 8, 0]
        assert not {int(row) // 2 for row in parts.train} & {int(row) // 2 for row in parts.validation}


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "diabetes"])
def test_tables_of_scikit_learn_are_theirs(name: str) -> None:
    prepared = prepare_data(name, None, False, None)
    bunch = getattr(sklearn_datasets, f"load_{name}")()
    data = loaded(prepared)
    assert np.array_equal(data.train_images[:, 0, :, 0].numpy(), bunch.data)
    assert np.array_equal(data.train_labels.numpy(), bunch.target)
    assert prepared.metric == ("r2" if name == "diabetes" else "accuracy")
    assert prepared.classes == {"breast_cancer": 2, "wine": 3, "diabetes": 1}[name]
    assert (prepared.own_test, prepared.test) == (False, round(0.2 * len(bunch.target)))


def rows(*lines: str, count: int = 12) -> str:
    """A CSV file: a header, then the given rows, then others of the same columns."""
    return "\n".join([*lines, *(f"{i},k{i % 3},{i % 2}" for i in range(count))])


HEAD = "a,b,y"


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        (b"", {}, "is empty; name another file"),
        (b"\n\n", {}, "is empty"),
        (HEAD, {}, "has no rows below its header"),
        (rows("a,b,z"), {}, "dataset.label=y: {path} has no such column; there are: a, b, z"),
        (rows(HEAD), {"group": "bb"}, "dataset.group=bb: {path} has no such column"),
        (rows(HEAD), {"split": "c"}, "dataset.split=c: {path} has no such column"),
        (rows(HEAD), {"group": "y"}, "name a different column with each"),
        (rows(HEAD, "1,k1,"), {}, "dataset.label=y: {path} has no value in row 1; fill it or remove the row"),
        (rows(HEAD, "1,,1"), {"group": "b"}, "dataset.group=b: {path} has no value in row 1"),
        ("a,y\n1,1\n2,1\n3,1\n", {}, "{path}: label 'y' has one class only, 1; at least two are needed"),
        ("y\n1\n0\n1\n", {}, "has no column beside y; add inputs"),
        ("a,y\n1,0\n2,1\n", {}, "holds too few rows"),
        (rows(HEAD, "oops,k1,1"), {}, "column 'a' holds numbers, but 'oops' in row 1; correct that"),
        (rows(HEAD, "1,k1,1", "?,k1,1"), {}, "column 'a' holds numbers, but '?' in row 2"),
        (rows(HEAD, "inf,k1,1"), {}, "column 'a' has inf in row 1; it may hold numbers up to 3e+38"),
        (rows(HEAD, "1,k1,1", "-1e39,k1,1"), {}, "column 'a' has -1e+39 in row 2"),
        (rows(HEAD, "1,k1,1", f"{'9' * 400},k1,1"), {}, "column 'a' has 9999"),
        (rows(HEAD, ",k1,1"), {"missing": "error"}, "column 'a' has no value in row 1; fill it, or set dataset.miss"),
        (rows(HEAD, "1,k1,x"), {}, "column 'y' holds numbers, but 'x' in row 1"),
        (rows(HEAD), {"label": "b", "kind": "regression"}, "label 'b' holds no numbers but 'k0'; take dataset.kind=cl"),
        ("a,y\n1,5\n2,5\n3,5\n", {"kind": "regression"}, "label 'y' is 5 in every row; there is nothing to predict"),
        (rows(HEAD), {"split": "b"}, "column 'b' has 'k0' in row 1; it may hold train, validation, test"),
        (rows(HEAD).replace("k", "train").replace("train0", "train").replace("train1", "train")
         .replace("train2", "validation"), {"split": "b"}, "column 'b' has no row of test; it needs train and test"),
        ("a,,y\n1,2,0\n2,3,1\n3,4,0\n", {}, "column 2 of {path} has no name; name or remove it"),
        ("a,a,y\n1,2,0\n2,3,1\n3,4,0\n", {}, "has two columns 'a'; rename one"),
        ("a,y\n1,2,0\n2,3,1\n3,4,0\n", {}, "has rows with more values than its header has names"),
        (rows(HEAD, "1,k1,1,5"), {}, "has rows with more values than its header has names"),
        (rows(HEAD, "1,k1,1", "1,k1,1,5"), {}, "Expected 3 fields in line 3, saw 4"),
        (b"a,b,y\n1,\xfc,0\n", {}, "is not UTF-8 text; save it as UTF-8"),
    ],
)  # fmt: skip
def test_a_bad_table_is_one_line(
    content: str | bytes, keys: dict[str, str], message: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    words = [f"dataset.{key}={value}" for key, value in {"label": "y", **keys}.items()]
    assert actbench("data", "check", "table", f"dataset.root={path}", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message.format(path=path) in line


def test_a_split_that_divides_a_group_is_one_line(read: Read) -> None:
    own = parted(["train"] * 20 + ["test"] * 10).assign(patient=[f"p{i // 2}" for i in range(1, 31)])
    with pytest.raises(UsageError, match="group p10 of column 'patient' is in several parts of column 'part'; change"):
        read(own, split="part", group="patient")


def test_a_label_column_whose_split_hides_a_class_is_one_line(read: Read) -> None:
    own = parted(["train"] * 20 + ["test"] * 10)
    own["y"] = ["a", "b"] * 10 + ["a", "c"] * 5
    with pytest.raises(UsageError, match="column 'part' has no row of class c in train, but elsewhere"):
        read(own, split="part")


def test_a_column_of_10_000_categories_is_one_line(read: Read) -> None:
    own = frame(10_000).assign(customer=[f"c{i}" for i in range(10_000)])
    with pytest.raises(UsageError, match="column 'customer' has 10,000 different values, more than 1,000 texts; rem"):
        read(own)
    with pytest.raises(UsageError, match="label 'customer' has 10,000 different values, more than 1,000 classes"):
        read(own, label="customer")
    assert read(own.assign(customer=[f"c{i % 1000}" for i in range(10_000)]))[0].width == 1007


def test_categories_that_would_fill_the_memory_are_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_VALUES", 60 * 8)
    assert read(frame()[["size", "colour", "y"]])[0].width == 4
    with pytest.raises(UsageError, match=r"9 columns of 60 rows, .* up to column 'sold', are more than 480 values"):
        read(frame())


@pytest.mark.parametrize(
    ("name", "values"),
    [("list", [[1], [2], [3]] * 4), ("Timestamp", list(pd.date_range("2026-01-01", periods=12))),
     ("bytes", [b"1", b"2"] * 6)],
)  # fmt: skip
def test_values_of_another_type_are_one_line(name: str, values: list[Any], read: Read) -> None:
    own = frame(12).assign(odd=values)
    with pytest.raises(UsageError, match=rf"column 'odd' holds values of type \w*{name}|type ndarray"):
        read(own, "t.parquet")


def test_decimals_are_numbers(read: Read) -> None:
    from decimal import Decimal

    prices: list[Any] = [Decimal("1.50"), None, Decimal("2.25")]
    own = frame(12).assign(price=prices * 4)
    _, data = read(own, "t.parquet")
    place = 2
    assert data.numeric[place]
    assert data.train_images[[0, 2], 0, place, 0].tolist() == [1.5, 2.25]


def test_a_file_that_is_no_table_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and then nothing")
    for root, message in (
        (tmp_path / "t.parquet", "t.parquet cannot be read: "),
        (tmp_path / "none.csv", "none.csv is missing; set dataset.root to a CSV or Parquet file"),
        (tmp_path, "is a folder; set dataset.root to a CSV or Parquet file"),
    ):
        assert actbench("data", "check", "table", f"dataset.root={root}", "dataset.label=y") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert actbench("data", "check", "table", "dataset.label=y") == 2
    assert "dataset=table: say where the table is: dataset.root=FILE" in capsys.readouterr().err
    assert actbench("data", "check", "table", f"dataset.root={tmp_path}") == 2
    assert "dataset=table: say which column to predict: dataset.label=COLUMN" in capsys.readouterr().err


def test_too_few_groups_are_one_line(read: Read) -> None:
    with pytest.raises(UsageError, match="the 2 groups of table are too few for their sizes"):
        read(grouped([20, 20]), group="patient")


def test_runs_of_a_seed_see_the_same_rows_alone_and_together(read: Read) -> None:
    own = frame().assign(y=lambda table: table["size"] ** 2)
    own.loc[::7, "size"] = np.nan
    prepared, data = read(own)
    together, alone = batches(prepared, data, [0, 1, 2]), batches(prepared, data, [1])
    for theirs, ours in (
        (together.training(4), alone.training(4)),
        (together.validation(0, 10), alone.validation(0, 10)),
        (together.test(3, 9), alone.test(3, 9)),
    ):
        for one, other in zip(theirs, ours, strict=True):
            assert torch.equal(one[1], other[0])

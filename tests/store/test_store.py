"""Results that are read from MLflow equal those that were written, bit by bit."""

import base64
import contextlib
import math
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from actbench.data.datasets import ImageData, PreparedData
from actbench.errors import UsageError
from actbench.experiment.runs import make_run
from actbench.experiment.schema import RunSettings
from actbench.store import client, entries, sqlite
from actbench.store.examples import examples_frame
from actbench.store.files import (
    CURVES,
    EXAMPLES,
    RUNS,
    read_examples,
    read_runs,
    read_series,
    runs_frame,
    write_results,
)
from actbench.store.folder import results_folder
from actbench.store.names import TAGS
from actbench.store.provenance import Spent, read_environment
from actbench.store.reader import Store
from actbench.store.sqlite import is_new
from actbench.training.results import (
    COLUMNS,
    MARKS,
    MOST_EXAMPLES,
    MOST_WINDOWS,
    WINDOWS_OF_A_TAG,
    Mark,
    Result,
    failed_result,
)
from tests.support import RAGGED, results

Configs = Callable[..., list[RunSettings]]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory, blank_database: Path) -> str:
    return f"sqlite:///{shutil.copy(blank_database, tmp_path_factory.mktemp('store'))}"


@pytest.fixture(scope="module")
def four(digits: PreparedData, digits_data: ImageData) -> list[Result]:
    """Two that finish, one that diverges, one that fails."""
    from actbench.experiment.compose import compose_grid

    points = compose_grid(
        ["activation=squared_relu,relu", "optimizer=sgd", "optimizer.lr=0.01,1e6", "architecture=mlp_small", *RAGGED]
    ).runs
    runs = [make_run(point, digits, "sweep") for point in points]
    done = results(runs, digits_data)
    return [*(done[run.id] for run in runs[:3]), failed_result(runs[3], "RuntimeError: as it must", "cpu")]


@pytest.fixture(scope="module")
def stored(uri: str, four: list[Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    parent = Store(uri, "trial").start("sweep", {"command": "actbench sweep", "question": "?"})
    for result in four:
        parent.add(result)
    write_results(folder, four, "actbench sweep", Spent(12.34), {})
    parent.end("FINISHED", "?", folder)
    return folder


def test_finished_and_diverged_runs_come_back_to_the_bit(uri: str, stored: Path, four: list[Result]) -> None:
    found = Store(uri, "trial").finished([result.run for result in four])
    assert set(found) == {result.run.id for result in four[:3]}  # the failed one is tried again
    assert [found[r.run.id].row["status"] for r in four[:3]].count("diverged") == 1
    for result in four[:3]:
        assert found[result.run.id].row == result.row
        assert found[result.run.id].curves == result.curves
        assert found[result.run.id].layers == result.layers
        assert found[result.run.id].histograms == result.histograms
    assert set(four[2].histograms) == {0, 1}
    assert set(four[2].histograms[1]) == {0, 36}


def test_correctness_of_test_examples_comes_back_from_the_store_and_from_the_files(
    uri: str, halves: PreparedData, halves_data: ImageData, four: list[Result], tmp_path: Path
) -> None:
    from actbench.experiment.compose import compose_grid

    points = compose_grid(["architecture=mlp_small", "activation=relu,tanh", *RAGGED]).runs
    trained = list(results([make_run(point, halves, "sweep") for point in points], halves_data).values())
    done = [*trained, four[2]]  # the last is of data without a test set of their own
    store = Store(uri, "examples")
    parent = store.start("sweep", {"command": ""})
    for result in done:
        parent.add(result)
    write_results(tmp_path, done, "actbench sweep", Spent(1.0), {})
    parent.end("FINISHED", "?", tmp_path)
    found = store.finished([result.run for result in done])
    assert [found[result.run.id].test_correct for result in done] == [result.test_correct for result in done]
    assert [result.test_correct is None for result in done] == [False, False, True]
    (tmp_path / "restored").mkdir()
    mode = (tmp_path / "restored").stat().st_mode
    store.restore("sweep", tmp_path / "restored")
    assert (tmp_path / "restored" / EXAMPLES).read_bytes() == (tmp_path / EXAMPLES).read_bytes()
    assert (tmp_path / "restored").stat().st_mode == mode  # and not that of a temporary folder
    pd.testing.assert_frame_equal(read_series(tmp_path)["examples"], examples_frame(list(found.values())))
    read = read_examples(tmp_path)
    assert list(read) == [result.run.id for result in trained]
    for result in trained:
        assert (read[result.run.id].shape, str(read[result.run.id].dtype)) == ((359,), "bool")
        assert read[result.run.id].mean() == result.row["test_accuracy"]


def test_examples_of_runs_without_them_are_an_empty_frame_of_the_same_types(stored: Path, tmp_path: Path) -> None:
    frame = read_series(stored)["examples"]
    assert len(frame) == 0
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "run_id": "str", "examples": "int64", "correct": "binary[pyarrow]", "scores": "binary[pyarrow]",
    }  # fmt: skip
    assert read_examples(stored) == read_examples(tmp_path) == {}


def test_a_large_test_set_fits_into_a_tag_and_a_long_text_into_three() -> None:
    assert len(base64.b64encode(bytes(MOST_EXAMPLES // 8))) == 5464
    assert entries._MAX_TAG > 5464
    assert len(base64.b64encode(bytes(4 * WINDOWS_OF_A_TAG))) == 7468 < entries._MAX_TAG
    assert MOST_WINDOWS == 3 * WINDOWS_OF_A_TAG


@pytest.mark.parametrize("windows", [40, MOST_WINDOWS])
def test_scores_of_test_windows_come_back_from_the_store_and_from_the_files(
    uri: str, four: list[Result], tmp_path: Path, windows: int
) -> None:
    scores = np.random.default_rng(windows).normal(-2.7, 0.5, windows).astype("<f4")
    settings = four[2].run.settings
    data = replace(four[2].run.data, fingerprint=f"{windows}", metric="bits_per_character", own_test=True, test=windows)
    run = make_run(settings, data, "sweep")
    row = four[2].row | {"run_id": run.id, "metric": data.metric, "score": -2.7, "val_score": -2.6}
    row |= {"val_loss": 1.8, "test_loss": 1.9}
    curves = {"val_loss": [(0, 4.0), (36, 1.8)], "val_score": [(0, -6.0), (36, -2.6)]}
    result = replace(four[2], run=run, row=row, curves=curves, test_scores=scores.tobytes())
    store = Store(uri, f"windows{windows}")
    parent = store.start("sweep", {"command": ""})
    parent.add(result)
    write_results(tmp_path, [result, four[0]], "actbench sweep", Spent(1.0), {})
    parent.end("FINISHED", "?", tmp_path)
    found = store.finished([run])[run.id]
    assert found.test_scores == result.test_scores
    assert (found.test_correct, found.row, found.curves) == (None, row, curves)
    read = read_examples(tmp_path)
    assert list(read) == [run.id]
    assert read[run.id].tolist() == scores.tolist()
    frame = read_series(tmp_path)["examples"].drop(columns="scores")
    frame.to_parquet(tmp_path / EXAMPLES, index=False)  # as an older version wrote it
    assert read_series(tmp_path)["examples"]["scores"].isna().all()


def test_a_store_of_an_older_version_has_accuracies_for_scores(uri: str, four: list[Result], tmp_path: Path) -> None:
    run = make_run(four[2].run.settings, replace(four[2].run.data, fingerprint="older"), "sweep")
    row = four[2].row | {"run_id": run.id, "score": None, "val_score": None}
    store = Store(uri, "older")
    parent = store.start("sweep", {"command": ""})
    parent.add(replace(four[2], run=run, row=row))
    write_results(tmp_path, [], "actbench sweep", Spent(1.0), {})
    parent.end("FINISHED", "?", tmp_path)
    found = store.finished([run])[run.id].row
    assert found["metric"] == "accuracy"
    assert found["score"] == row["test_accuracy"] is not None
    assert found["val_score"] == row["val_accuracy"] is not None


def test_curves_come_back_without_the_artifact_too(
    uri: str, stored: Path, four: list[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that was killed wrote runs but no files."""
    monkeypatch.setattr(Store, "_files", lambda self, run_id: set())
    found = Store(uri, "trial").finished([four[0].run])
    assert found[four[0].run.id].curves == four[0].curves
    assert found[four[0].run.id].layers == four[0].layers


def test_store_holds_params_tags_status_and_curves(uri: str, stored: Path, four: list[Result]) -> None:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("trial")
    assert experiment is not None
    runs = {run.data.tags["run_id_hash"]: run for run in client.search_runs([experiment.experiment_id])
            if "run_id_hash" in run.data.tags}  # fmt: skip
    assert len(runs) == 4
    run = runs[four[2].run.id]
    assert run.info.run_name == "relu lr=0.01 seed=0"
    assert run.data.params["activation"] == "relu"
    assert run.data.params["architecture.width"] == "64"
    assert run.data.metrics["test_accuracy"] == four[2].row["test_accuracy"]
    history = client.get_metric_history(run.info.run_id, "val_accuracy")
    assert [(m.step, m.value) for m in history] == four[2].curves["val_accuracy"]
    assert runs[four[3].run.id].info.status == "FAILED"
    assert runs[four[3].run.id].data.tags["error"] == "RuntimeError: as it must"


def test_results_folder_has_the_documented_columns(stored: Path, four: list[Result]) -> None:
    frame = pd.read_csv(stored / "runs.csv")
    assert tuple(frame.columns) == COLUMNS
    assert frame["run_id"].tolist() == [result.run.id for result in four]
    assert frame["status"].tolist() == [result.row["status"] for result in four]
    curves = pd.read_parquet(stored / "curves.parquet")
    assert list(curves.columns) == ["run_id", "step", "metric", "value"]
    assert {"val_accuracy", "val_loss", "train_loss", "dead_fraction", "gradient_norm"} <= set(curves["metric"])
    assert not {"seconds", "test_accuracy"} & set(curves["metric"])
    layers = pd.read_parquet(stored / "layers.parquet")
    assert list(layers.columns) == ["run_id", "step", "layer", "metric", "value"]
    assert set(layers["layer"]) == {0, 1}
    assert set(layers["metric"]) == {
        "dead_fraction", "silent_fraction", "dormant_fraction", "zero_share", "near_zero_share", "unit_mean",
            "abs_unit_mean", "unit_std", "gradient_norm",
        "gradient_rms",
    }  # fmt: skip
    own = layers[(layers["run_id"] == four[2].run.id) & (layers["layer"] == 1) & (layers["metric"] == "gradient_norm")]
    assert list(zip(own["step"], own["value"], strict=True)) == four[2].layers[1]["gradient_norm"]
    bins = pd.read_parquet(stored / "histograms.parquet")
    own = bins[(bins["run_id"] == four[2].run.id) & (bins["layer"] == 1) & (bins["step"] == 36)]
    assert own["count"].tolist() == four[2].histograms[1][36]
    assert own["count"].sum() == 64 * 288  # units by examples of the validation set, all of which are the probe set
    assert (own["low"].iloc[0], own["high"].iloc[-1]) == (-math.inf, math.inf)
    pd.testing.assert_frame_equal(read_runs(stored / "runs.csv"), runs_frame(four), check_dtype=False)


def test_a_comparison_finds_the_runs_of_a_sweep(uri: str, stored: Path, four: list[Result]) -> None:
    run = four[2].run
    planned = make_run(run.settings, run.data, "compare")
    (found,) = Store(uri, "trial").finished([planned]).values()
    assert found.row["test_accuracy"] == four[2].row["test_accuracy"] is not None


def test_runs_have_the_marks_of_the_protocol_in_the_file_and_others_have_none(
    four: list[Result], tmp_path: Path
) -> None:
    first, second, third, fourth = (result.run for result in four)
    marks = {
        first.id: Mark(raced_out=True), second.id: Mark(chosen=True), third.id: Mark(equal_time_of=second),
    }  # fmt: skip
    write_results(tmp_path, four, "actbench compare", Spent(12.34), marks)
    read = read_runs(tmp_path / RUNS)
    pd.testing.assert_frame_equal(read, runs_frame(four, marks), check_dtype=False)
    table = read.set_index("run_id")[list(MARKS)]
    assert table.loc[[first.id, second.id, third.id]].to_numpy().tolist() == [
        [True, False, False], [False, True, False], [False, False, True],
    ]  # fmt: skip
    assert table.loc[fourth.id].isna().all()
    assert read_environment(tmp_path)["seconds"] == 12.3
    assert read_environment(tmp_path / "nowhere") == {}
    for damaged in ('{"a": [', "[1]", ""):
        (tmp_path / "environment.json").write_text(damaged)
        assert read_environment(tmp_path) == {}


def test_a_run_that_repeats_another_at_equal_time_has_that_ones_variant(four: list[Result]) -> None:
    """Its steps differ, but it is of the same task."""
    usual, other = four[2], four[0]
    training = usual.run.settings.training.model_copy(update={"steps": 18})
    settings = usual.run.settings.model_copy(update={"training": training})
    again = replace(usual, run=make_run(settings, usual.run.data, "compare"))
    done = [other, usual, again]
    assert runs_frame(done)["variant"].iloc[2] == {"training.steps": "18"}
    frame = runs_frame(done, {again.run.id: Mark(equal_time_of=usual.run)})
    assert frame["variant"].tolist() == [{}, {}, {}]
    assert frame["steps"].tolist() == [36, 36, 36]  # of the result, which was copied here


def test_the_runs_of_the_newest_comparison_whose_scores_count_are_tagged(four: list[Result], own_folder: Path) -> None:
    uri = f"sqlite:///{own_folder}/mlflow.db"
    parent = Store(uri, "trial").start("compare", {"command": ""})
    runs = [make_run(result.run.settings, result.run.data, "compare") for result in four[:3]]
    for run, result in zip(runs, four, strict=False):
        parent.add(replace(result, run=run))

    def chosen() -> set[str]:
        found = MlflowClient(uri).search_runs(["1"], "tags.chosen = 'true'")
        assert {run.data.tags["mlflow.parentRunId"] for run in found} <= {parents[0].info.run_id}
        return {run.data.tags["run_id_hash"] for run in found}

    parents = MlflowClient(uri).search_runs(["1"], "tags.kind = 'compare'")
    assert len(MlflowClient(uri).search_runs(["1"])) == 4  # no folders in between
    assert chosen() == set()
    for ids in ({runs[0].id, runs[1].id}, {runs[1].id, runs[2].id}, set[str]()):  # of one comparison after the other
        parent.mark_chosen(ids)
        assert chosen() == ids


def test_a_curve_without_a_value_at_the_end_has_no_final_value(uri: str, four: list[Result]) -> None:
    """For example gradient_ratio, where no gradient is left: MLflow reports its last point as its value."""
    first = next(result for result in four if result.row["status"] == "finished")
    curves = first.curves | {"gradient_ratio": first.curves["gradient_ratio"][:-1]}
    result = replace(first, row=first.row | {"gradient_ratio": None}, curves=curves)
    store = Store(uri, "no end")
    store.start("sweep", {"command": ""}).add(result)
    found = store.finished([result.run])[result.run.id]
    assert (found.row, found.curves, found.layers) == (result.row, result.curves, result.layers)


def test_unreachable_store_gives_one_line(tmp_path: Path) -> None:
    for uri in ("sqlite:////dev/null/x.db", "nonsense://x"):
        with pytest.raises(UsageError, match="store.uri=") as caught:
            Store(uri, "trial")
        assert "\n" not in str(caught.value)


def test_database_is_created_completely_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database whose creation was interrupted has another name, and is replaced by the next."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"

    def interrupted(database: Path, fill: Callable[[str], object]) -> None:
        with contextlib.closing(sqlite3.connect(database.with_name(f".{database.name}.new"))) as connection:
            connection.execute("create table trace_info (half integer)")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(client, "create_database", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Store(uri, "trial")
    assert is_new(uri)
    Store(uri, "trial")
    logs = {"mlflow.db-shm", "mlflow.db-wal"}  # SQLite's own, while it is open
    assert {path.name for path in tmp_path.iterdir()} - logs == {".mlflow.db.lock", "mlflow.db"}


_KILLED_IN_A_COMMIT = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in ("pragma cache_size=1", "begin immediate", "update params set value = value || 'x'"):
    connection.execute(line)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("mode", "log"), [("wal", "-wal"), ("delete", "-journal")])  # on a local disk, or elsewhere
def test_commit_interrupted_by_a_kill_is_rolled_back(
    mode: str, log: str, four: list[Result], tmp_path: Path, blank_database: Path
) -> None:
    uri = f"sqlite:///{shutil.copy(blank_database, tmp_path)}"
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute(f"pragma journal_mode={mode}")
    Store(uri, "trial").start("sweep", {}).add(four[0])
    subprocess.run([sys.executable, "-c", _KILLED_IN_A_COMMIT, tmp_path / "mlflow.db"])
    assert (tmp_path / f"mlflow.db{log}").stat().st_size > 0
    (found,) = Store(uri, "trial").finished([four[0].run]).values()
    assert found.row == four[0].row


def test_damaged_files_of_a_command_are_refused_and_do_not_stop_a_command(four: list[Result], own_folder: Path) -> None:
    tmp_path = own_folder
    uri, folder = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "results"
    folder.mkdir()
    store = Store(uri, "trial")
    parent = store.start("compare", {})
    parent.add(four[0])
    write_results(folder, four[:1], "actbench compare", Spent(1.0), {})
    parent.end("FINISHED", "?", folder)
    whole = (folder / RUNS).read_bytes()
    for name in (RUNS, CURVES):
        (kept,) = tmp_path.rglob(f"artifacts/{name}")
        kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(UsageError, match="is damaged; run the same command again"):
        store.restore("compare", folder)
    assert (folder / RUNS).read_bytes() == whole
    (found,) = store.finished([four[0].run]).values()
    assert (found.curves, found.layers) == (four[0].curves, four[0].layers)  # from the database
    for name in (RUNS, CURVES):
        (kept,) = tmp_path.rglob(f"artifacts/{name}")
        kept.unlink()
    with pytest.raises(UsageError, match="the files of 'trial' are gone"):
        store.restore("compare", folder)


def test_a_locked_database_is_not_reported_as_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "is_local", lambda path: False)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    Store(uri, "trial")
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        with pytest.raises(UsageError, match=r"another process holds .*mlflow.db locked; wait for it"):
            Store(uri, "trial")


@pytest.mark.parametrize("folder", ["qu?est", "quo'te", "pct%20x"])
def test_path_that_mlflow_misreads_is_refused(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(UsageError, match="MLflow keeps no store under a path with"):
        Store(f"sqlite:///{tmp_path}/{folder}/mlflow.db", "trial")


def test_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write to .*results/trial"):
        results_folder("trial")


def test_every_tag_of_a_run_is_defined(uri: str, stored: Path) -> None:
    experiment = MlflowClient(uri).get_experiment_by_name("trial")
    assert experiment is not None
    of_the_command = {"command", "question"}  # the request, which a command passes as tags
    for run in MlflowClient(uri).search_runs([experiment.experiment_id]):
        tags = {re.sub(r"/\d\d$", "/NN", key) for key in run.data.tags if not key.startswith("mlflow.")}
        assert tags - of_the_command <= set(TAGS)

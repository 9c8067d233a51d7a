"""What a store had taken and has no more is kept in the journal and written to the next store, each run once."""

import errno
import os
import shutil
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sqlalchemy.exc import OperationalError

from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import make_run
from actbench.store import outbox
from actbench.store.client import reason
from actbench.store.entries import Entry
from actbench.store.files import write_results
from actbench.store.journal import Journal
from actbench.store.provenance import Spent
from actbench.store.reader import Store
from actbench.store.sqlite import create_database
from actbench.store.writer import ParentRun
from actbench.training.checkpoints import weights_folder
from actbench.training.results import Result
from tests.support import TINY, numbers, results


@pytest.fixture(scope="module")
def three(digits: PreparedData, digits_data: ImageData) -> list[Result]:
    from actbench.experiment.compose import compose_grid

    points = compose_grid(["seed=0,1,2", *TINY]).runs
    return list(results([make_run(point, digits, "sweep") for point in points], digits_data).values())


@pytest.fixture(autouse=True)
def uri(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(outbox, "RETRY_AFTER", 0.0)
    monkeypatch.setattr(outbox, "RETRY_COST", 0.0)
    return f"sqlite:///{own_folder}/mlflow.db"


def remove_database(folder: Path) -> None:
    """With its write-ahead log, which SQLite would apply to another database of that name."""
    for file in folder.glob("mlflow.db*"):
        file.unlink()


def end(parent: ParentRun, folder: Path, results: list[Result]) -> None:
    (folder / "files").mkdir()
    parent.end("FINISHED", "?", folder / "files", results)


def check_next_command(uri: str, expected: list[Result]) -> None:
    """The next command finds every run once, to the bit, and leaves no journal and nothing that is running."""
    found = Store(uri, "trial").finished([result.run for result in expected])
    assert {id: numbers(result) for id, result in found.items()} == {r.run.id: numbers(r) for r in expected}
    runs = MlflowClient(uri).search_runs(["1"])
    ids = Counter(run.data.tags["run_id_hash"] for run in runs if run.data.tags["kind"] == "run")
    assert ids == Counter(result.run.id for result in expected)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert not Path("results/.journal").exists()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_that_is_removed_or_replaced_costs_no_run(
    replaced: bool, uri: str, three: list[Result], own_folder: Path, blank_database: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    parent = Store(uri, "trial").start("sweep", {})
    parent.add(three[0])
    remove_database(own_folder)
    if replaced:
        shutil.copy(blank_database, own_folder)
        second = Store(uri, "trial").start("sweep", {})  # another command, which trains an equal run
        second.add(three[0])
    parent.add(three[1])
    journal = (parent.journal_folder / "entries.jsonl").read_text()
    assert three[0].run.id in journal  # at once, so that a kill costs nothing either
    parent.add(three[2])
    end(parent, own_folder, three)
    done = "replaced by another file" if replaced else "removed"
    assert parent.outbox.problem == f"mlflow.db was {done} while the command ran"
    assert not parent.is_stored
    (line,) = capsys.readouterr().err.splitlines()
    assert f"mlflow.db was {done} while the command ran; runs are kept in" in line
    if replaced:
        second.end("FINISHED", "?", own_folder / "files")
    else:
        shutil.copy(blank_database, own_folder)
    check_next_command(uri, three)


def test_a_database_that_is_removed_after_its_last_look_costs_no_run(
    uri: str, three: list[Result], own_folder: Path, blank_database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = Store(uri, "trial").start("sweep", {})
    for result in three:
        parent.add(result)
    end(parent, own_folder, three)
    assert not parent.is_gone(three)
    remove_database(own_folder)
    assert parent.is_gone(three)
    assert not parent.is_stored
    assert "mlflow.db was removed while the command ran; runs are kept in" in capsys.readouterr().err
    shutil.copy(blank_database, own_folder)
    check_next_command(uri, three)


def test_a_database_that_is_moved_away_and_back_has_every_run_once(
    uri: str, three: list[Result], own_folder: Path
) -> None:
    parent = Store(uri, "trial").start("sweep", {})
    parent.add(three[0])
    (own_folder / "mlflow.db").rename(own_folder / "away.db")
    parent.add(three[1])
    (own_folder / "away.db").rename(own_folder / "mlflow.db")
    parent.add(three[2])
    end(parent, own_folder, three)
    assert parent.is_stored
    check_next_command(uri, three)


def test_runs_that_were_found_finished_before_the_database_was_removed_are_kept_too(
    uri: str, three: list[Result], own_folder: Path, blank_database: Path
) -> None:
    first = Store(uri, "trial").start("sweep", {})
    first.add(three[0])
    end(first, own_folder, three[:1])
    store = Store(uri, "trial")
    found = store.finished([result.run for result in three])
    parent = store.start("sweep", {})
    remove_database(own_folder)
    parent.add(three[1])
    parent.add(three[2])
    parent.end("FINISHED", "?", own_folder / "files", [*found.values(), *three[1:]])
    shutil.copy(blank_database, own_folder)
    check_next_command(uri, three)


def test_a_store_that_lost_runs_is_not_said_to_hold_them(
    uri: str, three: list[Result], own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a server does whose database was restored from a copy: its file is the same, and it answers."""
    parent = Store(uri, "trial").start("sweep", {})
    for result in three:
        parent.add(result)
    with sqlite3.connect(own_folder / "mlflow.db") as connection:
        lost = "select run_uuid from tags where key = 'run_id_hash' and value = ?"
        connection.execute(f"update runs set lifecycle_stage = 'deleted' where run_uuid in ({lost})", [three[1].run.id])
    end(parent, own_folder, three)
    assert not parent.is_stored
    assert parent.outbox.problem == "it lost 1 runs"
    assert "it lost 1 runs while the command ran; runs are kept in" in capsys.readouterr().err
    check_next_command(uri, three)


def test_weights_of_a_removed_database_are_kept_where_the_artifacts_have_them(
    uri: str, three: list[Result], own_folder: Path, blank_database: Path
) -> None:
    parent = Store(uri, "trial").start("sweep", {})
    for result, content in zip(three[:2], ("kept", "gone"), strict=True):
        weights = weights_folder(result.run)
        weights.mkdir(parents=True)
        (weights / "last.safetensors").write_text(content)
        parent.add(result, weights)
        assert not weights.exists()
    for path in own_folder.rglob("last.safetensors"):
        if path.read_text() == "gone":
            path.unlink()
    remove_database(own_folder)
    end(parent, own_folder, three[:2])
    assert any(path.read_text() == "kept" for path in own_folder.joinpath("mlruns").rglob("last.safetensors"))
    shutil.copy(blank_database, own_folder)
    store = Store(uri, "trial")
    runs = [result.run for result in three[:2]]
    assert set(store.finished(runs, "none")) == {run.id for run in runs}
    assert set(store.finished(runs, "last")) == {runs[0].id}  # the other is trained again where weights are wanted


def test_a_run_whose_weights_were_removed_from_the_artifacts_is_trained_again_where_they_are_wanted(
    uri: str, three: list[Result], own_folder: Path
) -> None:
    parent = Store(uri, "trial").start("sweep", {})
    for number, result in enumerate(three):
        weights = weights_folder(result.run)
        weights.mkdir(parents=True)
        (weights / "last.safetensors").write_text("as it was")
        parent.add(result, weights)
        if number == 0:
            shutil.rmtree("mlruns")
    end(parent, own_folder, three)
    assert parent.is_stored
    assert parent.without_weights == 1
    runs = [result.run for result in three]
    assert set(Store(uri, "trial").finished(runs, "none")) == {run.id for run in runs}
    assert set(Store(uri, "trial").finished(runs, "last")) == {run.id for run in runs[1:]}


def test_a_run_that_trains_while_the_database_is_removed_is_kept(
    uri: str, three: list[Result], own_folder: Path, blank_database: Path
) -> None:
    parent = Store(uri, "trial").start("sweep", {})
    parent.begin([three[0].run])
    parent.log(three[0].run, list(three[0].points())[:1])
    remove_database(own_folder)
    parent.log(three[0].run, list(three[0].points())[:2])
    parent.add(three[0])
    end(parent, own_folder, three[:1])
    shutil.copy(blank_database, own_folder)
    check_next_command(uri, three[:1])


def test_a_journal_that_is_removed_while_the_command_runs_is_written_again(
    uri: str, three: list[Result], own_folder: Path, blank_database: Path
) -> None:
    parent = Store(uri, "trial").start("sweep", {})
    parent.add(three[0])
    remove_database(own_folder)
    parent.add(three[1])
    shutil.rmtree("results")
    parent.add(three[2])
    shutil.rmtree("results")
    end(parent, own_folder, three)
    shutil.copy(blank_database, own_folder)
    check_next_command(uri, three)


def test_a_full_disk_leaves_no_part_of_a_line(three: list[Result], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Journal("sqlite:///mlflow.db", "trial", "a" * 32)
    entry = Entry("b" * 32, "a", {"kind": "run"})
    kept.append(entry, [])
    path = kept.folder / "entries.jsonl"
    before = path.read_bytes()

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            kept.append(replace(entry, uid="c" * 32), [])
    assert path.read_bytes() == before
    kept.append(replace(entry, uid="c" * 32), [])
    assert path.read_bytes().startswith(before)
    kept.close()


def test_a_removed_results_folder_is_reported_and_written_again(
    three: list[Result], own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(Path("results/trial"), three, "actbench sweep", Spent(1.0), {})
    assert "results/trial was removed while the command ran; it is written again" in capsys.readouterr().err
    assert Path("results/trial/runs.csv").read_text().count("finished") == 3


def test_the_log_of_a_removed_database_is_not_applied_to_a_new_one(own_folder: Path, blank_database: Path) -> None:
    path = own_folder / "mlflow.db"
    connection = sqlite3.connect(path)
    connection.execute("insert into experiments (name, lifecycle_stage) values ('old', 'active')")
    connection.commit()
    path.unlink()
    assert (own_folder / "mlflow.db-wal").stat().st_size > 0
    create_database(path, lambda uri: shutil.copy(blank_database, uri.removeprefix("sqlite:///")))
    with sqlite3.connect(path) as new:
        assert [name for (name,) in new.execute("select name from experiments")] == ["Default"]
    connection.close()


def test_an_empty_file_is_no_database_yet(own_folder: Path) -> None:
    from actbench.store.sqlite import is_new

    assert not is_new("sqlite:///mlflow.db")
    os.truncate("mlflow.db", 0)
    assert is_new("sqlite:///mlflow.db")


def test_a_locked_database_is_said_to_be_locked() -> None:
    error = OperationalError("insert", {}, sqlite3.OperationalError("database is locked"))
    assert reason(error) == "another process holds the database locked"
    error = OperationalError("insert", {}, sqlite3.OperationalError("disk I/O error"))
    assert reason(error) == "disk I/O error"

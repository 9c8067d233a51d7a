"""Entries that cannot be stored now are kept with their files, stored later, and reported where they cannot be."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import actbench
from actbench.cli.main import main
from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.experiment.runs import Run, make_run
from actbench.experiment.schema import RunSettings
from actbench.store import outbox
from actbench.store.client import experiment_id
from actbench.store.entries import Writer
from actbench.store.reader import Store
from actbench.training.checkpoints import weights_folder
from actbench.training.results import CurvePoint, Result, failed_result

Configs = Callable[..., list[RunSettings]]


@pytest.fixture(autouse=True)
def uri(own_folder: Path) -> str:
    return f"sqlite:///{own_folder}/mlflow.db"


@pytest.fixture
def run(configs: Configs, digits: PreparedData) -> Run:
    (config,) = configs("architecture=mlp_small", "training.steps=20")
    return make_run(config, digits, "sweep")


@pytest.fixture
def result(run: Run) -> Result:
    return replace(failed_result(run, "as it must", "cpu"), curves={"val_accuracy": [(0, 0.1), (10, 0.5), (20, 0.9)]})


def unreachable(*words: object) -> None:
    raise OSError("away")


def history(uri: str) -> list[tuple[int, float]]:
    client = MlflowClient(uri)
    (found,) = client.search_runs(["1"], "tags.kind = 'run'")
    return [(point.step, point.value) for point in client.get_metric_history(found.info.run_id, "val_accuracy")]


def test_weights_and_files_wait_in_the_journal_even_where_the_project_is_moved(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    monkeypatch.chdir(before)
    words = ["sweep", "architecture=mlp_small", "training.steps=20", "execution.workers=1", "store.save_weights=last",
             f"store.uri={uri}"]  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "fill", unreachable)
        assert main(words) == 1
    assert not list((before / "results/.weights").iterdir())
    before.rename(after)
    monkeypatch.chdir(after)
    assert main(words) == 0
    assert "1 found finished, 0 to train" in capsys.readouterr().out
    assert not (after / "results/.journal").exists()
    client = MlflowClient(uri)
    (run,) = client.search_runs(["1"], "tags.kind = 'run'")
    assert actbench.load(run.data.tags["run_id_hash"], store=uri).step == 20
    for sweep in client.search_runs(["1"], "tags.kind = 'sweep'"):
        assert "runs.csv" in {file.path for file in client.list_artifacts(sweep.info.run_id)}


def test_a_run_whose_files_are_gone_is_reported_and_not_stored_without_them(
    uri: str, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = weights_folder(result.run)
    weights.mkdir(parents=True)
    (weights / "last.safetensors").write_text("as it was")
    parent = Store(uri, "trial").start("sweep", {})
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "fill", unreachable)
        parent.add(result, weights)
    parent.outbox.journal.close()
    (copied,) = (tmp_path / "results/.journal").rglob("last.safetensors")
    assert not weights.exists()
    copied.unlink()
    copied.parent.rmdir()
    Store(uri, "trial")
    assert "1 runs whose files are gone are not written" in capsys.readouterr().err
    assert MlflowClient(uri).search_runs(["1"], "tags.kind = 'run' and attributes.status != 'RUNNING'") == []


def test_the_journal_of_a_running_command_is_not_touched(
    uri: str, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = Store(uri, "trial").start("sweep", {})
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "fill", unreachable)
        parent.add(result)
    Store(uri, "trial")
    assert (parent.journal_folder / "entries.jsonl").exists()
    parent.outbox.journal.close()  # as the end of its process does
    Store(uri, "trial")
    assert "1 runs that an earlier command could not store are written" in capsys.readouterr().out
    assert not (tmp_path / "results/.journal").exists()


def test_points_that_could_not_be_written_during_training_are_written_with_the_next(
    uri: str, run: Run, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RETRY_AFTER", 0.0)
    monkeypatch.setattr(outbox, "RETRY_COST", 0.0)
    parent, log = Store(uri, "trial").start("sweep", {}), Writer.log

    def answer_is_lost(*words: Any) -> None:
        log(*words)
        unreachable()

    parent.begin([run])
    for patch in (unreachable, answer_is_lost):
        with monkeypatch.context() as patched:
            patched.setattr(Writer, "log", patch)
            parent.log(run, [CurvePoint(None, "val_accuracy", 0, 0.1)])
    parent.log(run, [CurvePoint(None, "val_accuracy", step, value) for step, value in ((0, 0.1), (10, 0.5))])
    assert history(uri) == [(0, 0.1), (10, 0.5)]  # and the first of them once
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "log", answer_is_lost)
        parent.log(run, [CurvePoint(None, "val_accuracy", 20, 0.9)])
    parent.add(result)
    assert history(uri) == [(0, 0.1), (10, 0.5), (20, 0.9)]


def test_a_service_that_fails_slowly_is_retried_rarely(
    uri: str, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "RETRY_AFTER", 0.0)
    parent, requests = Store(uri, "trial").start("sweep", {}), []

    def silent(*words: object) -> None:
        requests.append(time.monotonic())
        time.sleep(0.3)
        unreachable()

    monkeypatch.setattr(Writer, "create", silent)
    parent.add(result)
    parent.add(result)
    parent.outbox.journal.close()
    assert len(requests) == 1  # 20 times 0.3 s have not passed


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'boto3'"), type("NoCredentialsError", (Exception,), {"__module__": "botocore.exceptions"})("Unable to locate credentials")])  # noqa: E501  # fmt: skip
def test_a_failing_artifact_store_loses_no_training(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*words: object) -> None:
        raise error

    monkeypatch.setattr(MlflowClient, "log_artifacts", refuse)
    words = ["sweep", "architecture=mlp_small", "training.steps=20", "execution.workers=1"]
    assert main(words) == 1
    assert f"store.uri=sqlite:///mlflow.db: {error}; runs are kept in" in capsys.readouterr().err
    assert main(words) == 2
    assert "runs that wait in" in (message := capsys.readouterr().err)
    assert message.count("\n") == 1
    monkeypatch.undo()


def test_curves_are_read_one_by_one_where_the_artifacts_are_unavailable(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*words: object) -> None:
        raise MlflowException("500")

    words = ["sweep", "architecture=mlp_small", "training.steps=20", "execution.workers=1"]
    assert main(words) == 0
    curves = (tmp_path / "results/sweep/curves.parquet").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "list_artifacts", refuse)
        assert main(words) == 0
    assert "1 found finished, 0 to train" in capsys.readouterr().out
    assert (tmp_path / "results/sweep/curves.parquet").read_bytes() == curves


def test_two_commands_may_begin_an_experiment_at_once(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, answers = MlflowClient(uri), iter([None])
    made, ask = client.create_experiment("trial"), client.get_experiment_by_name
    monkeypatch.setattr(client, "get_experiment_by_name", lambda name: next(answers, ask(name)))
    assert experiment_id(client, uri, "trial") == made


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("postgresql://u:p@127.0.0.1:port/x", "is no tracking URI: "),
        ("http://[::1", "is no tracking URI: "),
        ("postgresql://a@127.0.0.1:9/x", "no server answers; start the server"),
    ],
)
def test_an_invalid_uri_and_an_unreachable_database_give_one_line(uri: str, message: str) -> None:
    started = time.monotonic()
    with pytest.raises(UsageError, match=message):
        Store(uri, "trial")
    assert time.monotonic() - started < 60  # MLflow itself would try for two minutes

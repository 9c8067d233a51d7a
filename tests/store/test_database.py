"""Rows that are written to and read from a database's tables are those of MLflow's client."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import make_run
from actbench.store import reader
from actbench.store.entries import Entry, Writer
from actbench.store.reader import Store
from actbench.training.results import Result, failed_result
from tests.support import TINY, Configs, numbers, results


@pytest.fixture(scope="module")
def four(configs: Configs, digits: PreparedData, digits_data: ImageData) -> list[Result]:
    runs = [make_run(config, digits, "sweep") for config in configs(*TINY, "activation=relu,gelu", "seed=0,1")]
    return list(results(runs, digits_data).values())


def written(uri: str, experiment: str, own: list[Result]) -> list[Any]:
    """The runs of MLflow, with their histories, after the results were stored as an experiment."""
    parent = Store(uri, experiment).start("sweep", {"question": "?"})
    for result in own:
        parent.add(result)
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], "tags.kind = 'run'")
    return sorted(runs, key=lambda run: str(run.data.tags["run_id_hash"]))


def test_a_run_written_as_rows_is_the_run_that_the_client_writes(
    four: list[Result], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{own_folder}/mlflow.db"
    four = [*four[:3], failed_result(four[3].run, "no reason", "cpu")]
    rows = written(uri, "rows", four)
    with monkeypatch.context() as patched:
        patched.setattr("actbench.store.reader.open_tables", lambda *given: None)
        whole = written(uri, "whole", four)
    client = MlflowClient(uri)
    for one, other in zip(rows, whole, strict=True):
        changing = ("uid", "mlflow.parentRunId")
        tags = [{key: value for key, value in run.data.tags.items() if key not in changing} for run in (one, other)]
        assert tags[0] == tags[1]
        assert one.data.params == other.data.params
        assert one.data.metrics == other.data.metrics
        for key in one.data.metrics:
            histories = [
                sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, key))
                for run in (one, other)
            ]
            assert histories[0] == histories[1]
        assert one.inputs.dataset_inputs[0].to_dictionary() == other.inputs.dataset_inputs[0].to_dictionary()
        infos = [{**dict(run.info), "experiment_id": "", "start_time": 0, "end_time": 0} for run in (one, other)]
        for run, info in zip((one, other), infos, strict=True):
            assert run.info.end_time >= run.info.start_time
            assert info.pop("artifact_uri").endswith(f"/{info.pop('run_id')}/artifacts")
            info.pop("run_uuid", None)
        assert infos[0] == infos[1]


def test_results_read_as_rows_are_those_that_the_client_reads(
    four: list[Result], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, runs = f"sqlite:///{own_folder}/mlflow.db", [result.run for result in four]
    written(uri, "trial", four)
    rows = Store(uri, "trial").finished(runs)
    monkeypatch.setattr(reader, "open_tables", lambda *given: None)
    assert {id: numbers(result) for id, result in rows.items()} == {
        id: numbers(result) for id, result in Store(uri, "trial").finished(runs).items()
    }
    assert {id: numbers(result) for id, result in rows.items()} == {result.run.id: numbers(result) for result in four}
    assert [result.histograms for result in rows.values()] == [result.histograms for result in four]


@pytest.mark.parametrize("is_database", [True, False])
def test_runs_are_tagged_by_whether_a_score_is_taken_from_them(
    is_database: bool, four: list[Result], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_database:
        monkeypatch.setattr("actbench.store.reader.open_tables", lambda *given: None)
    uri, ids = f"sqlite:///{own_folder}/mlflow.db", [result.run.id for result in four]
    written(uri, "other", four)
    written(uri, "trial", four)
    parent = Store(uri, "trial").start("compare", {})
    client = MlflowClient(uri)
    for chosen in ([], ids[:2], ids[1:3]):
        parent.mark_chosen(chosen)
        for experiment, of_it in (("trial", chosen), ("other", [])):
            found = client.get_experiment_by_name(experiment)
            assert found is not None
            tagged = client.search_runs([found.experiment_id], "tags.chosen = 'true'")
            assert {run.data.tags["run_id_hash"] for run in tagged} == set(of_it)


def test_a_run_with_a_text_too_long_for_a_row_is_left_to_the_client(
    four: list[Result], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    created: list[str] = []
    create = Writer.create

    def counted(self: Writer, entry: Entry) -> str:
        created.append(entry.name)
        return create(self, entry)

    monkeypatch.setattr(Writer, "create", counted)
    long = failed_result(four[3].run, "x" * 8001, "cpu")
    parent = Store(f"sqlite:///{own_folder}/mlflow.db", "trial").start("sweep", {})
    for result in [*four[:2], long]:
        parent.add(result)
    assert len(created) == 3  # the command, the run that brings its data set into the store, and the long one


def test_a_database_that_is_gone_is_not_made_anew_by_a_write(four: list[Result], own_folder: Path) -> None:
    parent = Store(f"sqlite:///{own_folder}/mlflow.db", "trial").start("sweep", {})
    parent.add(four[0])
    for file in own_folder.glob("mlflow.db*"):
        file.unlink()
    parent.add(four[1])
    assert not parent.is_stored
    assert not (own_folder / "mlflow.db").exists()
    kept = {entry.tags["run_id_hash"] for entry in parent.outbox.journal.entries}
    parent.outbox.journal.close()
    assert kept == {four[0].run.id, four[1].run.id}  # the first had gone with the database
    parent.outbox.journal.close()

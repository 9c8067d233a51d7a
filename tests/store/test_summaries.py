"""Summaries of comparisons are journaled like runs, deleted where they are incomplete, and confused with no run."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from actbench.store import abandoned
from actbench.store.entries import Writer
from actbench.store.names import IS_COMMAND, IS_SUMMARY, TAGS
from actbench.store.reader import Store
from actbench.store.summaries import DIFFERENCES, PLACE, SCORE_BY_RATE, Summary
from actbench.store.views import summary_views

_OF = {"task": "digits, mlp"}
TWO = [
    Summary("tanh", _OF, "worse", "#B85C00", {"test_accuracy": 0.8}, {"val_accuracy": [(0, 0.1), (9, 0.7)]}),
    Summary("relu", _OF, "baseline", "#000000", {"test_accuracy": 0.9}, {}),
]


def stored(folder: Path) -> list[Any]:
    return list(MlflowClient(f"sqlite:///{folder}/mlflow.db").search_runs(["1"], IS_SUMMARY))


def test_summaries_that_the_store_does_not_take_are_written_later(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{own_folder}/mlflow.db"
    parent = Store(uri, "trial").start("compare", {"margin": "0.01"})

    def unreachable(*words: object) -> None:
        raise OSError("away")

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "fill", unreachable)
        parent.add_summaries(TWO)
        (own_folder / "results/trial").mkdir(parents=True)
        parent.end("FINISHED", "?", own_folder / "results/trial")
    assert not parent.is_stored
    Store(uri, "trial")
    found = {run.info.run_name: run for run in stored(own_folder)}
    assert set(found) == {"relu", "tanh"}
    tanh = found["tanh"]
    assert tanh.info.status == "FINISHED"
    assert tanh.data.metrics == {"test_accuracy": 0.8, "val_accuracy": 0.7}
    assert tanh.data.tags["mlflow.runColor"] == "#B85C00"
    assert {key for key in tanh.data.tags if key != "mlflow.runName"} - {"margin"} <= set(TAGS)
    assert (tanh.data.tags["metric"], tanh.data.tags["margin"]) == ("accuracy", "0.01")


def test_an_incomplete_summary_of_a_killed_command_is_deleted(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite:///{own_folder}/mlflow.db", "trial")
    parent = store.start("compare", {})
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "fill", lambda *words: None)  # killed after the creation
        parent.add_summaries(TWO[:1])
    assert [run.info.status for run in stored(own_folder)] == ["RUNNING"]
    monkeypatch.setattr(abandoned, "_is_alive", lambda tags, started: False)
    Store(f"sqlite:///{own_folder}/mlflow.db", "trial")
    assert stored(own_folder) == []


def test_a_search_for_commands_and_for_finished_runs_finds_no_summary(own_folder: Path) -> None:
    store = Store(f"sqlite:///{own_folder}/mlflow.db", "trial")
    store.start("compare", {}).add_summaries(TWO)
    client = MlflowClient(f"sqlite:///{own_folder}/mlflow.db")
    assert [run.data.tags["kind"] for run in client.search_runs(["1"], IS_COMMAND)] == ["compare"]
    assert store._search_finished() == {}


def test_the_view_of_a_task_shows_its_own_metric_and_margin(own_folder: Path) -> None:
    difference = DIFFERENCES["bits_per_character"]
    of_text = Summary(
        "gelu", {"task": "shakespeare, decoder"}, "better", "#1B7F3B", {"score": -2.6},
        {difference: [(0, 0.03), (1, 0.05), (2, 0.04)], "val_score": [(0, -6.0), (9, -2.5)]},
        "bits_per_character", 0.02,
    )  # fmt: skip
    store = Store(f"sqlite:///{own_folder}/mlflow.db", "trial")
    store.start("compare", {"margin": "0.01"}).add_summaries([*TWO, of_text])
    views = {
        view.title: view for view in summary_views(sorted(stored(own_folder), key=lambda run: run.info.start_time))
    }
    text, digits = views["activations: shakespeare, decoder"], views["activations: digits, mlp"]
    assert (text.best, digits.best) == (difference, "test_accuracy")
    assert "metrics.`score`" in text.columns
    assert "metrics.`test_accuracy`" in digits.columns
    assert [section.name for section in text.sections][:2] == ["Score", "Validation score"]
    charts = {chart["metricKey"]: chart for section in text.sections for chart in section.charts}
    assert charts["val_score"]["range"] == pytest.approx({"yMin": -2.5 - 15 * 0.02, "yMax": -2.5 + 2 * 0.02})
    assert charts[PLACE]["selectedXAxisMetricKey"] == difference
    assert SCORE_BY_RATE in charts


def test_a_view_shows_the_summaries_of_the_newest_comparison(own_folder: Path) -> None:
    store = Store(f"sqlite:///{own_folder}/mlflow.db", "trial")
    parents = [store.start("compare", {"margin": "0.01"}) for _ in range(2)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Writer, "delete_summaries", lambda writer: None)
        for parent in parents:
            parent.add_summaries(TWO)
    found = sorted(stored(own_folder), key=lambda run: run.info.start_time)
    assert len(found) == 4
    (view,) = summary_views(found)
    assert (view.title, view.runs, view.best) == ("activations: digits, mlp", 2, "test_accuracy")
    assert found[-1].data.tags["mlflow.parentRunId"] in view.filter
    shown = MlflowClient(f"sqlite:///{own_folder}/mlflow.db").search_runs(["1"], view.filter)
    assert {run.info.run_id for run in shown} == {run.info.run_id for run in found[2:]}

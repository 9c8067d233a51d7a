"""A sweep trains a grid, on any number of workers, and keeps what does not fail."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from actbench.store.writer import ParentRun
from actbench.training.results import WALL_CLOCK
from tests.support import TINY, actbench, until

pytestmark = pytest.mark.usefixtures("command_line")


@pytest.mark.slow
def test_sweep_trains_three_architectures_with_elementwise_and_gated_units(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "sweep", "architecture=mlp_small,cnn_small,transformer_small", "activation=relu,maxout,swiglu",
        "seed=range(0,2)", "training.steps=3", "execution.workers=1",
    ]  # fmt: skip
    assert actbench(*words) == 0
    frame = pd.read_csv("results/sweep/runs.csv")
    assert len(frame) == 18
    assert set(frame["status"]) == {"finished"}
    assert frame["test_accuracy"].notna().all()
    shown = capsys.readouterr().out
    assert "18 runs, 0 found finished, 18 to train" in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert actbench(*words) == 0
    assert "nothing to train" in capsys.readouterr().out
    assert pd.read_csv("results/sweep/runs.csv").equals(frame)
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    experiment = client.get_experiment_by_name("sweep")
    assert experiment is not None
    children = client.search_runs([experiment.experiment_id], "tags.kind = 'run'")
    assert len(children) == 18
    assert len({run.data.tags["mlflow.parentRunId"] for run in children}) == 1


def test_results_that_are_removed_at_the_very_end_are_missed_and_written_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def remove(self: ParentRun, results: object) -> bool:
        """In the place of the last look at the store."""
        shutil.rmtree("results")
        return False

    with monkeypatch.context() as patch:
        patch.setattr(ParentRun, "is_gone", remove)
        assert actbench("sweep", "execution.workers=1", *TINY) == 1
    printed = capsys.readouterr().out
    assert "1 run in sqlite:///mlflow.db, experiment sweep" in printed
    assert "results/sweep was removed while the command ran; the same command writes it again" in printed
    assert actbench("sweep", "execution.workers=1", *TINY) == 0
    assert "1 run in results/sweep/ and in sqlite:///mlflow.db" in capsys.readouterr().out
    assert len(pd.read_csv("results/sweep/runs.csv")) == 1


def test_same_command_twice_gives_the_same_bytes(
    tmp_path: Path, blank_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        shutil.copy(blank_database, folder)
        monkeypatch.chdir(folder)
        words = ["activation=relu,rrelu,geglu", "seed=0,1", f"execution.workers={workers}", *TINY]
        assert actbench("sweep", *words) == 0
        frame = pd.read_csv("results/sweep/runs.csv").drop(columns=list(WALL_CLOCK))
        found.append(
            (
                frame.to_csv(),
                *(Path(f"results/sweep/{name}.parquet").read_bytes() for name in ("curves", "layers", "histograms")),
            )
        )
    assert found[0] == found[1]


def test_system_metrics_are_recorded_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    client, end = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db"), ParentRun.end

    def processor_use() -> list[float]:
        experiment = client.get_experiment_by_name("sweep")
        assert experiment is not None
        (parent,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
        history = client.get_metric_history(parent.info.run_id, "system/cpu_utilization_percentage")
        return [point.value for point in history]

    def end_after_two_samples(self: ParentRun, *arguments: Any) -> None:
        until(lambda: len(processor_use()) > 1)
        end(self, *arguments)

    monkeypatch.setattr(ParentRun, "end", end_after_two_samples)
    words = ["architecture=mlp_small", "activation=relu", "seed=range(0,3)", "training.steps=20"]
    assert actbench("sweep", *words, "execution.workers=1", "store.system_metrics=true") == 0
    assert max(processor_use()) > 0  # the first sample has nothing before it to be measured against


def test_a_failed_run_is_named_and_the_other_runs_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    own = "tests.own_activations:fails_while_training"
    assert actbench("sweep", f"activation=relu,{own}", "execution.workers=1", *TINY) == 1
    assert pd.read_csv("results/sweep/runs.csv")["status"].tolist() == ["finished", "failed"]
    assert "RuntimeError: too wide" in capsys.readouterr().out

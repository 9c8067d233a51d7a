"""A comparison tunes, confirms and reports, and stores what it says in MLflow."""

from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.support import TINY, actbench

pytestmark = pytest.mark.usefixtures("command_line")


def test_compare_tunes_confirms_and_reports(capsys: pytest.CaptureFixture[str]) -> None:
    Path("experiments").mkdir()
    Path("experiments/mine.yaml").write_text(
        "question: Which?\nsource: null\noverrides:\n  - activation=relu,tanh\n"
        "  - protocol.learning_rates=[0.001,0.01]\n  - protocol.tuning_seeds=2\n  - protocol.seeds=3\n"
    )
    command = ["compare", "mine", "execution.workers=1", *TINY]
    assert actbench(*command) == 0
    frame = pd.read_csv("results/mine/runs.csv")
    tuned, confirmed = frame[frame["phase"] == "tune"], frame[frame["phase"] == "confirm"]
    assert len(confirmed) == 6
    rates = set(tuned["lr"])
    assert {0.001, 0.01} < rates <= {0.0001, 0.001, 0.01, 0.1}  # with two, one is chosen: the grid grows
    assert len(tuned) == 4 * len(rates)  # for both activations alike
    assert tuned["test_accuracy"].isna().all()
    assert confirmed["test_accuracy"].notna().all()
    assert not set(tuned["seed"]) & set(confirmed["seed"])
    for activation, group in confirmed.groupby("activation"):
        own = tuned[tuned["activation"] == activation].groupby("lr")["val_accuracy"].mean()
        assert group["lr"].unique().tolist() == [own.idxmax()]
        assert sorted(group["seed"]) == [1000, 1001, 1002]
    text = Path("results/mine/report.md").read_text()
    mean = 100 * confirmed.groupby("activation")["test_accuracy"].mean().max()
    assert f"{mean:.2f} ±" in text
    assert f"2 tuning seeds a rate ({len(tuned)} runs)" in text
    written = {path: path.read_bytes() for path in Path("results/mine").rglob("*") if path.is_file()}
    names = {path.name for path in written}
    assert {
        "report.md",
        "report.html",
        "report.pdf",
        "report.tex",
        "accuracy.svg",
        "accuracy.pdf",
        "accuracy.png",
    } <= names
    check_mlflow_runs(confirmed)
    for path in written:
        path.unlink()
    assert actbench("report", "mine") == 0
    assert {path: path.read_bytes() for path in Path("results/mine").rglob("*") if path.is_file()} == written
    assert actbench(*command) == 0
    assert "nothing to train" in capsys.readouterr().out


def check_mlflow_runs(confirmed: pd.DataFrame) -> None:
    """The parent's description has the answer and a figure that is there; each activation's costs stand at a run."""
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.kind = 'compare'")
    note = parent.data.tags["mlflow.note.content"]
    best = confirmed.groupby("activation")["test_accuracy"].mean().idxmax()
    assert f"highest mean test accuracy {best}" in note
    assert "Recommended: " in note
    assert f"get-artifact?run_uuid={parent.info.run_id}&path=figures/accuracy.png" in note
    assert "figures/accuracy.png" in {file.path for file in client.list_artifacts(parent.info.run_id, "figures")}
    phases = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {(phase.info.run_name, phase.info.status) for phase in phases} == {
        ("tune", "FINISHED"),
        ("confirm", "FINISHED"),
    }
    costs = pd.read_csv("results/mine/costs.csv").groupby("run_id")["activation_ns"].median()
    assert len(costs) == 2
    for run_id, expected in costs.items():
        (run,) = client.search_runs([experiment.experiment_id], f"tags.run_id_hash = '{run_id}'")
        assert run.data.metrics["activation_ns"] == expected


def test_test_set_is_never_read_while_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    from actbench.data.batches import Batches

    def refuse(*arguments: object) -> None:
        raise AssertionError("the test set was read")

    monkeypatch.setattr(Batches, "test", refuse)
    words = [
        "architecture=mlp_small", "activation=relu", "protocol.learning_rates=[0.01]", "protocol.seeds=1",
        "execution.workers=1", "training.steps=1",
    ]  # fmt: skip
    assert actbench("compare", "quickstart", *words) == 1
    frame = pd.read_csv("results/quickstart/runs.csv")
    assert frame.set_index("phase")["status"].to_dict() == {"tune": "finished", "confirm": "failed"}

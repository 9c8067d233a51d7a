"""The command line as a user types it."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from actbench.cli.main import main
from actbench.store.runs import Parent
from actbench.training.results import WALL_CLOCK
from tests.support import COMMAND, TINY, until


@pytest.fixture(autouse=True)
def command_line(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["actbench", "test"])


@pytest.fixture
def empty_folder(own_folder: Path) -> Path:
    (own_folder / "mlflow.db").unlink()
    return own_folder


def actbench(*words: str) -> int:
    """In this process; signal handlers as they were."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        return main(words)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sweep_over_three_architectures_and_pieces(capsys: pytest.CaptureFixture[str]) -> None:
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
    _check_pages_of_mlflow(confirmed)
    for path in written:
        path.unlink()
    assert actbench("report", "mine") == 0
    assert {path: path.read_bytes() for path in Path("results/mine").rglob("*") if path.is_file()} == written
    assert actbench(*command) == 0
    assert "nothing to train" in capsys.readouterr().out


def _check_pages_of_mlflow(confirmed: pd.DataFrame) -> None:
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


def test_system_metrics_of_a_command_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    client, end = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db"), Parent.end

    def processor_use() -> list[float]:
        experiment = client.get_experiment_by_name("sweep")
        assert experiment is not None
        (parent,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
        history = client.get_metric_history(parent.info.run_id, "system/cpu_utilization_percentage")
        return [point.value for point in history]

    def end_after_two_samples(self: Parent, *arguments: Any) -> None:
        until(lambda: len(processor_use()) > 1)
        end(self, *arguments)

    monkeypatch.setattr(Parent, "end", end_after_two_samples)
    words = ["architecture=mlp_small", "activation=relu", "seed=range(0,3)", "training.steps=20"]
    assert actbench("sweep", *words, "execution.workers=1", "store.system_metrics=true") == 0
    assert max(processor_use()) > 0  # the first sample has nothing before it to be measured against


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "activation=rellu"], "near: relu"),
        (["train", "training.speed=1"], "unknown key training.speed"),
        (["train", "optimizer.lr=-1"], "optimizer.lr=-1.0"),
        (["train", "training.measure_every=-1"], "0 for never"),
        (["train", "training.precision=fp16"], "fp32, tf32, bf16"),
        (["train", "training.precision=tf32", "execution.device=cpu"], "only CUDA devices have it"),
        (["train", "activation.function=no.such:thing"], "no module named 'no'"),
        (["train", "activation.function=tests.own_activations:other_shape"], "keeps the shape"),
        (["train", "dataset=mnist", "dataset.root=nowhere", "dataset.download=false"], "nowhere/MNIST/raw"),
        (["train", "dataset=image_folder"], "dataset.root=DIR"),
        (["train", "seed=0,1"], "use `actbench sweep`"),
        (["train", "gelu"], "write key=value"),
        (["compare", "quikstart"], "near: quickstart"),
        (["compare", "optimizer.lr=0.1,0.2"], "protocol.learning_rates"),
        (["compare", "seed=0,1"], "protocol.seeds"),
        (["report", "quickstart"], "there is no mlflow.db"),
        (["report", "quickstart", "--format", "docx"], "--format docx"),
        (["activations", "gello"], "near: gelu"),
        (["activations", "gelu", "--plot", "curves.doc"], "take .png, .svg or .pdf"),
        (["data", "check", "mnist", "dataset.root=nowhere"], "is missing"),
        (["data", "check", "imagenet"], "no such dataset"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    assert actbench(*words) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("actbench: error: ")
    assert shown.count("\n") == 1
    assert message in shown
    assert not list(empty_folder.glob("results/*/runs.csv"))


def test_cuda_where_there_is_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert actbench("train", "execution.device=cuda") == 2
    assert "has no CUDA device" in capsys.readouterr().err


def test_results_folder_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    Path("results").write_text("a file")
    assert actbench("train", *TINY) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_failed_run_is_named_and_the_others_kept(capsys: pytest.CaptureFixture[str]) -> None:
    own = "tests.own_activations:fails_while_training"
    assert actbench("sweep", f"activation=relu,{own}", "execution.workers=1", *TINY) == 1
    assert pd.read_csv("results/sweep/runs.csv")["status"].tolist() == ["finished", "failed"]
    assert "RuntimeError: too wide" in capsys.readouterr().out


def test_activations_are_listed_and_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("activations") == 0
    table = capsys.readouterr().out
    assert "dynamic_relu" in table
    assert max(map(len, table.splitlines())) <= 100
    assert actbench("activations", "gelu", "leaky_relu") == 0
    details = capsys.readouterr().out
    assert "arXiv:1606.08415" in details
    assert "activation.slope" in details
    for suffix in ("png", "svg", "pdf"):
        assert actbench("activations", "gelu", "swiglu", "selu", "--plot", f"curves.{suffix}") == 0
    assert actbench("activations", "tests.own_activations:squareplus", "relu", "--plot", "own.png") == 0
    assert Path("own.png").is_file()
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
    first = Path("curves.svg").read_bytes()
    assert actbench("activations", "gelu", "swiglu", "selu", "--plot", "curves.svg") == 0
    assert Path("curves.svg").read_bytes() == first


def test_cfg_prints_the_composed_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", "--cfg", "job", "optimizer.lr=0.5,1", "architecture=cnn") == 0
    shown = capsys.readouterr().out
    assert "lr: 0.5" in shown
    assert "kernel: 3" in shown
    assert not Path("results").exists()


def test_data_check_names_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("data", "check", "digits") == 0
    assert "digits: 1438 training and 359 test images, 8x8x1, 10 classes" in capsys.readouterr().out


def test_hydras_own_multirun_works(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [*COMMAND, "train", "-m", "activation=relu,tanh", *TINY], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert pd.read_csv("results/train/runs.csv")["activation"].tolist() == ["tanh"]
    assert actbench("train", "--info", "config", *TINY) == 0
    assert "name: mlp" in capsys.readouterr().out

"""The command line: wrong usage, and what is printed without any training."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ENVIRONMENT, TINY, actbench

pytestmark = pytest.mark.usefixtures("command_line")


def test_help_and_the_table_of_activations_start_without_torch_and_mlflow() -> None:
    for words in (["--help"], ["compare", "--help"], ["activations"], ["activations", "gelu"]):
        code = (
            f"import sys\nsys.argv[1:] = {words}\nfrom actbench.cli.main import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "sys.exit(', '.join({'torch', 'mlflow', 'pandas', 'hydra', 'pydantic'} & set(sys.modules)) or 0)"
        )
        done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def empty_folder(own_folder: Path) -> Path:
    (own_folder / "mlflow.db").unlink()
    return own_folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "activation=rellu"], "near: relu"),
        (["train", "training.speed=1"], "unknown key training.speed"),
        (["train", "optimizer.lr=-1"], "optimizer.lr=-1: must be a finite number above 0"),
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
        (["compare", ""], "no experiment"),
        (["sweep", "+trainig.steps=5"], "unknown key trainig"),
        (["compare", "activation=relu,tanh", "protocol.margin=nan"], "protocol.margin=nan: must be a finite number"),
        (["train", "--resolve"], "--resolve"),
        (["compare", "optimizer.lr=0.1,0.2"], "protocol.learning_rates"),
        (["compare", "seed=0,1"], "protocol.seeds"),
        (["compare", "protocol.tuning_seeds=2"], "every rate trains on all seeds now"),
        (["compare", "dying_relu", "protocol.racing=true"], "set protocol.racing=false"),
        (["report", "quickstart"], "there is no mlflow.db"),
        (["report", "quickstart", "--format", "docx"], "--format docx"),
        (["activations", "gello"], "near: gelu"),
        (["activations", "gelu", "--plot", "curves.doc"], "take .png, .svg or .pdf"),
        (["data", "check", "mnist", "dataset.root=nowhere"], "is missing"),
        (["data", "check", "imagenet"], "no such dataset"),
    ],
)
def test_wrong_usage_prints_one_line_and_exits_with_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], empty_folder: Path
) -> None:
    assert actbench(*words) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("actbench: error: ")
    assert shown.count("\n") == 1
    assert message in shown
    assert not list(empty_folder.glob("results/*/runs.csv"))


def test_cuda_without_a_cuda_device_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert actbench("train", "execution.device=cuda") == 2
    assert "has no CUDA device" in capsys.readouterr().err


def test_a_file_named_results_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("results").write_text("a file")
    assert actbench("train", *TINY) == 2
    assert "cannot write to" in capsys.readouterr().err


def test_cfg_prints_the_composed_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("sweep", "--cfg", "job", "optimizer.lr=0.5,1", "architecture=cnn") == 0
    shown = capsys.readouterr().out
    assert "lr: 0.5" in shown
    assert "kernel: 3" in shown
    assert not Path("results").exists()


def test_data_check_prints_the_size_of_the_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("data", "check", "digits") == 0
    assert "digits: 1438 training and 359 test images, 8x8x1, 10 classes" in capsys.readouterr().out

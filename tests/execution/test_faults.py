"""What a user's own code does to its process costs its own runs only, and is named."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from actbench.activations import own
from actbench.cli.main import main
from actbench.data.datasets import PreparedData
from actbench.errors import UsageError
from actbench.execution import local
from actbench.execution.local import Pool
from actbench.experiment.runs import make_run
from actbench.experiment.schema import RunSettings
from actbench.training.stacks import Stack
from tests.support import TINY

OWN = "tests.own_activations"
Configs = Callable[..., list[RunSettings]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exits_while_training", "its worker process died (exit code 3)"),
        ("crashes_while_training", "its worker process died (exit code -11)"),
        ("interrupts_while_training", "KeyboardInterrupt"),
        ("lacks_a_file_while_training", "FileNotFoundError: no table of values"),
        ("fills_the_memory_while_training", "can't allocate memory"),
        ("hangs_while_training", "no heartbeat for 3 s (execution.timeout)"),
    ],
)
def test_only_the_run_at_fault_fails(
    name: str, message: str, configs: Configs, digits: PreparedData, capsys: pytest.CaptureFixture[str]
) -> None:
    points = configs(f"activation=relu,{OWN}:{name},gelu", *TINY)
    runs = [make_run(point, digits, "sweep") for point in points]
    with Pool("cpu", 1, in_process=False, timeout=3.0) as pool:
        results = {r.run.id: r for group in pool.run([Stack(tuple(runs))]) for r in group}
    assert [results[run.id].row["status"] for run in runs] == ["finished", "failed", "finished"]
    assert message in str(results[runs[1].id].error)
    named = f"from the training of relu, {OWN}:{name}, gelu (run {runs[0].id} and 2 more)"
    assert (named in capsys.readouterr().err) == ("hangs" in name)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_command_never_imports_a_users_code(
    workers: int, command_line: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.py").write_text("import torch\nf = torch.tanh\n")
    monkeypatch.syspath_prepend(os.getcwd())
    assert main(["sweep", "activation=mine:f,relu", f"execution.workers={workers}", *TINY]) == 0
    assert main(["activations", "mine:f", "--plot", "mine.svg"]) == 0
    assert main(["activations", "mine:f"]) == 0
    assert "mine" not in sys.modules
    assert list(pd.read_csv("results/sweep/runs.csv")["status"]) == ["finished", "finished"]
    assert "the user's own" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import os\nos._exit(3)\n", "importing or calling it ended the process (exit code 3)"),
        ("import os\nos.abort()\n", "importing or calling it ended the process (SIGABRT)"),
        ("import time\ntime.sleep(60)\n", "importing or calling it took more than 5 s"),
        ("raise KeyboardInterrupt\n", "importing broken fails: KeyboardInterrupt"),
        ("print('\\x00' * 10**6)\ndef g(z): return z\n", "broken has no 'f'"),
    ],
)
def test_code_that_cannot_be_imported_is_refused_in_one_line(
    body: str, message: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "INSPECTION_SECONDS", 5.0 if "sleep" in body else 60.0)
    monkeypatch.syspath_prepend(str(own_folder))
    Path("broken.py").write_text(body)
    with pytest.raises(UsageError) as caught:
        own.inspect_own("broken:f")
    assert str(caught.value) == f"activation.function=broken:f: {message}"


def test_source_that_changes_after_the_id_was_made_is_not_trained(
    own_folder: Path, configs: Configs, digits: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(own_folder))
    Path("altered.py").write_text("import torch\nf = torch.tanh\n")
    (point,) = configs("activation=altered:f", *TINY)
    run = make_run(point, digits, "sweep")
    Path("altered.py").write_text("import torch\nf = torch.sin\n")
    with Pool("cpu", 1, in_process=False) as pool:
        ((result,),) = pool.run([Stack((run,))])
    assert result.error is not None
    assert "its source changed while the command ran" in result.error


def test_each_worker_sees_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a faked list of devices; nothing is computed on a GPU here."""
    monkeypatch.setattr(local, "visible_gpus", lambda: ["4", "GPU-7"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    with Pool("cuda", 3) as pool:
        assert pool.calls(os.getenv, [("CUDA_VISIBLE_DEVICES",)] * 3) == ["4", "GPU-7", "4"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,GPU-7"

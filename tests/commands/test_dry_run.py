"""--dry-run counts what the command then trains, and leaves nothing but a cache."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from actbench.commands import dry_run
from actbench.commands.estimate import Estimator
from actbench.training.stacks import Stack
from actbench.training.timing import StackTimes
from tests.support import TINY, actbench

pytestmark = pytest.mark.usefixtures("command_line")

COMPARE = ["compare", "quickstart", "activation=relu,tanh", "protocol.learning_rates=[0.001,0.01,0.1]", *TINY[:1],
           "training.steps=4", "execution.workers=1"]  # fmt: skip


@pytest.fixture(autouse=True)
def timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timings that take no time."""

    def measure_shapes(estimator: Estimator, stacks: list[Stack]) -> int:
        times = StackTimes(0.0, 0.001, 0.0, 0.0, 0.0)
        estimator.calibration.shapes |= {estimator.shape(stack.runs[0]): times for stack in stacks}
        return len(stacks)

    monkeypatch.setattr(dry_run, "measure_shapes", measure_shapes)


def files(folder: Path) -> dict[Path, bytes]:
    """The contents of a folder, without locks and SQLite's memory."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm")]
    return {path: content for path in paths if (content := path.read_bytes())}


@pytest.fixture
def unchanged(own_folder: Path) -> Iterator[None]:
    before = files(own_folder)
    yield
    assert files(own_folder) == before
    assert not (own_folder / "results").exists()


@pytest.mark.usefixtures("unchanged")
def test_a_comparison_is_counted_and_nothing_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench(*COMPARE, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "30 to 90 runs in all, 0 found finished" in shown  # 2 activations, 9 seeds: 3 x 3 + 6, and 5 x 9
    assert re.search(r"mlp +2 +0.001, 0.01, 0.1 +0 to 8 \(9\) +30 to 90 +about", shown)
    assert re.search(r"stacks of .* runs; worker processes: 1\nabout .* on 1 core \(", shown)
    assert "difference: the smallest to relu that is found in 80 % of such comparisons" in shown
    assert "the standard deviation of an accuracy of 95 % on 359 test examples" in shown


@pytest.mark.usefixtures("unchanged")
def test_few_seeds_can_give_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench(*COMPARE, "protocol.seeds=5", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "no verdict is possible with 5 seeds: take at least 6" in shown
    assert "difference" not in shown


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "quikstart"], "near: quickstart"),
        (["compare", "optimizer.lr=0.1,0.2"], "protocol.learning_rates"),
        (["compare", "dying_relu", "protocol.racing=true"], "set protocol.racing=false"),
        (["sweep", "training.precision=tf32", "execution.device=cpu"], "only CUDA devices have it"),
        (["train", "seed=0,1"], "use `actbench sweep`"),
        (["sweep", "store.uri=sqlite:///nowhere/mlflow.db"], "no folder nowhere"),
    ],
)
def test_what_the_command_refuses_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert actbench(*words, "--dry-run") == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


@pytest.mark.usefixtures("unchanged")
def test_a_run_has_no_difference_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert actbench("train", "--dry-run", *TINY) == 0
    shown = capsys.readouterr().out
    assert "1 run in all" in shown
    assert "difference" not in shown


def test_a_sweep_is_counted_by_task_with_what_is_finished(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "activation=relu,gelu", "execution.workers=1", *TINY]
    assert actbench(*words) == 0
    before = files(own_folder)
    capsys.readouterr()
    assert actbench(*words, "seed=0,1", "architecture=mlp_small,cnn_small", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "8 runs in all, 2 found finished" in shown
    assert re.search(r"mlp +2 +0.001 +0, 1 +4 +2 +2 ", shown)
    assert re.search(r"cnn +2 +0.001 +0, 1 +4 +0 +4 ", shown)
    assert files(own_folder) == before


@pytest.mark.slow
def test_a_comparison_that_has_ended_has_nothing_left(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*COMPARE, "protocol.seeds=6"]
    assert actbench(*words) == 0
    count = len(pd.read_csv("results/quickstart/runs.csv"))
    before = files(own_folder)
    capsys.readouterr()
    assert actbench(*words, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert f"{count} runs in all, {count} found finished\ndifference" in shown
    assert "that of 6 seeds of finished runs" in shown
    assert files(own_folder) == before
    assert actbench(*words, "protocol.seeds=8", "--dry-run") == 0
    match = re.search(r"(\d+)(?: to (\d+))? runs in all, (\d+) found finished", capsys.readouterr().out)
    assert match is not None
    assert int(match[3]) == count
    assert count + 4 <= int(match[1]) <= int(match[2] or match[1])  # two more seeds of two activations

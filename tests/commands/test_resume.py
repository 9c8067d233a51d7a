"""A long run that is killed or ended goes on from its checkpoint, to the same numbers."""

import os
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from actbench.cli.main import main
from actbench.training.results import WALL_CLOCK
from tests.support import COMMAND, until

pytestmark = [pytest.mark.usefixtures("own_folder"), pytest.mark.slow]

LONG = [
    "architecture=mlp_small",
    "training.steps=3000",
    "training.evaluate_every=100",
    "execution.checkpoint_minutes=0",
]


def frames(experiment: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = Path("results", experiment)
    runs = pd.read_csv(folder / "runs.csv", dtype=str).drop(columns=list(WALL_CLOCK))
    return runs, pd.read_parquet(folder / "curves.parquet")


def checkpoints() -> list[Path]:
    return list(Path("results/.checkpoints").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("command", "number"),
    [("train", signal.SIGKILL), ("train", signal.SIGTERM), ("sweep", signal.SIGKILL), ("sweep", signal.SIGUSR1)],
)
def test_it_goes_on_to_the_same_numbers(
    command: str, number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, *LONG, *(["seed=range(0,4)", "execution.workers=2"] if command == "sweep" else [])]
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(checkpoints, 200, pause=0.02)
    os.kill(process.pid, number)
    assert process.wait(timeout=60) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    capsys.readouterr()
    assert main(words) == 0
    assert "of them from checkpoints" in capsys.readouterr().out
    resumed = frames(command)
    assert not checkpoints()
    assert main([*words, "store.uri=sqlite:///other.db"]) == 0
    assert "checkpoints" not in capsys.readouterr().out
    for one, other in zip(resumed, frames(command), strict=True):
        pd.testing.assert_frame_equal(one, other)

"""`actbench train` as an application of Hydra."""

import subprocess

import pandas as pd
import pytest

from tests.support import COMMAND, TINY, actbench

pytestmark = pytest.mark.usefixtures("command_line")


def test_hydra_multirun_and_info_work(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [*COMMAND, "train", "-m", "activation=relu,tanh", *TINY], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert pd.read_csv("results/train/runs.csv")["activation"].tolist() == ["tanh"]
    assert actbench("train", "--info", "config", *TINY) == 0
    assert "name: mlp" in capsys.readouterr().out

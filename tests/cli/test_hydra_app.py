"""`actbench train` as an application of Hydra."""

import subprocess

import pandas as pd
import pytest

from tests.support import COMMAND, TINY

pytestmark = pytest.mark.usefixtures("command_line")


def train(*words: str) -> str:
    """The output of a command in a process of its own, as Hydra sets up logging for the whole process."""
    done = subprocess.run([*COMMAND, "train", *words, *TINY], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_multirun_trains_each_job() -> None:
    train("-m", "activation=relu,tanh")
    assert pd.read_csv("results/train/runs.csv")["activation"].tolist() == ["tanh"]


def test_info_prints_the_composed_configuration() -> None:
    assert "name: mlp" in train("--info", "config")

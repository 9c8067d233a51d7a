"""`actbench train` as an application of Hydra."""

import subprocess
from pathlib import Path

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
    found = [pd.read_csv(path) for path in Path("results/multirun").glob("*/runs.csv")]
    assert sorted(frame["activation"].item() for frame in found) == ["relu", "tanh"]


def test_info_prints_the_composed_configuration() -> None:
    assert "name: mlp" in train("--info", "config")

"""An exception of a user's own function is never taken for an interruption of the command."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.support import COMMAND, ENVIRONMENT, TINY

pytestmark = pytest.mark.usefixtures("own_folder")

_INTERRUPTS = """
import torch

def interrupts(z):
    if z.shape[-1] > 7:  # the check of the function is on 7 units
        raise KeyboardInterrupt
    return torch.relu(z)
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_keyboard_interrupt_in_an_own_activation_is_that_runs_failure(workers: int) -> None:
    Path("mine.py").write_text(_INTERRUPTS)
    words = ["sweep", "activation=relu,mine:interrupts", "seed=0,1", f"execution.workers={workers}", *TINY]
    done = subprocess.run([*COMMAND, *words], env=ENVIRONMENT, capture_output=True, text=True, timeout=200)
    frame = pd.read_csv("results/sweep/runs.csv")
    assert frame.groupby("activation")["status"].unique().map(list).to_dict() == {
        "relu": ["finished"],
        "mine:interrupts": ["failed"],
    }
    assert done.returncode == 1
    assert done.stdout.count("KeyboardInterrupt") == 2  # a line for each run that failed
    assert "interrupted" not in done.stderr

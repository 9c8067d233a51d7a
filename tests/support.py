"""What several test files use: starting and awaiting commands, training without a store, frames of runs."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from actbench.cli.main import main
from actbench.data.datasets import ImageData
from actbench.experiment.runs import Run
from actbench.experiment.schema import Config
from actbench.training.loop import train
from actbench.training.results import COLUMNS, WALL_CLOCK, Result, results_of_stack
from actbench.training.stacks import Stack

ROOT = Path(__file__).parents[1]
Configs = Callable[..., list[Config]]  # the fixture `configs`

COMMAND = [sys.executable, "-m", "actbench"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}  # for a command that starts in another folder
TINY = ["architecture=mlp_small", "training.steps=4", "training.batch_size=50"]


def actbench(*words: str) -> int:
    """Runs a command in this process, restores its signal handlers and returns its exit code."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        return main(words)
    finally:
        signal.signal(signal.SIGTERM, before)


# No number divides another: the last batch of an epoch is smaller, and evaluations and measurements do not coincide.
RAGGED = ("training.batch_size=37", "training.steps=36", "training.evaluate_every=11", "training.measure_every=17")


def results(runs: Sequence[Run], data: ImageData) -> dict[str, Result]:
    """Trains all runs in one stack and returns their results by run id."""
    return {r.run.id: r for r in results_of_stack(runs, train(Stack(tuple(runs)), data, torch.device("cpu")), "cpu")}


def numbers(result: Result) -> tuple[object, object]:
    """What must be bit-identical between two trainings of one run: its row without times, and its curves."""
    return {k: v for k, v in result.row.items() if k not in WALL_CLOCK}, result.curves


def until(condition: Callable[[], Any], seconds: float = 60, pause: float = 0.1) -> Any:
    """The first true value that a condition returns. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the condition did not become true within {seconds:.0f} s")
        time.sleep(pause)
    return value


def rows(scores: dict[str, list[float | None]], **columns: object) -> pd.DataFrame:
    """Confirming runs with the given scores, by activation and in the order of the seeds; None is a diverged run.

    The run of seed s reaches the target at step 10 (s + 1). `columns` replace values in all rows.
    """
    lines = []
    for activation, values in scores.items():
        for seed, score in enumerate(values):
            line: dict[str, object] = dict.fromkeys(COLUMNS)
            line |= {
                "run_id": f"{activation}{seed}", "phase": "confirm", "dataset": "digits", "architecture": "mlp",
                "initialization": "matched", "optimizer": "adam", "activation": activation, "variant": "", "lr": 0.1,
                "seed": seed, "status": "diverged" if score is None else "finished", "steps": 100, "seconds": 1.0,
                "test_accuracy": score, "val_accuracy": score, "reached_target": score is not None,
                "steps_to_target": None if score is None else 10 * (seed + 1), "parameters": 1000,
                "samples_to_target": None if score is None else 640 * (seed + 1), "samples_per_second": 6400.0,
                "seconds_to_target": None if score is None else 0.1 * (seed + 1),
            }  # fmt: skip
            lines.append(line | columns)
    floats = dict.fromkeys(
        ("test_accuracy", "val_accuracy", "steps_to_target", "samples_to_target", "seconds_to_target", "dead_fraction",
         "zero_share", "unit_mean", "gradient_ratio"), "float64",
    )  # fmt: skip
    return pd.DataFrame(lines).astype(floats)


def lose_runs(frame: pd.DataFrame, mask: "pd.Series[bool]", status: str) -> None:
    """Gives the masked runs a status without results, failed or missing, in place."""
    frame.loc[mask, "status"] = status
    frame.loc[mask, "test_accuracy"] = float("nan")

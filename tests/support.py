"""What several test files use: starting and awaiting commands, training without a store, frames of runs."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from actbench.cli.main import main
from actbench.data.datasets import Data, ImageData, PreparedData, load_data
from actbench.experiment.runs import Run
from actbench.experiment.schema import RunSettings
from actbench.training.loop import train
from actbench.training.results import WALL_CLOCK, Result, results_of_stack
from actbench.training.stacks import Stack

ROOT = Path(__file__).parents[1]
Configs = Callable[..., list[RunSettings]]  # the fixture `configs`

COMMAND = [sys.executable, "-m", "actbench"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}  # for a command that starts in another folder
TINY = ["architecture=mlp_small", "training.steps=4", "training.batch_size=50"]


def load_images(prepared: PreparedData) -> ImageData:
    """The arrays of data that are no text."""
    data = load_data(prepared)
    assert isinstance(data, ImageData)
    return data


def actbench(*words: str) -> int:
    """Runs a command in this process and returns its exit code."""
    return main(words)


# No number divides another: the last batch of an epoch is smaller, and evaluations and measurements do not coincide.
RAGGED = ("training.batch_size=37", "training.steps=36", "training.evaluate_every=11", "training.measure_every=17")


def results(runs: Sequence[Run], data: Data) -> dict[str, Result]:
    """Trains all runs in one stack and returns their results by run id."""
    return {r.run.id: r for r in results_of_stack(runs, train(Stack(tuple(runs)), data, torch.device("cpu")), "cpu")}


def numbers(result: Result) -> tuple[object, object]:
    """What must be bit-identical between two trainings of one run: its row without times, and its curves."""
    return {k: v for k, v in result.row.items() if k not in WALL_CLOCK}, (result.curves, result.layers)


def assert_bits_are_those_alone(runs: Sequence[Run], data: Data) -> None:
    """Some of the runs have the same bits alone, in one stack with all others, and in a pair."""
    together = results(sorted(runs, key=lambda run: run.settings.activation.name), data)
    pair = results([runs[1], runs[-1]], data)
    for run in (runs[1], runs[6], runs[-1]):
        alone = results([run], data)[run.id]
        assert alone.row["status"] == "finished"
        assert numbers(alone) == numbers(together[run.id])
        if run.id in pair:
            assert numbers(alone) == numbers(pair[run.id])


def until(condition: Callable[[], Any], seconds: float = 60, pause: float = 0.1) -> Any:
    """The first true value that a condition returns. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the condition did not become true within {seconds:.0f} s")
        time.sleep(pause)
    return value


def lose_runs(frame: pd.DataFrame, mask: "pd.Series[bool]", status: str) -> None:
    """Gives the masked runs a status without results, failed or missing, in place."""
    frame.loc[mask, "status"] = status
    frame.loc[mask, ["test_accuracy", "score"]] = float("nan")

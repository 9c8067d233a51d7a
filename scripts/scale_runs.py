"""Runs of a recorded training, multiplied: grids of 100 to 100,000 runs and results for them, without training them.

A sweep of one seed is trained once. A run of a larger grid gets the result of the run with its architecture,
activation and rate, with noise drawn by its own id. Each result also gets marks for 10,000 test examples, as MNIST has
them, drawn at its accuracy: they are the largest part of a report's input.
"""

import dataclasses
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actbench.data.datasets import PreparedData, prepare_data
from actbench.experiment.compose import compose_grid
from actbench.experiment.request import Request
from actbench.experiment.runs import Run, make_run
from actbench.store.files import HISTOGRAMS, RUNS, read_curves, read_runs
from actbench.training.results import COUNTS, MEASURED, Curves, Histograms, Mark, Result, Row, identity

ROOT = Path(__file__).resolve().parents[1]
ACTIVATIONS = (
    "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "mish", "tanh", "sigmoid", "maxout", "swiglu",
    "relu6", "celu", "hard_swish", "softplus", "softsign", "hard_tanh", "swish", "squared_relu",
)  # fmt: skip
RATES = (0.003, 0.01, 0.001, 0.03, 0.1)
ARCHITECTURES = ("mlp_small", "cnn_small")
INITIALIZATIONS = ("matched", "he", "glorot", "torch", "orthogonal")
TEST_EXAMPLES = 10_000
NOISE = 0.01  # standard deviation of an accuracy
_TRAINING = ("training.steps=120", "training.evaluate_every=10", "training.measure_every=60")  # as in quickstart


@dataclass(frozen=True)
class Size:
    """How many of each a grid has; tasks are architectures x initializations."""

    architectures: int
    initializations: int
    activations: int
    rates: int
    seeds: int

    @property
    def overrides(self) -> list[str]:
        """The grid as the command line of a sweep."""
        return [
            f"architecture={','.join(ARCHITECTURES[: self.architectures])}",
            f"initialization={','.join(INITIALIZATIONS[: self.initializations])}",
            f"activation={','.join(ACTIVATIONS[: self.activations])}",
            f"optimizer.lr={','.join(map(str, RATES[: self.rates]))}", f"seed=range(0,{self.seeds})", *_TRAINING,
        ]  # fmt: skip


SIZES = {
    100: Size(1, 1, 5, 2, 10),
    1_000: Size(2, 1, 10, 5, 10),
    10_000: Size(2, 2, 20, 5, 25),
    100_000: Size(2, 5, 20, 5, 100),
}
_RECORDED = Size(2, 1, 20, 5, 1)


def record(folder: Path) -> None:
    """Trains the recorded runs by `actbench sweep` in `folder`, unless they are there."""
    if not (folder / "results/sweep" / RUNS).exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "actbench", "sweep", *_RECORDED.overrides, "execution.device=cpu"]
        subprocess.run(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL
        )


def digits() -> PreparedData:
    """The digits, said to have a test set of their own, so that reports read the marks of its examples."""
    return dataclasses.replace(prepare_data("digits", None, False, None), own_test=True, test=TEST_EXAMPLES)


def planned(size: int) -> list[Run]:
    """The runs of a grid of that size, composed as by a command."""
    data = digits()
    return [make_run(settings, data, "compare") for settings in compose_grid(SIZES[size].overrides).runs]


def request(size: int) -> Request:
    """What a comparison of that grid would have been asked."""
    question = f"How does actbench scale to {size:,} runs?"
    return Request("scale", question, "actbench compare scale", "", "relu", 0.01, (0.9,), (64,),
                   test_sizes={"digits": TEST_EXAMPLES})  # fmt: skip


class Recording:
    """The recorded results, read from the files of their sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "results/sweep"
        rows = read_runs(self._folder / RUNS).to_dict("records")
        self._rows = {(row["architecture"], row["activation"], row["lr"]): row for row in rows}
        self._curves = read_curves(self._folder)

    @cached_property
    def _histograms(self) -> dict[str, dict[int, Histograms]]:
        found: dict[str, dict[int, Histograms]] = {}
        frame = pd.read_parquet(self._folder / HISTOGRAMS)
        for run_id, step, layer, count in frame[["run_id", "step", "layer", "count"]].itertuples(index=False):
            found.setdefault(run_id, {}).setdefault(int(layer), {}).setdefault(int(step), []).append(int(count))
        return found

    def result(self, run: Run) -> Result:
        """The result of the recorded run with this one's architecture, activation and rate, with noise of its own."""
        settings = run.settings
        row = self._rows[settings.architecture.name, settings.activation.label, settings.optimizer.lr]
        generator = random.Random(run.id)
        own: Row = {**identity(run, row["status"]), **{key: _plain(key, row[key]) for key in MEASURED}, "device": "cpu"}
        for key in ("val_accuracy", "test_accuracy"):
            if isinstance(known := own[key], float):
                own[key] = min(1.0, max(0.0, known + generator.gauss(0, NOISE)))
        own |= {"metric": "accuracy", "score": own["test_accuracy"], "val_score": own["val_accuracy"]}
        curves, layers = self._curves[row["run_id"]]
        noise = generator.gauss(0, NOISE)
        return Result(
            run, own, _noisy(curves, noise), None, self._histograms.get(row["run_id"], {}),
            {layer: _noisy(of_layer, noise) for layer, of_layer in layers.items()}, _marks(run, own),
        )  # fmt: skip


def _plain(key: str, value: Any) -> int | float | bool | None:
    """A cell of runs.csv as a result has it."""
    if pd.isna(value):
        return None
    return bool(value) if key == "reached_target" else int(value) if key in COUNTS else float(value)


def _noisy(curves: Curves, noise: float) -> Curves:
    return {metric: [(step, value * (1 + noise)) for step, value in points] for metric, points in curves.items()}


def _marks(run: Run, row: Row) -> bytes | None:
    """A bit for each test example, set at the run's accuracy."""
    if not isinstance(accuracy := row["test_accuracy"], float):
        return None
    drawn = np.random.default_rng(int(run.id, 16)).random(TEST_EXAMPLES, dtype=np.float32)
    return np.packbits(drawn < accuracy).tobytes()


def chosen_marks(runs: list[Run]) -> dict[str, Mark]:
    """Marks by run id, as of a comparison without racing in which every activation chose the grid's first rate."""
    return {run.id: Mark(chosen=run.settings.optimizer.lr == RATES[0]) for run in runs}

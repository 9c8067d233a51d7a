"""A suite by hand: six tasks on five data sets, of three metrics."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from actbench.analysis.pairs import Comparison, comparisons
from actbench.experiment.request import Request
from actbench.store.files import costs_frame
from tests.analysis.frames import chosen_runs, scored_by

BITS = "bits_per_character"
REQUEST = Request(
    "suite", "Which one over all tasks?", "actbench compare suite", "", "relu", 0.01, (0.95,), (32,), "abc",
    {"actbench": "0.1"}, {"digits": 359, "wine": 36, "diabetes": 88, "adding": 2000, "shakespeare": 1742},
    (2.0, 0.6), {"r2": 0.02, BITS: 0.02}, {"shakespeare": -6.0},
)  # fmt: skip
TASKS: Mapping[tuple[str, str], tuple[str, Mapping[str, float]]] = {  # data set, architecture -> metric, mean scores
    ("digits", "mlp"): ("accuracy", {"relu": 0.97, "gelu": 0.971, "silu": 0.969, "tanh": 0.968, "sigmoid": 0.90}),
    ("digits", "cnn"): ("accuracy", {"relu": 0.98, "gelu": 0.981, "silu": 0.979, "tanh": 0.975, "sigmoid": 0.85}),
    ("wine", "mlp"): ("accuracy", {"relu": 0.95, "gelu": 0.951, "silu": 0.95, "tanh": 0.952, "sigmoid": 0.951}),
    ("diabetes", "mlp"): ("r2", {"relu": 0.45, "gelu": 0.455, "silu": 0.46, "tanh": 0.452, "sigmoid": 0.30}),
    ("adding", "lstm"): ("r2", {"relu": 0.40, "gelu": 0.60, "silu": 0.65, "tanh": 0.99, "sigmoid": 0.05}),
    ("shakespeare", "decoder"): (BITS, {"relu": -2.71, "gelu": -2.66, "silu": -2.665, "tanh": -2.72, "sigmoid": -3.1}),
}
RATES = (0.01, 0.03, 0.1)
_NOISE = {"accuracy": 0.003, "r2": 0.006, BITS: 0.004}  # standard deviation of a score


def task_runs(dataset: str, architecture: str, seeds: int = 9) -> pd.DataFrame:
    """The runs of one task: the middle rate is chosen, the highest is raced out after three seeds."""
    metric, means = TASKS[dataset, architecture]
    generator = np.random.default_rng(sum(map(ord, dataset + architecture)))
    frames = []
    for name, mean in means.items():
        for lr in RATES:
            out = lr == RATES[-1]
            size = 3 if out else seeds
            scores = mean - 3 * _NOISE[metric] * (lr != RATES[1]) * (4 if out else 1)
            values = scores + generator.normal(0, _NOISE[metric], size)
            marks = {"raced_out": out, "chosen": lr == RATES[1], "architecture": architecture, "dataset": dataset}
            own = chosen_runs({name: list(values)}, lr=lr, dead_fraction=0.1 * (name == "relu"), **marks)
            frames.append(own.assign(run_id=f"{dataset} {architecture} {lr} " + own["run_id"], val_loss=-values))
    frame = pd.concat(frames, ignore_index=True)
    return frame if metric == "accuracy" else scored_by(metric, frame)


def suite_runs(tasks: Sequence[tuple[str, str]] = tuple(TASKS)) -> pd.DataFrame:
    """The runs of several tasks."""
    return pd.concat([task_runs(*task) for task in tasks], ignore_index=True)


def suite(tasks: Sequence[tuple[str, str]] = tuple(TASKS)) -> list[Comparison]:
    """The comparisons of several tasks."""
    return list(comparisons(suite_runs(tasks), costs_frame([]), REQUEST))

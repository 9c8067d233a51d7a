"""Frames of runs by hand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from actbench.training.results import COLUMNS


def scored(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs whose scores are their accuracies, as they are now."""
    return runs.assign(metric="accuracy", score=runs["test_accuracy"], val_score=runs["val_accuracy"])


def scored_by(metric: str, runs: pd.DataFrame) -> pd.DataFrame:
    """Runs whose accuracies become scores of another metric; they have no accuracies then."""
    scores = {"score": runs["test_accuracy"], "val_score": runs["val_accuracy"]}
    return runs.assign(metric=metric, **scores, test_accuracy=np.nan, val_accuracy=np.nan)


def chosen_runs(scores: Mapping[str, Sequence[float | None]], **columns: object) -> pd.DataFrame:
    """Runs at the chosen rate: scores by activation and seed; None: diverged. Steps to target: 10 times (seed + 1)."""
    lines = []
    for activation, values in scores.items():
        for seed, score in enumerate(values):
            line: dict[str, object] = dict.fromkeys(COLUMNS)
            line |= {
                "run_id": f"{activation}{seed}", "phase": "compare", "dataset": "digits", "architecture": "mlp",
                "initialization": "matched", "optimizer": "adam", "activation": activation, "variant": {}, "lr": 0.1,
                "seed": seed, "status": "diverged" if score is None else "finished", "steps": 100, "seconds": 1.0,
                "test_accuracy": score, "val_accuracy": score, "reached_target": score is not None,
                "steps_to_target": None if score is None else 10 * (seed + 1), "parameters": 1000,
                "samples_to_target": None if score is None else 640 * (seed + 1), "samples_per_second": 6400.0,
                "seconds_to_target": None if score is None else 0.1 * (seed + 1), "raced_out": False, "chosen": True,
                "equal_time": False,
            }  # fmt: skip
            lines.append(line | columns)
    numbers = dict.fromkeys(
        ("test_accuracy", "val_accuracy", "steps_to_target", "samples_to_target", "seconds_to_target", "dead_fraction",
         "zero_share", "unit_mean", "gradient_ratio"), "float64",
    )  # fmt: skip
    return scored(pd.DataFrame(lines).astype(numbers))


def runs_of(**columns: list[object]) -> pd.DataFrame:
    """Finished ReLU runs but for the columns given, of which each has a value per run."""
    n = len(next(iter(columns.values())))
    defaults: dict[str, object] = {
        "dataset": "digits", "architecture": "mlp", "initialization": "matched", "optimizer": "adam",
        "activation": "relu", "lr": 0.1, "variant": {}, "status": "finished", "dead_fraction": 0.0,
        "reached_target": True, "val_accuracy": 0.5, "test_accuracy": 0.5, "steps_to_target": 10, "seed": 0,
        "phase": "compare", "raced_out": False, "chosen": True, "equal_time": False,
    }  # fmt: skip
    return scored(pd.DataFrame({key: columns.get(key, [value] * n) for key, value in defaults.items()}))

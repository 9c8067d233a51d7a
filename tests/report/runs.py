"""Comparisons and their series of points by hand, for figures."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from actbench.analysis.labels import labelled
from actbench.analysis.pairs import Comparison
from tests.analysis.frames import chosen_runs

ByRate = Mapping[float, Sequence[float | None]]  # accuracies by rate and seed; None: diverged


def compared_at_rates(by_series: Mapping[str, ByRate], task: str = "mlp") -> Comparison:
    """A comparison on digits. Rates with fewer seeds than the best rate are raced out; the best is chosen."""
    frames = []
    for series, by_rate in by_series.items():
        best = max(by_rate, key=lambda rate: (len(by_rate[rate]), sum(value or 0 for value in by_rate[rate])))
        for rate, values in by_rate.items():
            marks = {"lr": rate, "chosen": rate == best, "raced_out": len(values) < len(by_rate[best])}
            frames.append(chosen_runs({series: values}, architecture=task, **marks))
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.assign(run_id=[f"{task}{number}" for number in frame.index], val_loss=1 - frame["val_accuracy"])
    return Comparison(f"digits, {task}", labelled(frame), "relu", 0.01)


def compared(scores: Mapping[str, Sequence[float | None]], task: str = "mlp") -> Comparison:
    """A comparison on digits at one rate."""
    return compared_at_rates({series: {0.1: values} for series, values in scores.items()}, task)


def curves_of(comparison: Comparison, value: Callable[[str, int, int], float], steps: Sequence[int]) -> pd.DataFrame:
    """Validation accuracies of the chosen runs as curves.parquet has them. value: of series, seed and step."""
    lines = [
        {"run_id": run["run_id"], "step": step, "metric": "val_accuracy",
         "value": value(run["series"], run["seed"], step)}
        for run in comparison.ended.to_dict("records") for step in steps
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=["run_id", "step", "metric", "value"])


def layers_of(
    comparison: Comparison, depth: int, value: Callable[[str, str, int, int], float], steps: Sequence[int] = (0, 100)
) -> pd.DataFrame:
    """Both metrics of the chosen runs as layers.parquet has them. value: of metric, series, layer and step."""
    lines = [
        {"run_id": run["run_id"], "step": step, "layer": layer, "metric": metric,
         "value": value(metric, run["series"], layer, step)}
        for run in comparison.ended.to_dict("records") for step in steps for layer in range(depth)
        for metric in ("dead_fraction", "gradient_rms")
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=["run_id", "step", "layer", "metric", "value"])

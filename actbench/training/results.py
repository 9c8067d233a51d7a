"""A finished run as the row and the curves that are stored: the formats of runs.csv, curves and layers.parquet."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from actbench.experiment.runs import Run, flat
from actbench.metrics.convergence import area_under_curve, first_reached
from actbench.metrics.names import HISTOGRAM, split_layer_key

IDENTITY = (
    "run_id", "phase", "dataset", "architecture", "activation", "initialization", "optimizer", "lr", "seed", "status",
)  # fmt: skip
_MEASURED_FIRST = (
    "failed_step", "steps", "parameters", "train_loss", "val_loss", "val_accuracy", "test_accuracy", "reached_target",
    "steps_to_target", "seconds_to_target", "auc", "dead_fraction", "silent_fraction", "dormant_fraction",
    "dead_layers", "zero_share", "gradient_norm", "gradient_ratio", "samples_per_second",
)  # fmt: skip
_MEASURED_LATER = ("samples_to_target", "dead_piece_fraction", "unit_mean", "unit_std", "seconds")
MEASURED = (*_MEASURED_FIRST, *_MEASURED_LATER)
COLUMNS = (*IDENTITY, *_MEASURED_FIRST, "device", "variant", *_MEASURED_LATER)  # extended at the end only
WALL_CLOCK = ("seconds_to_target", "samples_per_second", "seconds")  # the columns that differ from one time to the next

_CURVES_APART = ("seconds", "parameters", "failed_step", "test_accuracy")

Row = dict[str, str | int | float | bool | None]
Histograms = dict[int, list[int]]  # step -> outputs of units in each bin, as metrics/histograms.py has them


@dataclass(frozen=True)
class Record:
    """One metric of all runs of a stack after `step` updates. values: float64 (runs,), of histograms (runs, bins)."""

    step: int
    metric: str
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """What a run left behind. row: by COLUMNS, None where there is no value. curves: metric -> [(step, value)], those
    of one layer under `layer/NN/metric`."""

    run: Run
    row: Row
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    error: str | None = None  # of a run that failed
    histograms: dict[int, Histograms] = field(default_factory=dict)  # by layer


def identity(run: Run, status: str) -> Row:
    config = run.config
    values = (
        run.id, run.phase, config.dataset.name, config.architecture.name, config.activation.label,
        config.initialization.name, config.optimizer.name, config.optimizer.lr, config.seed, status,
    )  # fmt: skip
    return dict(zip(IDENTITY, values, strict=True))


def run_params(run: Run) -> dict[str, object]:
    """The columns that identify a run under their short names, then its resolved config by dotted key."""
    config = run.config
    short = {
        "dataset": config.dataset.name, "architecture": config.architecture.name,
        "activation": config.activation.label, "initialization": config.initialization.name,
        "optimizer": config.optimizer.name, "lr": config.optimizer.lr, "seed": config.seed, "steps": run.steps,
    }  # fmt: skip
    dotted = {key: value for key, value in flat(config).items() if "." in key and not key.endswith(".name")}
    return {**short, **dotted, "dataset.fingerprint": run.data.fingerprint}


def failed_result(run: Run, error: str, device: str) -> Result:
    """A run that ended in an exception: kept in every table, marked."""
    row: Row = {**identity(run, "failed"), **dict.fromkeys(MEASURED), "device": device}
    return Result(run, row, {}, error)


def missing_result(run: Run, device: str) -> Result:
    """A run that was planned and not made, as its command was interrupted."""
    return Result(run, {**identity(run, "missing"), **dict.fromkeys(MEASURED), "device": device})


def results_of_stack(runs: Iterable[Run], records: Iterable[Record], device: str) -> list[Result]:
    """The records of a whole stack, taken apart into one result a run."""
    kept = list(records)
    return [_result(run, index, kept, device) for index, run in enumerate(runs)]


def _result(run: Run, index: int, records: list[Record], device: str) -> Result:
    """A diverged run keeps its curves up to the step that failed; its final values stay empty."""
    numbers = [record for record in records if record.values.ndim == 1]
    last = {record.metric: float(record.values[index]) for record in numbers}
    failed_step = last["failed_step"]
    diverged = not math.isnan(failed_step)
    series: dict[str, list[tuple[int, float]]] = {}
    for record in numbers:
        value = float(record.values[index])
        if math.isfinite(value) and not (diverged and record.step >= failed_step):
            series.setdefault(record.metric, []).append((record.step, value))
    curves = {metric: points for metric, points in series.items() if metric not in _CURVES_APART}
    histograms = _histograms([r for r in records if not (diverged and r.step >= failed_step)], index)
    row: Row = {**identity(run, "diverged" if diverged else "finished"), **dict.fromkeys(MEASURED), "device": device}
    row |= {"parameters": int(last["parameters"]), "steps": run.steps, "reached_target": False}
    if diverged:
        row["failed_step"] = int(failed_step)
        return Result(run, row, curves, histograms=histograms)
    for metric in ("test_accuracy", *curves):
        if metric in MEASURED and math.isfinite(last.get(metric, math.nan)):
            row[metric] = last[metric]
    if "dead_layers" in last:
        row["dead_layers"] = int(last["dead_layers"])
    return Result(run, row | _convergence(run, series), curves, histograms=histograms)


class LiveCurves:
    """The curves of a stack that still trains, as far as they are sure: up to the last evaluation at which a run's
    losses were finite."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self._open: list[Record] = []
        self._lost = np.zeros(len(runs), dtype=bool)

    def sure(self, records: Iterable[Record]) -> list[dict[str, list[tuple[int, float]]]]:
        """metric -> [(step, value)] of each run: points that were not sure before."""
        found: list[dict[str, list[tuple[int, float]]]] = [{} for _ in self.runs]
        for record in records:
            if record.values.ndim == 1 and record.metric not in _CURVES_APART:
                self._open.append(record)
            if record.metric in ("train_loss", "val_loss"):
                self._lost |= ~np.isfinite(record.values)
            if record.metric == "val_accuracy":
                for held in self._open:
                    for index in np.flatnonzero(~self._lost & np.isfinite(held.values)):
                        found[index].setdefault(held.metric, []).append((held.step, float(held.values[index])))
                self._open.clear()
        return found


def _histograms(records: list[Record], index: int) -> dict[int, Histograms]:
    found: dict[int, Histograms] = {}
    for record in records:
        layered = split_layer_key(record.metric)
        if layered is not None and layered[1] == HISTOGRAM:
            found.setdefault(layered[0], {})[record.step] = [int(count) for count in record.values[index]]
    return found


def _convergence(run: Run, series: dict[str, list[tuple[int, float]]]) -> Row:
    steps = [step for step, _ in series["val_accuracy"]]
    accuracy = np.array([value for _, value in series["val_accuracy"]])
    seconds = [value for _, value in series["seconds"]]
    reached = first_reached(accuracy, run.config.training.target)
    size = run.config.training.batch_size
    examples = run.data.train - run.data.validation_size(run.config.dataset.validation)
    return {
        "auc": area_under_curve(steps, accuracy),
        "reached_target": reached is not None,
        "steps_to_target": None if reached is None else steps[reached],
        "seconds_to_target": None if reached is None else seconds[reached],
        "samples_to_target": None if reached is None else _samples(steps[reached], size, examples),
        "samples_per_second": _samples(run.steps, size, examples) / seconds[-1] if run.steps else None,
        "seconds": seconds[-1],
    }


def _samples(steps: int, batch_size: int, examples: int) -> int:
    """Examples seen in `steps` mini-batches, of which the last of an epoch may be smaller."""
    epochs, rest = divmod(steps, -(-examples // batch_size))
    return epochs * examples + rest * batch_size

"""Formats of results: the records that training yields, and a run's columns of runs.csv and its curves."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actbench.experiment.runs import Run, examples_after, flat
from actbench.metrics.convergence import area_under_curve, first_reached
from actbench.metrics.names import HISTOGRAM
from actbench.training.machine import MACHINE, machine

IDENTITY = (
    "run_id", "phase", "dataset", "architecture", "activation", "initialization", "optimizer", "lr", "seed", "status",
)  # fmt: skip
_MEASURED_FIRST = (
    "failed_step", "steps", "parameters", "train_loss", "val_loss", "val_accuracy", "test_accuracy", "reached_target",
    "steps_to_target", "seconds_to_target", "auc", "dead_fraction", "silent_fraction", "dormant_fraction",
    "dead_layers", "zero_share", "gradient_norm", "gradient_ratio", "samples_per_second",
)  # fmt: skip
_MEASURED_LATER = ("samples_to_target", "dead_piece_fraction", "unit_mean", "unit_std", "seconds")
_MEASURED_LAST = ("near_zero_share", "abs_unit_mean")
_SCORES = ("score", "test_loss", "val_score")  # of the task's metric, higher is better; the loss of the test set
_IN_TIME = ("saturated_gates", "time_gradient_ratio")  # of recurrent networks
MEASURED = (*_MEASURED_FIRST, *_MEASURED_LATER, *_MEASURED_LAST, *_SCORES, *_IN_TIME)
COUNTS = ("failed_step", "steps", "parameters", "steps_to_target", "samples_to_target", "dead_layers")  # integers
COPY = "copy"  # the row of `actbench cost` for a plain copy, the lower bound: each value is read and written once
COSTS_MEASURED = ("activation_ns", "step_ns", "step_share")  # of a comparison, a value per round
MARKS = ("raced_out", "chosen", "equal_time")  # what a comparison's protocol made of a run; else empty
COLUMNS = (
    *IDENTITY,
    *_MEASURED_FIRST,
    "device",
    "variant",
    *_MEASURED_LATER,
    *MARKS,
    *_MEASURED_LAST,
    *MACHINE,
    "metric",
    *_SCORES,
    *_IN_TIME,
)  # extended at the end only
# The columns that differ between two trainings of one run.
WALL_CLOCK = ("seconds_to_target", "samples_per_second", "seconds")

TEST_CORRECT, TEST_SCORES = "test_correct", "test_scores"
STEP = "step"  # of a record without values, which says how far a stack is
MOST_EXAMPLES = 32_768  # test examples whose correctness is kept: as many as fit into a tag of MLflow
# Test windows of a text whose scores are kept, the first of the text: they take three tags of MLflow with 7,468 of at
# most 8,000 characters each. Shakespeare's test part has 1,742 windows of 64 characters.
WINDOWS_OF_A_TAG = 1_400
MOST_WINDOWS = 3 * WINDOWS_OF_A_TAG

_NO_MACHINE = dict.fromkeys(MACHINE, "")
_NOT_CURVES = ("seconds", "parameters", "failed_step", "test_accuracy", "test_loss", "score", STEP)

Row = dict[str, str | int | float | bool | None]
Curves = dict[str, list[tuple[int, float]]]  # metric -> [(step, value)]
Histograms = dict[int, list[int]]  # step -> outputs of units in each bin, as metrics/histograms.py defines them


@dataclass(frozen=True)
class Record:
    """One metric of all runs of a stack after `step` updates.

    values: float64 (runs,); of histograms (runs, bins); of TEST_CORRECT uint8 (runs, bytes); of TEST_SCORES float32
    (runs, windows). layer: the hidden layer it belongs to, from 0; None for a metric of the whole network.
    """

    step: int
    metric: str
    values: npt.NDArray[np.float64 | np.float32 | np.uint8]
    layer: int | None = None


def position(step: int) -> Record:
    """The record that says how far a stack is."""
    return Record(step, STEP, np.empty(0))


@dataclass(frozen=True)
class Mark:
    """What the protocol of a comparison made of a run.

    raced_out: its learning rate got no further seeds. chosen: its activation's score on its seed is taken from it.
    equal_time_of: the run that it repeats for as long as the baseline's takes; None for any other run.
    """

    raced_out: bool = False
    chosen: bool = False
    equal_time_of: Run | None = None

    def row(self) -> dict[str, bool]:
        """The columns MARKS."""
        return dict(zip(MARKS, (self.raced_out, self.chosen, self.equal_time_of is not None), strict=True))


class CurvePoint(NamedTuple):
    """One point of one curve of a run. layer: as in Record."""

    layer: int | None
    metric: str
    step: int
    value: float


@dataclass(frozen=True)
class Result:
    """The outcome of one run.

    row: values by COLUMNS, None where there is no value. curves: of the whole network. layers: hidden layer, from 0,
    -> curves of that layer. error: the message of a run that failed. histograms: by hidden layer. test_correct: a bit
    for each of the first MOST_EXAMPLES test examples, in their order, packed by np.packbits: 1 if it is classified
    correctly; None where the test set was not read, is drawn by the seed, or the run did not finish. test_scores: of
    text in its place, minus bits per character of each of the first MOST_WINDOWS test windows in the order of the text,
    float32, little endian.
    """

    run: Run
    row: Row
    curves: Curves = field(default_factory=dict)
    error: str | None = None
    histograms: dict[int, Histograms] = field(default_factory=dict)
    layers: dict[int, Curves] = field(default_factory=dict)
    test_correct: bytes | None = None
    test_scores: bytes | None = None

    def points(self) -> Iterator[CurvePoint]:
        """Every point of every curve, those of the whole network first."""
        for layer, curves in [(None, self.curves), *self.layers.items()]:
            for metric, points in curves.items():
                for step, value in points:
                    yield CurvePoint(layer, metric, step, value)


def identity(run: Run, status: str) -> Row:
    """The columns that name a run and its status."""
    settings = run.settings
    values = (
        run.id, run.phase, settings.dataset.name, settings.architecture.name, settings.activation.label,
        settings.initialization.name, settings.optimizer.name, settings.optimizer.lr, settings.seed, status,
    )  # fmt: skip
    return dict(zip(IDENTITY, values, strict=True))


def run_params(run: Run) -> dict[str, object]:
    """The columns that identify a run under their short names, then its settings by dotted key."""
    settings = run.settings
    short = {
        "dataset": settings.dataset.name, "architecture": settings.architecture.name,
        "activation": settings.activation.label, "initialization": settings.initialization.name,
        "optimizer": settings.optimizer.name, "lr": settings.optimizer.lr, "seed": settings.seed, "steps": run.steps,
    }  # fmt: skip
    dotted = {key: value for key, value in flat(settings).items() if "." in key and not key.endswith(".name")}
    return {**short, **dotted, "dataset.fingerprint": run.data.fingerprint}


def failed_result(run: Run, error: str, device: str) -> Result:
    """The result of a run that ended in an exception: it stays in every table, marked as failed."""
    return Result(run, _empty_row(run, "failed", device), error=error)


def missing_result(run: Run, device: str) -> Result:
    """The result of a planned run that was not trained because its command was interrupted."""
    return Result(run, _empty_row(run, "missing", device))


def _empty_row(run: Run, status: str, device: str) -> Row:
    """The columns of a run without results."""
    measured = dict.fromkeys(MEASURED)
    return {**identity(run, status), **measured, "device": device, **_NO_MACHINE, "metric": run.data.metric}


def results_of_stack(runs: Iterable[Run], records: Iterable[Record], device: str) -> list[Result]:
    """One result for each run of a stack, from the records of its training in this process."""
    records = list(records)
    return [_result(run, index, records, device) for index, run in enumerate(runs)]


def _result(run: Run, index: int, records: list[Record], device: str) -> Result:
    """The result of the run at place `index` of a stack. The final values of a diverged run stay empty."""
    curves: Curves = {}
    layers: dict[int, Curves] = {}
    histograms: dict[int, Histograms] = {}
    final: dict[str, float] = {}
    test_correct = test_scores = None
    for record in records:
        if record.metric == TEST_CORRECT:
            test_correct = record.values[index].tobytes()
            continue
        if record.metric == TEST_SCORES:
            test_scores = record.values[index].astype("<f4").tobytes()
            continue
        if record.layer is not None and record.metric == HISTOGRAM:
            counts = [int(count) for count in record.values[index]]
            histograms.setdefault(record.layer, {})[record.step] = counts
            continue
        value = float(record.values[index])
        if record.layer is None:
            final[record.metric] = value
        if math.isfinite(value):
            metrics = curves if record.layer is None else layers.setdefault(record.layer, {})
            metrics.setdefault(record.metric, []).append((record.step, value))
    diverged = not math.isnan(final["failed_step"])
    row: Row = {**identity(run, "diverged" if diverged else "finished"), **dict.fromkeys(MEASURED)}
    row |= {"device": device, **machine(), "metric": run.data.metric}
    if diverged:
        row |= {"reached_target": False if _has_target(run) else None, "failed_step": int(final["failed_step"])}
        test_correct = test_scores = None
    else:
        row |= {metric: value for metric, value in final.items() if metric in MEASURED and math.isfinite(value)}
        if run.data.metric == "accuracy":
            row |= {"score": row["test_accuracy"], "val_score": row["val_accuracy"]}
        row |= _convergence(run, curves)
        if "dead_layers" in final:
            row["dead_layers"] = int(final["dead_layers"])
    row |= {"parameters": int(final["parameters"]), "steps": run.steps}
    curves = {metric: points for metric, points in curves.items() if metric not in _NOT_CURVES}
    return cut_at_divergence(Result(run, row, curves, None, histograms, layers, test_correct, test_scores))


def cut_at_divergence(result: Result) -> Result:
    """The result without the points and histograms from `failed_step` on; a run that did not diverge as it is."""
    failed_step = result.row["failed_step"]
    if not isinstance(failed_step, int):
        return result

    def cut(curves: Curves) -> Curves:
        before = {metric: [p for p in points if p[0] < failed_step] for metric, points in curves.items()}
        return {metric: points for metric, points in before.items() if points}

    layers = {layer: cut(curves) for layer, curves in result.layers.items()}
    histograms = {
        layer: {step: counts for step, counts in by_step.items() if step < failed_step}
        for layer, by_step in result.histograms.items()
    }
    return replace(
        result, curves=cut(result.curves), layers={layer: curves for layer, curves in layers.items() if curves},
        histograms={layer: by_step for layer, by_step in histograms.items() if by_step},
    )  # fmt: skip


class LiveCurves:
    """The curves of a stack in training, up to the last evaluation at which a run's losses were finite.

    Later points are held back, because the result of a run that diverges does not contain them.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self._pending: list[Record] = []
        self._diverged = np.zeros(len(runs), dtype=bool)

    def certain(self, records: Iterable[Record]) -> list[list[CurvePoint]]:
        """For each run the points that these records make certain."""
        certain: list[list[CurvePoint]] = [[] for _ in self.runs]
        for record in records:
            if record.values.ndim == 1 and record.metric not in _NOT_CURVES:
                self._pending.append(record)
            if record.metric in ("train_loss", "val_loss"):
                self._diverged |= ~np.isfinite(record.values)
            if record.metric == score_curve(self.runs[0]):  # the last record of an evaluation
                for pending in self._pending:
                    for index in np.flatnonzero(~self._diverged & np.isfinite(pending.values)):
                        value = float(pending.values[index])
                        certain[index].append(CurvePoint(pending.layer, pending.metric, pending.step, value))
                self._pending.clear()
        return certain


def score_curve(run: Run) -> str:
    """The curve of a run's validation score."""
    return "val_accuracy" if run.data.metric == "accuracy" else "val_score"


def _convergence(run: Run, series: Curves) -> Row:
    steps = [step for step, _ in series["val_loss"]]
    score = np.array([value for _, value in series[score_curve(run)]])
    seconds = [value for _, value in series["seconds"]]
    reached = _reached(run, series)
    return {
        "auc": area_under_curve(steps, score),
        "reached_target": reached is not None if _has_target(run) else None,
        "steps_to_target": None if reached is None else steps[reached],
        "seconds_to_target": None if reached is None else seconds[reached],
        "samples_to_target": None if reached is None else examples_after(run, steps[reached]),
        "samples_per_second": examples_after(run, run.steps) / seconds[-1] if run.steps else None,
        "seconds": seconds[-1],
    }


def _has_target(run: Run) -> bool:
    """Whether the run has a target: one of its own, of the loss or of the accuracy, which only some data have."""
    training = run.settings.training
    return training.target_loss is not None or (training.target is not None and run.data.metric == "accuracy")


def _reached(run: Run, series: Curves) -> int | None:
    """The first evaluation that reaches training.target_loss or, without one, training.target; None if none does."""
    training = run.settings.training
    if training.target_loss is not None:
        losses = np.array([value for _, value in series["val_loss"]])
        return first_reached(-losses, -training.target_loss)
    if training.target is None or "val_accuracy" not in series:
        return None
    return first_reached(np.array([value for _, value in series["val_accuracy"]]), training.target)

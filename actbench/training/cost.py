"""Measures what activations cost on this device: time forward and backward, memory, share of a training step.

`measure_costs` times single activations (`actbench cost`), `measure_step_costs` those of the runs of a comparison.
"""

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from actbench.activations.bound import BoundActivation, initial_parameters
from actbench.data.datasets import Data, load_data
from actbench.determinism import set_precision, stream
from actbench.experiment.runs import Run, bound_activation
from actbench.training.loop import set_up
from actbench.training.results import COPY
from actbench.training.stacks import Stack
from actbench.training.step import step_gradients

SIZES = {"in cache": 2**16, "out of cache": 2**24}  # outputs: 256 KB, and 64 MB, of float32
DIRECTIONS = ("forward", "backward")
UNITS = 256
ROUNDS = 9
TRAINING_ROUNDS = 13  # of a comparison: enough for an exact test of paired rounds, corrected for a dozen hypotheses
_MIN_REPEATS = 3  # passes of which the median is taken, so that an interrupted one does not count
_MIN_SECONDS = 2e-3  # passes are repeated until they take that long together


Passes = Callable[[], dict[str, float]]  # runs once; seconds by direction


@dataclass
class Cost:
    """The measured cost of one activation.

    seconds: (size, direction) -> seconds of one pass over all outputs of that size, one value for each round. kept:
    bytes per output that live from forward to backward: the output, and what backward needs. peak: most bytes per
    output that are allocated at once in a pass, the input included. share: of a training step.
    """

    label: str
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    kept: float = math.nan
    peak: float = math.nan
    share: float = math.nan

    def nanoseconds(self, size: str, direction: str) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile, in ns per output."""
        low, middle, high = statistics.quantiles(self.seconds[size, direction], n=4, method="inclusive")
        return 1e9 * low / SIZES[size], 1e9 * middle / SIZES[size], 1e9 * high / SIZES[size]


def cost_frame(costs: Sequence[Cost]) -> pd.DataFrame:
    """One row for each activation, size and direction.

    low_ns, median_ns, high_ns: quartiles in ns per output. kept_bytes, peak_bytes, step_share: as in Cost.
    """
    lines = [
        (cost.label, size, direction, SIZES[size], *cost.nanoseconds(size, direction), cost.kept, cost.peak, cost.share)
        for cost in costs
        for size in SIZES
        for direction in DIRECTIONS
        if (size, direction) in cost.seconds
    ]
    columns = ["activation", "size", "direction", "outputs", "low_ns", "median_ns", "high_ns", "kept_bytes",
               "peak_bytes", "step_share"]  # fmt: skip
    return pd.DataFrame(lines, columns=columns)


def measure_costs(labels: Sequence[str], runs: Sequence[Run], data: Data, device: torch.device) -> list[Cost]:
    """Costs of a plain copy and of each run's activation, in turn for ROUNDS rounds, on one thread.

    labels: of the runs. Sets the process's thread count and precision.
    """
    torch.set_num_threads(1)
    set_precision("fp32")
    costs = {COPY: Cost(COPY)}
    costs |= {label: Cost(label) for label in labels}
    for size, outputs in SIZES.items():
        passes: dict[str, Passes] = {COPY: _copy(outputs, device)}
        for label, run in zip(labels, runs, strict=True):
            layer = _Layer(bound_activation(run), outputs // UNITS, UNITS, device)
            passes[label] = layer
            if size == list(SIZES)[-1]:
                costs[label].kept, costs[label].peak = layer.kept() / outputs, layer.peak() / outputs
        repeats = {label: _repeats(call) for label, call in passes.items()}
        for _ in range(ROUNDS):
            for label, call in passes.items():
                for direction, seconds in _typical(call, repeats[label]).items():
                    costs[label].seconds.setdefault((size, direction), []).append(seconds)
    for label, run in zip(labels, runs, strict=True):
        costs[label].share = _share(run, data, device)
    return list(costs.values())


def clock(device: torch.device) -> float:
    """Seconds of a clock, read when the device has computed all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _copy(outputs: int, device: torch.device) -> Passes:
    source, target = torch.ones(outputs, device=device), torch.empty(outputs, device=device)

    def call() -> dict[str, float]:
        begun = clock(device)
        target.copy_(source)
        return {"forward": clock(device) - begun}

    return call


class _Layer:
    """Passes of an activation over pre-activations z (1, examples, pieces * units), as in training."""

    def __init__(self, applied: BoundActivation, examples: int, units: int, device: torch.device) -> None:
        self._applied, self._shape, self._device = applied, (1, examples, applied.pieces * units), device
        initial = initial_parameters(applied, units, 0, 0)
        self._learned = {key: value.unsqueeze(0).to(device).requires_grad_() for key, value in initial.items()}
        self._generator, self._noise = stream(0, "cost"), torch.Generator(device)

    def _uniform(self, shape: torch.Size) -> Tensor:
        return torch.rand(shape, generator=self._noise, device=self._device)

    def _z(self) -> Tensor:  # drawn for each pass: those of all activations together would take 10 GB
        return torch.randn(self._shape, generator=self._generator).to(self._device).requires_grad_()

    def __call__(self) -> dict[str, float]:
        z = self._z()
        begun = clock(self._device)
        h = self._applied.forward(z, self._learned, self._uniform)
        middle = clock(self._device)
        torch.autograd.grad(h, [z, *self._learned.values()], h.detach(), allow_unused=True)
        return {"forward": middle - begun, "backward": clock(self._device) - middle}

    def kept(self) -> int:
        """Bytes of the output and of all tensors that are saved for backward, each storage once.

        The input counts where it is saved; learned parameters do not, as they exist in any case.
        """
        storages: dict[int, int] = {}

        def saved(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        z = self._z()
        with torch.autograd.graph.saved_tensors_hooks(saved, lambda tensor: tensor):
            h = self._applied.forward(z, self._learned, self._uniform)
        saved(h)
        for parameter in self._learned.values():
            storages.pop(parameter.untyped_storage().data_ptr(), None)
        return sum(storages.values())

    def peak(self) -> int:
        """Most bytes allocated at once in a forward and backward pass, the input included."""
        if self._device.type == "cuda":
            before = torch.cuda.memory_allocated(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self()
            return torch.cuda.max_memory_allocated(self._device) - before
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            self()
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder, "trace.json")
            profiler.export_chrome_trace(str(trace))
            events = json.loads(trace.read_text())["traceEvents"]
        changes = sorted((event for event in events if event.get("name") == "[memory]"), key=lambda event: event["ts"])
        return max(accumulate(event["args"]["Bytes"] for event in changes))


def _repeats(call: Passes) -> int:
    return max(_MIN_REPEATS, math.ceil(_MIN_SECONDS / sum(call().values())))


def _typical(call: Passes, repeats: int) -> dict[str, float]:
    """Median seconds of several passes, so that other load on the machine does not count."""
    passes = [call() for _ in range(repeats)]
    return {key: statistics.median(seconds[key] for seconds in passes) for key in passes[0]}


class _Step:
    """A training step of a single run, and the activations of all its layers by themselves, at the same sizes."""

    def __init__(self, run: Run, data: Data, device: torch.device) -> None:
        settings = self._settings = run.settings
        self._device, self._number = device, 0
        self._network, self._batches, self._optimizer = set_up(Stack((run,)), data, device)
        architecture, validation = self._network.architecture, self._batches.validation_size
        sizes = list(zip(architecture.units, architecture.positions, strict=True))
        examples, activation = min(settings.training.batch_size, run.data.train - validation), bound_activation(run)
        if architecture.recurrent:  # a call for each time step
            calls = [(_Layer(activation, examples, units, device), positions) for units, positions in sizes]
        else:
            calls = [(_Layer(activation, examples * positions, units, device), 1) for units, positions in sizes]
        self._layers = [layer for layer, times in calls for _ in range(times)]
        self.outputs = examples * sum(units * positions for units, positions in sizes)

    def __call__(self) -> dict[str, float]:
        """Seconds of the `step`, and of its `activations`, forward and backward."""
        begun = clock(self._device)
        gradients = step_gradients(self._network, self._batches, self._number, self._settings.training.label_smoothing)[
            1
        ]
        self._optimizer.step(gradients, 1.0)
        step = clock(self._device) - begun
        self._number += 1
        return {"step": step, "activations": sum(sum(layer().values()) for layer in self._layers)}


def _share(run: Run, data: Data, device: torch.device) -> float:
    """Median time of the activations of all layers, forward and backward, over that of a training step of one run."""
    step = _Step(run, data, device)
    seconds = _typical(step, 4 * ROUNDS)
    return seconds["activations"] / seconds["step"]


def measure_step_costs(
    runs: Sequence[Run], device: str, rounds: Sequence[int] = range(TRAINING_ROUNDS)
) -> list[tuple[str, int, float, float, float]]:
    """Costs of each run's activation in its architecture, in turn for rounds of these numbers.

    Returns (run id, round, ns per output of all layers' activations, forward and backward, ns of a training step,
    share of the activations in the step).
    """
    set_precision("fp32")
    steps = {run.id: _Step(run, load_data(run.data), torch.device(device)) for run in runs}
    repeats = {id: _repeats(step) for id, step in steps.items()}
    costs = []
    for number in rounds:
        for id, step in steps.items():
            seconds = _typical(step, repeats[id])
            share = seconds["activations"] / seconds["step"]
            costs.append((id, number, 1e9 * seconds["activations"] / step.outputs, 1e9 * seconds["step"], share))
    return costs

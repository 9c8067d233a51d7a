"""A stack's network: its stacked parameters, and the forward pass with each activation on its slice of runs."""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from actbench.activations.bound import BoundActivation, Uniform, initial_parameters
from actbench.determinism import autocast, whole_vectors
from actbench.experiment.runs import Run, architecture_of, bound_activation
from actbench.models.initialization import initialize
from actbench.models.parameters import Activate, Architecture
from actbench.training.draws import Draws, SeededRuns
from actbench.training.stacks import Stack


@dataclass(frozen=True)
class Segment:
    """Neighbouring runs of a stack with one activation."""

    start: int
    stop: int
    applied: BoundActivation


class Network:
    """The network of a stack of runs.

    parameters: name -> (owners, ...) leaves. owners: name -> the run behind each entry of the leading axis, because
    learned activation parameters exist for some runs only. weights: names of parameters that weight decay applies to.
    layers: the hidden layer of each parameter, or None. buffers: running statistics of batch norm, (runs, ...).
    metric: of the task.
    """

    def __init__(self, stack: Stack, device: torch.device) -> None:
        self.runs, self.metric = stack.runs, stack.runs[0].data.metric
        self.seeds = [run.settings.seed for run in stack.runs]
        self.architecture: Architecture = architecture_of(stack.runs[0])
        self.segments = _segments(stack.runs)
        self.parameters: dict[str, Tensor] = {}
        self.owners: dict[str, list[int]] = {}
        self.device = device
        self._precision = stack.runs[0].settings.training.precision
        self._dropout = stack.runs[0].settings.training.dropout
        self.draws = Draws(device)
        self._seeded = SeededRuns(self.seeds, device)
        self._seeded_segments = [SeededRuns(self.seeds[s.start : s.stop], device) for s in self.segments]
        self._add_weights()
        self.weights = frozenset(self.parameters)  # learned activation parameters get no weight decay
        self._learned = [  # of each layer and segment
            [self._add_learned(index, layer) for index in range(len(self.segments))]
            for layer in range(len(self.architecture.units))
        ]
        weighted = {layer_of(name) for name in self.architecture.parameters}
        self.layers = [_owner(layer_of(name), weighted) for name in self.parameters]
        self.owner_indices = [torch.tensor(owners, device=device) for owners in self.owners.values()]
        self.buffers = {
            name: torch.full((len(self.runs), *buffer.shape), float(buffer.constant or 0.0), device=device)
            for name, buffer in self.architecture.buffers.items()
        }

    def _add_weights(self) -> None:
        draws = [
            initialize(
                run.settings.initialization.name, self.architecture.parameters, segment.applied, run.settings.seed
            )
            for segment in self.segments
            for run in self.runs[segment.start : segment.stop]
        ]
        for name in self.architecture.parameters:
            self._add(name, [weights[name] for weights in draws], range(len(self.runs)))

    def _add_learned(self, index: int, layer: int) -> dict[str, Tensor]:
        """The learned parameters of one segment's activation at one layer, (runs of the segment, ...)."""
        segment, units = self.segments[index], self.architecture.units[layer]
        owners = range(segment.start, segment.stop)
        initial = [initial_parameters(segment.applied, units, self.seeds[run], layer) for run in owners]
        return {
            key: self._add(f"activation{layer}.{index}.{key}", [values[key] for values in initial], owners)
            for key in initial[0]
        }

    def _add(self, name: str, values: list[Tensor], owners: Sequence[int]) -> Tensor:
        self.parameters[name] = torch.stack(values).to(self.device).requires_grad_()
        self.owners[name] = list(owners)
        return self.parameters[name]

    def counts(self) -> list[int]:
        """Parameters of each run, the learned ones of its activation included."""
        totals = [0] * len(self.runs)
        for name, tensor in self.parameters.items():
            for run in self.owners[name]:
                totals[run] += math.prod(tensor.shape[1:])
        return totals

    def _uniform(self, index: int, layer: int, step: int | None, batch: int) -> Uniform | None:
        """The noise of a segment's random activation in training; each seed has its own stream."""
        if step is None or not self.segments[index].applied.record.random:
            return None
        runs = self._seeded_segments[index]

        def draw(shape: torch.Size) -> Tensor:
            return runs.expand(self.draws(runs.seeds, "activation", layer, step, batch, shape[1:]))

        return draw

    def activate(self, layer: int, z: Tensor, step: int | None = None) -> Tensor:
        """Units of a hidden layer, (runs, batch, *positions, units), each run by its own activation.

        z: pre-activations (runs, batch, *positions, pieces * units). step: of training, in which dropout follows; None
        outside training. A recurrent layer calls it for every time step; all of these have the same noise and lose the
        same units (Gal & Ghahramani 2016, arXiv:1512.05287).
        """
        outputs = [
            segment.applied.forward(part, learned, self._uniform(index, layer, step, z.shape[1]))
            for index, (segment, part, learned) in enumerate(
                zip(self.segments, self._parts(z), self._learned[layer], strict=True)
            )
        ]
        units = _joined(outputs, z.shape[1])
        return units if step is None or not self._dropout else units * self._mask(units, layer, step)

    def _mask(self, units: Tensor, layer: int, step: int) -> Tensor:
        """The factors of dropout in a training step, in the shape of the units: 0, else 1 / (1 - dropout).

        Each seed has a stream of its own, so runs of equal seed and width lose the same units of the same examples.
        """
        runs = self._seeded
        kept = self.draws(runs.seeds, "dropout", layer, step, units.shape[1], units.shape[1:]) >= self._dropout
        return runs.expand(kept.to(units.dtype).div_(1 - self._dropout))

    @torch.no_grad()
    def slopes(self, layer: int, z: Tensor) -> Tensor:
        """abs f' of every piece outside training, (runs, batch, *positions, pieces * units); z has the same shape."""
        slopes = [
            segment.applied.derivative(part, learned)
            for segment, part, learned in zip(self.segments, self._parts(z), self._learned[layer], strict=True)
        ]
        return _joined(slopes, z.shape[1]).abs()

    def _parts(self, z: Tensor) -> Sequence[Tensor]:
        """The pre-activations of each segment, filled up to whole SIMD vectors."""
        padded = whole_vectors(z)
        if len(self.segments) == 1:
            return (padded,)
        # Split, not sliced: the gradient of a slice fills a tensor of zeros as large as the stack.
        return padded.split([segment.stop - segment.start for segment in self.segments])

    def forward(self, x: Tensor, step: int | None = None, activate: Activate | None = None) -> Tensor:
        """Logits (runs, batch, classes) of images x (runs, batch, height, width, channels).

        Of text: logits (runs, batch, context, classes) of characters x, int64 (runs, batch, context). step: of
        training; None outside training. activate: takes the place of the network's own.
        """
        activate = activate or partial(self.activate, step=step)
        with autocast(self._precision, self.device):
            logits = self.architecture.forward(self.parameters, self.buffers, x, activate, step is not None)
        return logits.to(x.dtype if x.is_floating_point() else torch.float32)

    @torch.no_grad()
    def gates(self, x: Tensor) -> list[Tensor]:
        """Values of the gates of each recurrent layer outside training; empty where there are none.

        x: as `forward` takes it.
        """
        if self.architecture.gates is None:
            return []
        with autocast(self._precision, self.device):
            return self.architecture.gates(self.parameters, self.buffers, x, self.activate)


def _joined(parts: list[Tensor], batch: int) -> Tensor:
    """The values of all segments, without the examples that were filled up."""
    values = parts[0] if len(parts) == 1 else torch.cat(parts)
    return values if values.shape[1] == batch else values[:, :batch]


def layer_of(parameter: str) -> int | None:
    """The hidden layer (block of a Transformer) that a parameter belongs to; None before the first and at the end."""
    match = re.match(r"(?:hidden|norm|block|activation)(\d+)", parameter)
    return int(match[1]) if match else None


def _owner(layer: int | None, weighted: Collection[int | None]) -> int | None:
    """The layer that a parameter is counted to: the last with weights up to its own. An LSTM's outputs have none."""
    return layer if layer is None else max(own for own in weighted if own is not None and own <= layer)


def _segments(runs: Sequence[Run]) -> list[Segment]:
    segments: list[Segment] = []
    for index, run in enumerate(runs):
        applied = bound_activation(run)
        if segments and segments[-1].applied is applied:
            segments[-1] = Segment(segments[-1].start, index + 1, applied)
        else:
            segments.append(Segment(index, index + 1, applied))
    return segments

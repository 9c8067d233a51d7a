"""A stack's network: its stacked parameters, and the forward pass with each activation on its slice of runs."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from actbench.activations.bound import BoundActivation, initial_parameters
from actbench.determinism import autocast, stream, whole_vectors
from actbench.experiment.runs import Run, architecture_of, bound_activation
from actbench.models.initialization import initialize
from actbench.models.parameters import Activate, Architecture
from actbench.training.stacks import Stack


@dataclass(frozen=True)
class Segment:
    """Neighbouring runs of a stack with one activation."""

    start: int
    stop: int
    applied: BoundActivation


class Network:
    """parameters: name -> (owners, ...) leaves; owners: name -> the run behind each entry of the leading axis."""

    def __init__(self, stack: Stack, device: torch.device) -> None:
        self.runs = stack.runs
        self.seeds = [run.config.seed for run in stack.runs]
        self.architecture: Architecture = architecture_of(stack.runs[0].config, stack.runs[0].data)
        self.segments = _segments(stack.runs)
        self.parameters: dict[str, Tensor] = {}
        self.owners: dict[str, list[int]] = {}
        self._device = device
        self._precision = stack.runs[0].config.training.precision
        self._add_weights()
        self.weights = frozenset(self.parameters)  # what weight decay applies to; learned activation parameters not
        self._learned = [
            [self._add_learned(index, layer) for index in range(len(self.segments))]
            for layer in range(len(self.architecture.units))
        ]
        self.layers = [layer_of(name) for name in self.parameters]
        self.owner_indices = [torch.tensor(owner, device=device) for owner in self.owners.values()]
        self.buffers = {
            name: torch.full((len(self.runs), *buffer.shape), float(buffer.constant or 0.0), device=device)
            for name, buffer in self.architecture.buffers.items()
        }

    def _add_weights(self) -> None:
        each = []
        for segment in self.segments:
            for run in self.runs[segment.start : segment.stop]:
                initialization = run.config.initialization.name
                each.append(initialize(initialization, self.architecture.parameters, segment.applied, run.config.seed))
        for name in self.architecture.parameters:
            self._add(name, [draws[name] for draws in each], range(len(self.runs)))

    def _add_learned(self, index: int, layer: int) -> dict[str, str]:
        """The learned parameters of one segment's activation at one layer: key -> name."""
        segment, names = self.segments[index], {}
        owners = range(segment.start, segment.stop)
        units = self.architecture.units[layer]
        each = [initial_parameters(segment.applied, units, self.seeds[run], layer) for run in owners]
        for key in each[0]:
            names[key] = f"activation{layer}.{index}.{key}"
            self._add(names[key], [own[key] for own in each], owners)
        return names

    def _add(self, name: str, values: list[Tensor], owners: Sequence[int]) -> None:
        self.parameters[name] = torch.stack(values).to(self._device).requires_grad_()
        self.owners[name] = list(owners)

    def counts(self) -> list[int]:
        """Parameters of each run, the learned ones of its activation included."""
        totals = [0] * len(self.runs)
        for name, tensor in self.parameters.items():
            for run in self.owners[name]:
                totals[run] += math.prod(tensor.shape[1:])
        return totals

    def arguments(self, layer: int, index: int, step: int | None) -> dict[str, Any]:
        """Settings and learned parameters of a segment's activation, and its noise in training (`step` given)."""
        segment = self.segments[index]
        learned = {key: self.parameters[name] for key, name in self._learned[layer][index].items()}
        return {**segment.applied.settings, **learned, "uniform": self._uniform(segment, layer, step)}

    def _uniform(self, segment: Segment, layer: int, step: int | None) -> Callable[[torch.Size], Tensor] | None:
        if step is None or not segment.applied.record.random:
            return None
        seeds = self.seeds[segment.start : segment.stop]

        def draw(shape: torch.Size) -> Tensor:
            draws = [torch.rand(shape[1:], generator=stream(seed, "activation", layer, step)) for seed in seeds]
            return torch.stack(draws).to(self._device)

        return draw

    def activation(self, step: int | None) -> Activate:
        """(layer, z) -> units, each segment by its own function. step: of training; None to evaluate."""

        def activate(layer: int, z: Tensor) -> Tensor:
            return self._by_segment(z, lambda own: own.function, layer, step)

        return activate

    def slopes(self, layer: int, z: Tensor) -> Tensor:
        """abs f' of every piece, (runs, batch, *positions, pieces * units), in evaluation form."""
        with torch.no_grad():
            return self._by_segment(z, lambda own: own.derivative, layer, None).abs()

    def _by_segment(
        self, z: Tensor, choose: Callable[[BoundActivation], Callable[..., Tensor]], layer: int, step: int | None
    ) -> Tensor:
        batch, whole = z.shape[1], whole_vectors(z)
        if len(self.segments) == 1:
            h = choose(self.segments[0].applied)(whole, self.arguments(layer, 0, step))
        else:  # split, as the gradient of a slice fills a tensor of zeros as large as the whole stack
            slices = whole.split([segment.stop - segment.start for segment in self.segments])
            h = torch.cat(
                [
                    choose(segment.applied)(own, self.arguments(layer, index, step))
                    for index, (segment, own) in enumerate(zip(self.segments, slices, strict=True))
                ]
            )
        return h if whole is z else h[:, :batch]

    def forward(self, x: Tensor, activate: Activate, training: bool) -> Tensor:
        """(runs, batch, height, width, channels) -> logits (runs, batch, classes)."""
        with autocast(self._precision, self._device):
            return self.architecture.forward(self.parameters, self.buffers, x, activate, training).to(x.dtype)


def layer_of(parameter: str) -> int | None:
    """The hidden layer (block of a Transformer) that a parameter belongs to; None before the first and at the end."""
    found = re.match(r"(?:hidden|norm|block|activation)(\d+)", parameter)
    return int(found[1]) if found else None


def _segments(runs: Sequence[Run]) -> list[Segment]:
    segments: list[Segment] = []
    for index, run in enumerate(runs):
        applied = bound_activation(run.config)
        if segments and segments[-1].applied is applied:
            segments[-1] = Segment(segments[-1].start, index + 1, applied)
        else:
            segments.append(Segment(index, index + 1, applied))
    return segments

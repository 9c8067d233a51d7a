"""An activation bound to its settings, learned parameters and derivative, to be applied to stacked tensors."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from actbench.activations.functions import P
from actbench.activations.table import Activation
from actbench.determinism import stream

Function = Callable[[Tensor, P], Tensor]
Uniform = Callable[[torch.Size], Tensor]  # shape -> draws from U(0, 1)


@dataclass(frozen=True, eq=False)  # one object for each activation and settings, so that its gain is computed once
class BoundActivation:
    """An activation with its settings.

    function: (z, p) -> h, as in functions.py. slope: (z, p) -> each unit's derivative with respect to its own pieces;
    p holds settings, learned parameters and `uniform`. initial: learned parameters that a user's module brings,
    without the run axis. digest: of a user's source code, else empty.
    """

    record: Activation
    settings: Mapping[str, Any]
    function: Function
    slope: Function
    initial: Mapping[str, Tensor]
    digest: str = ""

    @property
    def pieces(self) -> int:
        """Pre-activation features that make one unit."""
        return int(self.settings.get("pieces", self.record.pieces))

    def forward(self, z: Tensor, learned: Mapping[str, Tensor], uniform: Uniform | None = None) -> Tensor:
        """Units (runs, batch, *positions, units) of pre-activations z (runs, batch, *positions, pieces * units).

        learned: parameters by name, (runs, ...). uniform: noise in training; used if `record.random`.
        """
        return self.function(z, {**self.settings, **learned, "uniform": uniform})

    def derivative(self, z: Tensor, learned: Mapping[str, Tensor]) -> Tensor:
        """Each unit's derivative with respect to its own pieces, in the shape of z, outside training."""
        return self.slope(z, {**self.settings, **learned, "uniform": None})


def autograd_derivative(call: Function) -> Function:
    """The derivative of a function in which each unit depends on its own pieces only."""

    def derivative(z: Tensor, p: P) -> Tensor:
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            return torch.autograd.grad(call(leaf, p).sum(), leaf)[0]

    return derivative


def diagonal_derivative(call: Function) -> Function:
    """d h_u / d z_u for functions that couple the units of a layer: one backward pass for each unit."""

    def derivative(z: Tensor, p: P) -> Tensor:
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            h = call(leaf, p)
            gradients = [
                torch.autograd.grad(h[..., unit].sum(), leaf, retain_graph=True)[0][..., unit]
                for unit in range(z.shape[-1])
            ]
            return torch.stack(gradients, -1)

    return derivative


def constant_parameters(applied: BoundActivation, units: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Initial learned parameters of one run, (1, ...), with 0 in place of those that are drawn."""
    parameters = {key: value.to(dtype).unsqueeze(0) for key, value in applied.initial.items()}
    for key, learned in applied.record.learned.items():
        if key not in parameters:
            parameters[key] = torch.full((1, *learned.shape(units)), learned.initial or 0.0, dtype=dtype)
    return parameters


def initial_parameters(applied: BoundActivation, units: int, seed: int, layer: int) -> dict[str, Tensor]:
    """Initial learned parameters of one layer's activation for one run, without the run axis."""
    parameters = {key: value.clone() for key, value in applied.initial.items()}
    for key, learned in applied.record.learned.items():
        if key in parameters:
            continue
        shape = learned.shape(units)
        if learned.initial is not None:
            parameters[key] = torch.full(shape, learned.initial)
        else:
            draws = torch.randn(shape, generator=stream(seed, "activation", layer, key))
            parameters[key] = draws / math.sqrt(shape[0])
    return parameters

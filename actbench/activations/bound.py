"""An activation bound to its settings, learned parameters and derivative, to be applied to stacked tensors."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from actbench.activations.table import Activation
from actbench.determinism import stream

P = Mapping[str, Any]


@dataclass(frozen=True, eq=False)  # one object an activation and setting, so that its gain is computed once
class BoundActivation:
    """An activation with its settings.

    function: (z, p) -> h, as in functions.py. derivative: (z, p) -> a unit's own derivative with respect to each of
    its pieces, (runs, batch, *positions, pieces * units). digest: of a user's source code, else empty.
    """

    record: Activation
    settings: Mapping[str, Any]
    function: Callable[[Tensor, P], Tensor]
    derivative: Callable[[Tensor, P], Tensor]
    initial: Mapping[str, Tensor]  # learned parameters that a user's module brings, without the run axis
    digest: str = ""

    @property
    def pieces(self) -> int:
        return int(self.settings.get("pieces", self.record.pieces))


def autograd_derivative(call: Callable[[Tensor, P], Tensor]) -> Callable[[Tensor, P], Tensor]:
    def derivative(z: Tensor, p: P) -> Tensor:
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            return torch.autograd.grad(call(leaf, p).sum(), leaf)[0]

    return derivative


def diagonal_derivative(call: Callable[[Tensor, P], Tensor]) -> Callable[[Tensor, P], Tensor]:
    """d h_u / d z_u for functions that couple the units of a layer: one backward pass a unit."""

    def derivative(z: Tensor, p: P) -> Tensor:
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            h = call(leaf, p)
            return torch.stack(
                [
                    torch.autograd.grad(h[..., unit].sum(), leaf, retain_graph=True)[0][..., unit]
                    for unit in range(z.shape[-1])
                ],
                -1,
            )

    return derivative


def constant_parameters(applied: BoundActivation, units: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Initial learned parameters for one run, (1, ...), where they need no draws."""
    out = {key: value.to(dtype).unsqueeze(0) for key, value in applied.initial.items()}
    for key, learned in applied.record.learned.items():
        if key not in out:
            initial = 0.0 if learned.initial is None else learned.initial
            out[key] = torch.full((1, *learned.shape(units)), initial, dtype=dtype)
    return out


def initial_parameters(applied: BoundActivation, units: int, seed: int, layer: int) -> dict[str, Tensor]:
    """Initial learned parameters of one layer's activation for one run, without the run axis."""
    out = {key: value.clone() for key, value in applied.initial.items()}
    for key, learned in applied.record.learned.items():
        if key in out:
            continue
        shape = learned.shape(units)
        if learned.initial is not None:
            out[key] = torch.full(shape, learned.initial)
        else:
            out[key] = torch.randn(shape, generator=stream(seed, "activation", layer, key)) / math.sqrt(shape[0])
    return out

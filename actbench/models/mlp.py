"""The multilayer perceptron."""

import math

from torch import Tensor

from actbench.models.parameters import (
    Activate,
    Architecture,
    Parameter,
    Shape,
    Tensors,
    apply_linear,
    apply_norm,
    linear_parameters,
    norm_parameters,
)


def mlp(depth: int, width: int, norm: str, shape: Shape, units: tuple[int, ...] | None = None) -> Architecture:
    """depth hidden layers of width units, then a linear map to the classes."""
    units = units or (width,) * depth
    parameters: dict[str, Parameter] = {}
    buffers: dict[str, Parameter] = {}
    fan_in, activated = math.prod(shape.image), 0
    for layer, count in enumerate(units):
        parameters |= linear_parameters(fan_in, count * shape.pieces, f"hidden{layer}", activated)
        more, running = norm_parameters(norm, count * shape.pieces, f"norm{layer}")
        parameters |= more
        buffers |= running
        fan_in = activated = count
    parameters |= linear_parameters(fan_in, shape.classes, "output", activated)

    def forward(p: Tensors, b: Tensors, x: Tensor, activate: Activate, training: bool) -> Tensor:
        h = x.flatten(2)
        for layer in range(len(units)):
            z = apply_linear(p, f"hidden{layer}", h)
            h = activate(layer, apply_norm(norm, p, b, f"norm{layer}", z, training))
        return apply_linear(p, "output", h)

    return Architecture(parameters, buffers, units, (1,) * len(units), forward)

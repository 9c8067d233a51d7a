"""An activation and its derivative as curves over one pre-activation."""

import numpy as np
import numpy.typing as npt
import torch

from actbench.activations.bound import constant_parameters
from actbench.activations.load import load_activation

Curve = npt.NDArray[np.float64]  # (points,)


def activation_curve(name: str, function: str | None, settings: dict[str, float]) -> tuple[Curve, Curve, Curve]:
    """z from -5 to 5, f(z) and f'(z); for a gated unit over its gate, with 1 as its other piece.

    name, function, settings: as for `load_activation`, whose errors it raises.
    """
    applied = load_activation(name, function, **settings)
    z = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    grid = z.view(1, -1, 1)
    if applied.record.kind == "gated":
        grid = torch.cat([torch.ones_like(grid), grid], -1)
    learned = constant_parameters(applied, 1, torch.float64)
    values = applied.forward(grid, learned).detach().flatten()
    slopes = applied.derivative(grid, learned)[..., -1].flatten()
    return z.numpy(), values.numpy(), slopes.numpy()

"""Gradient norms and their spread over depth."""

from collections.abc import Sequence

import torch
from torch import Tensor


def gradient_norm(gradients: Sequence[Tensor], owners: Sequence[Tensor], runs: int) -> Tensor:
    """L2 norm over all parameters, (runs,). gradients: (owners, ...) each; owners: the run behind each entry.

    Squares are summed a run at a time, in float64: no overflow at 1e20, the same rounding in any stack.
    """
    total = torch.zeros(runs, dtype=torch.float64, device=gradients[0].device)
    for gradient, owner in zip(gradients, owners, strict=True):
        total.index_add_(0, owner, sum_of_squares(gradient))
    return total.sqrt()


def sum_of_squares(values: Tensor) -> Tensor:
    """(runs, ...) -> float64 (runs,), without a copy in float64."""
    return torch.stack([torch.linalg.vector_norm(run, dtype=torch.float64) for run in values.unbind(0)]).square()


def gradient_ratio(first: Tensor, last: Tensor) -> Tensor:
    """log10 of the mean squared gradient at the first layer's pre-activations over the last hidden layer's, (runs,).

    first, last: mean squares, (runs,). Where both vanish the ratio is NaN.
    """
    return torch.log10(first / last)

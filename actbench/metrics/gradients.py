"""Gradient norms and their spread over depth."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_PIECE = 2**16  # values


def gradient_norms(
    gradients: Sequence[Tensor], owners: Sequence[Tensor], layers: Sequence[int | None], runs: int
) -> tuple[Tensor, dict[int, Tensor]]:
    """L2 norm over all parameters, and over those of each layer, (runs,) each.

    gradients: (owners, ...) each; owners: the run behind each entry; layers: the hidden layer it belongs to, or None.
    Squares are summed a run at a time, in float64: no overflow at 1e20, the same rounding in any stack.
    """
    total = torch.zeros(runs, dtype=torch.float64, device=gradients[0].device)
    by_layer = {layer: torch.zeros_like(total) for layer in sorted({layer for layer in layers if layer is not None})}
    for gradient, owner, layer in zip(gradients, owners, layers, strict=True):
        squares = sum_of_squares(gradient)
        total.index_add_(0, owner, squares)
        if layer is not None:
            by_layer[layer].index_add_(0, owner, squares)
    return total.sqrt(), {layer: squares.sqrt() for layer, squares in by_layer.items()}


def sum_of_squares(values: Tensor) -> Tensor:
    """Sum of squares of each run's values, (runs, ...) -> float64 (runs,)."""
    if values.device.type != "cpu":
        return squares_at_once(values)
    return _by_pieces(values, lambda piece: torch.linalg.vector_norm(piece, dtype=torch.float64).square())


def squares_at_once(values: Tensor) -> Tensor:
    """As `sum_of_squares`, by one kernel for all runs."""
    return torch.linalg.vector_norm(values.reshape(len(values), -1), dim=1, dtype=torch.float64).square()


def exact_sum(values: Tensor) -> Tensor:
    """Sum of each run's values, (runs, ...) -> float64 (runs,)."""
    if values.device.type != "cpu":
        return values.reshape(len(values), -1).sum(1, dtype=torch.float64)
    return _by_pieces(values, lambda piece: piece.sum(dtype=torch.float64))


def _by_pieces(values: Tensor, add_up: Callable[[Tensor], Tensor]) -> Tensor:
    """Adds up one run at a time and in pieces, so that a piece's copy in float64 stays in a CPU's cache."""
    return torch.stack([
        torch.stack([add_up(piece) for piece in run.reshape(-1).split(_PIECE)]).sum() for run in values.unbind(0)
    ])  # fmt: skip


def gradient_ratio(rms: Sequence[Tensor]) -> Tensor:
    """log10 of the mean squared gradient at the first layer's pre-activations over the last hidden layer's, (runs,).

    rms: root mean square of each layer, (runs,). Where both ends vanish the ratio is NaN.
    """
    return 2 * torch.log10(rms[0] / rms[-1])

"""Dead, silent and dormant units, sparsity and zero-centredness, observed on a probe set in chunks.

A unit's slope is abs f'(z) by autograd at the actual parameters; several pieces make one unit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from actbench.metrics.gradients import exact_sum, sum_of_squares
from actbench.metrics.histograms import counts
from actbench.metrics.names import DEAD_SLOPE

DORMANT_SCORE = 0.025  # Sokar et al. 2023, arXiv:2302.12902

NEAR_ZERO = 1e-3  # of the mean |h| of the layer on the same example

BY_OUTPUTS = ("zero_share", "near_zero_share", "unit_mean", "unit_std")
PIECES = "dead_piece_fraction"  # of units that have several


@dataclass(frozen=True)
class _Totals:
    """Sums over one or several chunks. Counts and sums by unit are float32 within a chunk, all else is float64."""

    largest_slope: Tensor  # (runs, pieces * units)
    nonzero: Tensor  # (runs, units), outputs that are not 0
    far_from_zero: Tensor  # (runs, units), outputs above NEAR_ZERO of their layer's mean on the same example
    total_abs: Tensor  # (runs, units), of outputs
    total_by_unit: Tensor  # (runs, units), of outputs
    total: Tensor  # (runs,)
    squares: Tensor  # (runs,)
    examples: int  # outputs of a unit

    def __add__(self, other: "_Totals") -> "_Totals":
        return _Totals(
            torch.maximum(self.largest_slope, other.largest_slope), self.nonzero + other.nonzero,
            self.far_from_zero + other.far_from_zero, self.total_abs + other.total_abs,
            self.total_by_unit + other.total_by_unit, self.total + other.total, self.squares + other.squares,
            self.examples + other.examples,
        )  # fmt: skip


class LayerObservation:
    """Running totals over chunks of the probe set for one hidden layer of a stack.

    pieces: of a unit. histogram: counts of outputs (runs, bins) in the bins of histograms.py, or None.
    """

    def __init__(self, pieces: int, with_histogram: bool = False) -> None:
        self.pieces = pieces
        self._totals: _Totals | None = None
        self.histogram: Tensor | None = None
        self._with_histogram = with_histogram

    def add(self, slope: Tensor, h: Tensor) -> None:
        """Adds a chunk: abs f' (runs, batch, *positions, pieces * units), units (runs, batch, *positions, units)."""
        slope, h = slope.flatten(1, -2), h.flatten(1, -2)
        # Counted by sign: exact to 2^24, and ten times as fast as a sum of booleans.
        size = h.abs()
        far = (size - NEAR_ZERO * size.mean(-1, keepdim=True)).sign().clamp_(min=0)
        nonzero, far_from_zero, total_abs, total_by_unit = (
            of.sum(1, dtype=torch.float32).double() for of in (h.sign().abs_(), far, size, h)
        )
        chunk = _Totals(
            slope.amax(1), nonzero, far_from_zero, total_abs, total_by_unit, exact_sum(h), sum_of_squares(h), h.shape[1]
        )
        self._totals = chunk if self._totals is None else self._totals + chunk
        if self._with_histogram:
            histogram = counts(h)
            self.histogram = histogram if self.histogram is None else self.histogram + histogram

    @property
    def totals(self) -> _Totals:
        """Sums over all chunks. Raises ValueError before the first chunk."""
        if self._totals is None:
            raise ValueError("nothing was observed")
        return self._totals

    @property
    def units(self) -> int:
        """Units of the layer."""
        return self.totals.nonzero.shape[1]

    @property
    def outputs(self) -> int:
        """Outputs of all units over all examples and positions."""
        return self.units * self.totals.examples


def layer_metrics(layer: LayerObservation) -> dict[str, Tensor]:
    """One layer's shares of units, mean and standard deviation of its outputs, (runs,) each.

    NaN for a run whose outputs or slopes are not finite (`invalid`).
    """
    totals = layer.totals
    pieces = totals.largest_slope.unflatten(1, (layer.pieces, -1))
    share = totals.total_abs / totals.total_abs.mean(1, keepdim=True)
    mean = totals.total / layer.outputs
    metrics = {
        "dead_fraction": (pieces.amax(1) < DEAD_SLOPE).double().mean(1),  # a unit is dead when all its pieces are
        "silent_fraction": (totals.nonzero == 0).double().mean(1),
        "dormant_fraction": (~(share > DORMANT_SCORE)).double().mean(1),  # 0/0, where all units are silent, is dormant
        "zero_share": 1 - totals.nonzero.sum(1) / layer.outputs,
        "near_zero_share": 1 - totals.far_from_zero.sum(1) / layer.outputs,
        "abs_unit_mean": (totals.total_by_unit / totals.examples).abs().mean(1),
        "unit_mean": mean,
        "unit_std": (totals.squares / layer.outputs - mean.square()).clamp(min=0).sqrt(),
    }
    if layer.pieces > 1:
        metrics[PIECES] = (pieces < DEAD_SLOPE).double().mean((1, 2))
    invalid = ~(totals.total_abs.isfinite().all(1) & totals.largest_slope.isfinite().all(1))
    return {name: values.masked_fill(invalid, torch.nan) for name, values in metrics.items()}


def network_metrics(layers: list[dict[str, Tensor]], units: list[int], outputs: list[int]) -> dict[str, Tensor]:
    """Shares of all units, mean and standard deviation of all outputs, and the number of dead layers, (runs,) each.

    layers: as layer_metrics returns them. units, outputs: of each layer.
    """
    stacked = {name: torch.stack([metrics[name] for metrics in layers]) for name in layers[0]}  # (layers, runs)
    dead, mean = stacked["dead_fraction"], stacked["unit_mean"]
    stacked["unit_std"] = stacked["unit_std"].square() + mean.square()  # the second moment, which adds up
    network = {}
    for name, values in stacked.items():
        weight = torch.tensor(outputs if name in BY_OUTPUTS else units, dtype=torch.float64, device=values.device)
        network[name] = (values * (weight / weight.sum()).unsqueeze(1)).sum(0)
    network["unit_std"] = (network["unit_std"] - network["unit_mean"].square()).clamp(min=0).sqrt()
    network["dead_layers"] = (dead == 1).double().sum(0).masked_fill(dead.isnan().any(0), torch.nan)
    return network

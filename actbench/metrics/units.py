"""Dead, silent and dormant units, and sparsity, observed on a probe set in chunks.

A unit's slope is abs f'(z) by autograd at the actual parameters; several pieces make one unit.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

DEAD_SLOPE = 1e-3  # below the smallest slope in the table, leaky_relu's 0.01
DORMANT_SCORE = 0.025  # Sokar et al. 2023, arXiv:2302.12902


@dataclass
class LayerObservation:
    """Running totals over chunks of the probe set for one hidden layer of a stack."""

    pieces: int
    largest_slope: Tensor | None = None  # (runs, pieces * units)
    nonzero: Tensor | None = None  # (runs, units), float64: outputs that are not 0
    total_abs: Tensor | None = None  # (runs, units), float64
    examples: int = 0  # outputs of a unit

    def add(self, slope: Tensor, h: Tensor) -> None:
        """slope: abs f', (runs, batch, *positions, pieces * units). h: units, (runs, batch, *positions, units)."""
        slope, h = slope.flatten(1, -2), h.flatten(1, -2)
        largest, total = slope.amax(1), h.abs().sum(1, dtype=torch.float64)
        nonzero = (
            h.sign().abs_().sum(1, dtype=torch.float32).double()
        )  # exact to 2^24; ten times as fast as of booleans
        self.examples += h.shape[1]
        if self.largest_slope is None or self.nonzero is None or self.total_abs is None:
            self.largest_slope, self.nonzero, self.total_abs = largest, nonzero, total
        else:
            self.largest_slope = torch.maximum(self.largest_slope, largest)
            self.nonzero = self.nonzero + nonzero
            self.total_abs = self.total_abs + total


def layer_metrics(layer: LayerObservation) -> dict[str, Tensor]:
    """Per-layer shares of units, (runs,) each; NaN for a run whose outputs or slopes are not finite (`invalid`)."""
    if layer.largest_slope is None or layer.nonzero is None or layer.total_abs is None:
        raise ValueError("nothing was observed")
    slope = layer.largest_slope.unflatten(1, (layer.pieces, -1)).amax(1)  # a unit lives while one of its pieces does
    share = layer.total_abs / layer.total_abs.mean(1, keepdim=True)
    dormant = ~(share > DORMANT_SCORE)  # 0/0, a layer that is silent throughout, is dormant
    invalid = ~(layer.total_abs.isfinite().all(1) & layer.largest_slope.isfinite().all(1))
    shares = {
        "dead_fraction": (slope < DEAD_SLOPE).double().mean(1),
        "silent_fraction": (layer.nonzero == 0).double().mean(1),
        "dormant_fraction": dormant.double().mean(1),
        "zero_share": 1 - layer.nonzero.sum(1) / (layer.examples * layer.nonzero.shape[1]),
    }
    return {name: values.masked_fill(invalid, torch.nan) for name, values in shares.items()}


def network_metrics(layers: list[LayerObservation]) -> dict[str, Tensor]:
    """All layers together, (runs,) each: shares of all units (of all outputs for zero_share), and dead layers."""
    each = [layer_metrics(layer) for layer in layers]
    units = torch.tensor([layer.nonzero.shape[1] for layer in layers if layer.nonzero is not None], dtype=torch.float64)
    outputs = units * torch.tensor([layer.examples for layer in layers], dtype=torch.float64)
    metrics = {}
    for name in ("dead_fraction", "silent_fraction", "dormant_fraction", "zero_share"):
        values = torch.stack([metric[name] for metric in each])  # (layers, runs)
        weight = (outputs if name == "zero_share" else units).to(values.device)
        metrics[name] = (values * (weight / weight.sum()).unsqueeze(1)).sum(0)
    dead = torch.stack([metric["dead_fraction"] for metric in each])
    metrics["dead_layers"] = (dead == 1).double().sum(0).masked_fill(dead.isnan().any(0), torch.nan)
    return metrics

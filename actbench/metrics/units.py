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
    active: Tensor | None = None  # (runs, units): output not 0 at least once
    total_abs: Tensor | None = None  # (runs, units), float64
    zeros: Tensor | None = None  # (runs,)
    outputs: int = 0  # a run

    def add(self, slope: Tensor, h: Tensor) -> None:
        """slope: abs f', (runs, batch, *positions, pieces * units). h: units, (runs, batch, *positions, units)."""
        slope, h = slope.flatten(1, -2), h.flatten(1, -2)
        largest, active = slope.amax(1), (h != 0).any(1)
        total, zeros = h.abs().sum(1, dtype=torch.float64), (h == 0).sum((1, 2))
        self.outputs += h.shape[1] * h.shape[2]
        if self.largest_slope is None or self.active is None or self.total_abs is None or self.zeros is None:
            self.largest_slope, self.active, self.total_abs, self.zeros = largest, active, total, zeros
        else:
            self.largest_slope = torch.maximum(self.largest_slope, largest)
            self.active = self.active | active
            self.total_abs = self.total_abs + total
            self.zeros = self.zeros + zeros


def layer_metrics(layer: LayerObservation) -> dict[str, Tensor]:
    """Per-layer shares of units, (runs,) each; NaN for a run whose outputs or slopes are not finite (`invalid`)."""
    if layer.largest_slope is None or layer.active is None or layer.total_abs is None or layer.zeros is None:
        raise ValueError("nothing was observed")
    slope = layer.largest_slope.unflatten(1, (layer.pieces, -1)).amax(1)  # a unit lives while one of its pieces does
    share = layer.total_abs / layer.total_abs.mean(1, keepdim=True)
    dormant = ~(share > DORMANT_SCORE)  # 0/0, a layer that is silent throughout, is dormant
    invalid = ~(layer.total_abs.isfinite().all(1) & layer.largest_slope.isfinite().all(1))
    shares = {
        "dead_fraction": (slope < DEAD_SLOPE).double().mean(1),
        "silent_fraction": (~layer.active).double().mean(1),
        "dormant_fraction": dormant.double().mean(1),
        "zero_share": layer.zeros.double() / layer.outputs,
    }
    return {name: values.masked_fill(invalid, torch.nan) for name, values in shares.items()}


def network_metrics(layers: list[LayerObservation]) -> dict[str, Tensor]:
    """All layers together, (runs,) each: shares of all units (of all outputs for zero_share), and dead layers."""
    each = [layer_metrics(layer) for layer in layers]
    units = torch.tensor([layer.active.shape[1] for layer in layers if layer.active is not None], dtype=torch.float64)
    outputs = torch.tensor([layer.outputs for layer in layers], dtype=torch.float64)
    metrics = {}
    for name in ("dead_fraction", "silent_fraction", "dormant_fraction", "zero_share"):
        values = torch.stack([metric[name] for metric in each])  # (layers, runs)
        weight = (outputs if name == "zero_share" else units).to(values.device)
        metrics[name] = (values * (weight / weight.sum()).unsqueeze(1)).sum(0)
    dead = torch.stack([metric["dead_fraction"] for metric in each])
    metrics["dead_layers"] = (dead == 1).double().sum(0).masked_fill(dead.isnan().any(0), torch.nan)
    return metrics

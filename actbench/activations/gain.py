"""The gain of an activation: E[f(z)^2]^(-1/2), z ~ N(0, 1)."""

import math
from functools import cache

import torch

from actbench.activations.bound import BoundActivation, constant_parameters
from actbench.determinism import stream


@cache
def gain(applied: BoundActivation, units: int) -> float:
    """E[f(z)^2]^(-1/2), z ~ N(0, 1) for every piece; it depends on `units` only for functions that couple a layer."""
    record = applied.record
    if record.gain is not None:
        return record.gain
    second_moment = _by_monte_carlo(applied, units) if record.kind == "layer" else _by_quadrature(applied)
    return second_moment**-0.5


def _by_quadrature(applied: BoundActivation) -> float:
    # A fine trapezoid rule: exact to rounding for smooth functions, O(h^2) at kinks, where Gauss-Hermite is far worse,
    # and O(h) at jumps: an error of 1e-4 at most.
    z = torch.linspace(-14, 14, 2**17 + 1, dtype=torch.float64)
    weight = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    grid = z.view(1, -1, 1)
    if applied.record.kind == "maxout":  # density of the largest of k: k phi(z) Phi(z)^(k - 1)
        k = applied.pieces
        return float((z.square() * k * torch.special.ndtr(z) ** (k - 1) * weight).sum())
    if applied.record.kind == "gated":  # E[(z1 g(z2))^2] = E[z1^2] E[g(z2)^2] = E[(1 g(z2))^2]
        grid = torch.cat([torch.ones_like(grid), grid], -1)
    with torch.no_grad():
        h = applied.forward(grid, constant_parameters(applied, 1, torch.float64))
        return float((h.flatten().square() * weight).sum())


def _by_monte_carlo(applied: BoundActivation, units: int) -> float:
    rows = max(64, 2**20 // units)  # about 2^20 values: 0.1 % standard error
    z = torch.randn(1, rows, units * applied.pieces, generator=stream(0, "gain"))
    learned = constant_parameters(applied, units, torch.float32)
    with torch.no_grad():
        return float(applied.forward(z, learned).double().square().mean())

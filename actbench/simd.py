"""Rounding that does not depend on a run's neighbours: whole SIMD vectors, and products that are always batched."""

import math

import torch
from torch import Tensor

VECTOR = 64  # values; a multiple of every SIMD vector that torch unrolls over (4 x 16 floats of AVX-512)


def whole_vectors(z: Tensor) -> Tensor:
    """z with its last example repeated until each run's values fill whole SIMD vectors.

    torch computes the values left over at a tensor's end by scalar code, which rounds softplus, sigmoid and others
    differently: without this, a run would depend on where in the stack it stands.
    """
    if z.device.type != "cpu":
        return z
    rows = VECTOR // math.gcd(VECTOR, z[0, 0].numel())
    missing = -z.shape[1] % rows
    return torch.cat([z, z[:, -1:].expand(-1, missing, *z.shape[2:])], 1) if missing else z


def linear(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """bias (runs, out) + x (runs, batch, in) @ weight (runs, in, out), (runs, batch, out).

    A single product with a dimension of 1 goes another way through MKL than one of a batch, and rounds differently,
    here or in its gradient: then the run is computed twice.
    """
    if len(x) == 1 and 1 in (x.shape[1], *weight.shape[1:]):
        bias, x, weight = (values.expand(2, *values.shape[1:]) for values in (bias, x, weight))
        return torch.baddbmm(bias.unsqueeze(1), x, weight)[:1]
    return torch.baddbmm(bias.unsqueeze(1), x, weight)

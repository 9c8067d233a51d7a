"""Gains and fan-in to weights. Every activation starts from the same draws, scaled.

| initialization | weight entries | biases |
|---|---|---|
| matched    | gain(f) / sqrt(fan_in) N(0, 1), gain 1 where the input is no activation's output | 0 |
| he         | sqrt(2 / fan_in) N(0, 1), He et al. 2015 | 0 |
| glorot     | sqrt(2 / (fan_in + fan_out)) N(0, 1), Glorot & Bengio 2010 | 0 |
| orthogonal | matched, with orthogonal columns of the same norm, Saxe et al. 2014 | 0 |
| torch      | U(-1, 1) / sqrt(fan_in), what torch.nn.Linear and Conv2d do | the same |
"""

import hashlib
import math
from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from actbench.architectures import Parameter
from actbench.callables import Applied

NAMES = ("matched", "he", "glorot", "torch", "orthogonal")


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """A generator of its own for each purpose, so that no draw moves another."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))  # mt19937 takes 32 bits


@cache
def gain(applied: Applied, units: int) -> float:
    """E[f(z)^2]^(-1/2), z ~ N(0, 1) for every piece; `units` matters to functions of the whole layer only."""
    record = applied.record
    if record.gain is not None:
        return record.gain
    second_moment = _by_monte_carlo(applied, units) if record.kind == "layer" else _by_quadrature(applied)
    return second_moment**-0.5


def _by_quadrature(applied: Applied) -> float:
    # A fine trapezoid rule: exact to rounding for smooth functions, O(h^2) at kinks, where Gauss-Hermite is far worse.
    z = torch.linspace(-14, 14, 2**17 + 1, dtype=torch.float64)
    weight = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    p = {**constants(applied, 1, torch.float64), **applied.settings, "uniform": None}
    grid = z.view(1, -1, 1)
    if applied.record.kind == "maxout":  # density of the largest of k: k phi(z) Phi(z)^(k - 1)
        k = applied.pieces
        return float((z.square() * k * torch.special.ndtr(z) ** (k - 1) * weight).sum())
    if applied.record.kind == "gated":  # E[(z1 g(z2))^2] = E[z1^2] E[g(z2)^2] = E[(1 g(z2))^2]
        grid = torch.cat([torch.ones_like(grid), grid], -1)
    with torch.no_grad():
        return float((applied.function(grid, p).flatten().square() * weight).sum())


def _by_monte_carlo(applied: Applied, units: int) -> float:
    rows = max(64, 2**20 // units)  # about 2^20 values: 0.1 % standard error
    z = torch.randn(1, rows, units * applied.pieces, generator=stream(0, "gain"))
    p = {**constants(applied, units, torch.float32), **applied.settings, "uniform": None}
    with torch.no_grad():
        return float(applied.function(z, p).double().square().mean())


def constants(applied: Applied, units: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Initial learned parameters for one run, (1, ...), where they need no draws."""
    out = {key: value.to(dtype).unsqueeze(0) for key, value in applied.initial.items()}
    for key, learned in applied.record.learned.items():
        if key not in out:
            initial = 0.0 if learned.initial is None else learned.initial
            out[key] = torch.full((1, *learned.shape(units)), initial, dtype=dtype)
    return out


def learned_parameters(applied: Applied, units: int, seed: int, layer: int) -> dict[str, Tensor]:
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


def initialize(name: str, parameters: Mapping[str, Parameter], applied: Applied, seed: int) -> dict[str, Tensor]:
    """Initial weights and biases of one run, without the run axis."""
    return {key: _draw(name, key, parameter, applied, seed) for key, parameter in parameters.items()}


def _draw(name: str, key: str, parameter: Parameter, applied: Applied, seed: int) -> Tensor:
    shape, fan_in = parameter.shape, parameter.fan_in
    if parameter.constant is not None and not (name == "torch" and parameter.role == "bias"):
        return torch.full(shape, parameter.constant)
    generator = stream(seed, "initialization", key)
    if name == "torch" and parameter.role in ("weight", "bias"):
        return (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(fan_in)
    draws = torch.randn(shape, generator=generator)
    if parameter.role == "embedding":
        # As large as the patch embedding it is added to. With the 0.02 of ViT (Dosovitskiy et al. 2021) places are told
        # apart late: 79 % instead of 96 % test accuracy on digits after 10 epochs.
        return draws
    if name == "he":
        return draws * math.sqrt(2 / fan_in)
    if name == "glorot":
        return draws * math.sqrt(2 / (fan_in + parameter.fan_out))
    scale = gain(applied, parameter.activated) if parameter.activated else 1.0
    if name == "orthogonal":
        return scale * (_orthogonal(draws) if len(shape) == 2 else _orthogonal(draws.flatten(1).T).T.reshape(shape))
    return draws * (scale / math.sqrt(fan_in))


def _orthogonal(draws: Tensor) -> Tensor:
    """(fan_in, features): orthogonal columns of norm 1; where features exceed fan_in, of mean squared norm 1."""
    rows, columns = draws.shape
    q, r = torch.linalg.qr(draws if rows >= columns else draws.T)
    q = q * torch.sign(torch.diagonal(r))
    return q if rows >= columns else q.T * math.sqrt(columns / rows)

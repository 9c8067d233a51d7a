"""Blocks of attention and feed-forward, which the image Transformer and the decoder share.

Pre-norm, after Vaswani et al. 2017 and Dosovitskiy et al. 2021; the activation is in the feed-forward.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.models.parameters import (
    Activate,
    Parameter,
    Tensors,
    apply_linear,
    apply_norm,
    linear_parameters,
    norm_parameters,
)

ROPE_BASE = 10_000.0  # Su et al. 2021, arXiv:2104.09864


def block_parameters(
    block: int, width: int, units: int, pieces: int, bias: bool = True, residual: float = 1.0
) -> dict[str, Parameter]:
    """The linear maps of a block. residual: factor on the initial weights of those that end a residual branch."""
    name = f"block{block}"
    return {
        **linear_parameters(width, 3 * width, f"{name}.qkv", bias=bias),
        **linear_parameters(width, width, f"{name}.attention", bias=bias, scale=residual),
        **linear_parameters(width, units * pieces, f"{name}.up", bias=bias),
        **linear_parameters(units, width, f"{name}.down", units, bias, residual),
    }


def block_norms(
    depth: int, width: int, norm: str, bias: bool = True
) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
    """Parameters and buffers of the normalisations before attention and feed-forward, and after the last block."""
    parameters: dict[str, Parameter] = {}
    buffers: dict[str, Parameter] = {}
    for name in [f"block{block}.{part}" for block in range(depth) for part in ("norm1", "norm2")] + ["norm"]:
        more, running = norm_parameters(norm, width, name, bias)
        parameters |= more
        buffers |= running
    return parameters, buffers


def attention(p: Tensors, block: int, heads: int, x: Tensor, causal: bool = False, rope: bool = False) -> Tensor:
    """Multi-head attention of x (runs, batch, tokens, width) over its tokens, of the same shape.

    causal: a token attends to itself and to those before it. rope: queries and keys are rotated by their position.
    """
    width = x.shape[-1]
    qkv = apply_linear(p, f"block{block}.qkv", x).unflatten(-1, (3, heads, width // heads))
    q, k, v = qkv.flatten(0, 1).permute(2, 0, 3, 1, 4)  # each (runs * batch, heads, tokens, width / heads)
    if rope:
        q, k = rotated(q), rotated(k)
    out = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return apply_linear(p, f"block{block}.attention", out.transpose(1, 2).flatten(2).view_as(x))


def rotated(x: Tensor) -> Tensor:
    """x (..., tokens, features); the pair (i, i + features / 2) is rotated by token * ROPE_BASE^(-2 i / features)."""
    cosine, sine = _angles(x.shape[-2], x.shape[-1], x.dtype, x.device)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)


@lru_cache(maxsize=8)
def _angles(tokens: int, features: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    steps = torch.arange(0, features, 2, dtype=torch.float64) / features
    angles = torch.arange(tokens, dtype=torch.float64).unsqueeze(1) * torch.exp(-math.log(ROPE_BASE) * steps)
    return angles.cos().to(device, dtype), angles.sin().to(device, dtype)


def apply_blocks(
    p: Tensors, b: Tensors, x: Tensor, activate: Activate, training: bool, depth: int, heads: int, norm: str,
    causal: bool = False, rope: bool = False,
) -> Tensor:  # fmt: skip
    """All blocks and the last normalisation on x (runs, batch, tokens, width)."""
    for block in range(depth):
        name = f"block{block}"
        x = x + attention(p, block, heads, apply_norm(norm, p, b, f"{name}.norm1", x, training), causal, rope)
        z = apply_linear(p, f"{name}.up", apply_norm(norm, p, b, f"{name}.norm2", x, training))
        x = x + apply_linear(p, f"{name}.down", activate(block, z))
    return apply_norm(norm, p, b, "norm", x, training)

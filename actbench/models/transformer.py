"""The Transformer over image patches (ViT)."""

import math

import torch.nn.functional as F
from torch import Tensor

from actbench.models.parameters import (
    Activate,
    Architecture,
    Parameter,
    Shape,
    Tensors,
    apply_linear,
    apply_norm,
    linear_parameters,
    norm_parameters,
)


def transformer(
    depth: int, width: int, heads: int, ffn: int, patch: int | None, norm: str, shape: Shape,
    units: tuple[int, ...] | None = None,
) -> Architecture:  # fmt: skip
    """Pre-norm blocks of attention and feed-forward over image patches; the activation is in the feed-forward.

    After Dosovitskiy et al. 2021 (ViT), with mean pooling. Images are padded with zeros to whole patches.
    """
    height, across, channels = shape.image
    patch = patch or max(2, math.ceil(min(height, across) / 4))  # MNIST: 49 patches take 3 x the time, 96.9 not 97.8 %
    rows, columns = math.ceil(height / patch), math.ceil(across / patch)
    units = units or (ffn * width,) * depth
    parameters = linear_parameters(patch * patch * channels, width, "patch")
    parameters["position"] = Parameter((rows * columns, width), "embedding", width, width)
    buffers: dict[str, Parameter] = {}
    for block, count in enumerate(units):
        parameters |= linear_parameters(width, 3 * width, f"block{block}.qkv") | linear_parameters(
            width, width, f"block{block}.attention"
        )
        parameters |= linear_parameters(width, count * shape.pieces, f"block{block}.up")
        parameters |= linear_parameters(count, width, f"block{block}.down", count)
    for name in [f"block{b}.{part}" for b in range(depth) for part in ("norm1", "norm2")] + ["norm"]:
        more, running = norm_parameters(norm, width, name)
        parameters |= more
        buffers |= running
    parameters |= linear_parameters(width, shape.classes, "output")

    def tokens(p: Tensors, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, columns * patch - across, 0, rows * patch - height))
        x = x.unflatten(3, (columns, patch)).unflatten(2, (rows, patch))
        # (runs, batch, rows, patch, columns, patch, channels) -> (runs, batch, tokens, patch * patch * channels)
        x = x.transpose(3, 4).flatten(4).flatten(2, 3)
        return apply_linear(p, "patch", x) + p["position"].unsqueeze(1)

    def attention(p: Tensors, block: int, x: Tensor) -> Tensor:
        qkv = apply_linear(p, f"block{block}.qkv", x).unflatten(-1, (3, heads, width // heads))
        q, k, v = qkv.flatten(0, 1).permute(2, 0, 3, 1, 4)  # each (runs * batch, heads, tokens, width / heads)
        out = F.scaled_dot_product_attention(q, k, v)
        return apply_linear(p, f"block{block}.attention", out.transpose(1, 2).flatten(2).view_as(x))

    def forward(p: Tensors, b: Tensors, x: Tensor, activate: Activate, training: bool) -> Tensor:
        x = tokens(p, x)
        for block in range(depth):
            name = f"block{block}"
            x = x + attention(p, block, apply_norm(norm, p, b, f"{name}.norm1", x, training))
            z = apply_linear(p, f"{name}.up", apply_norm(norm, p, b, f"{name}.norm2", x, training))
            x = x + apply_linear(p, f"{name}.down", activate(block, z))
        return apply_linear(p, "output", apply_norm(norm, p, b, "norm", x, training).mean(2))

    return Architecture(parameters, buffers, units, (rows * columns,) * depth, forward)

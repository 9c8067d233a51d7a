"""The causal Transformer over characters (GPT)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.models.blocks import apply_blocks, block_norms, block_parameters
from actbench.models.parameters import Activate, Architecture, Parameter, Shape, Tensors, linear_map, linear_parameters


def decoder(
    depth: int, width: int, heads: int, ffn: int, norm: str, position: str, bias: bool, tie: bool, shape: Shape,
    units: tuple[int, ...] | None = None,
) -> Architecture:  # fmt: skip
    """Pre-norm blocks of causal attention and feed-forward over characters, after Radford et al. 2019 (GPT-2).

    forward: logits (runs, batch, context, classes) of characters int64 (runs, batch, context). position: learned, an
    embedding that is added, or rope. tie: the output is a product with the embedding of characters. bias: of all linear
    maps and of layer norm. `training.dropout` acts on hidden units alone, GPT-2's on attention and branches as well.

    | initial scale | layer, rms | none |
    |---|---|---|
    | embeddings, standard deviation | 1 / sqrt(width) | 1; tied width^(-1/4) |
    | maps that end a residual branch, over the initialization | 1 / sqrt(2 depth width) | 1 / sqrt(2 depth) |

    All branches together then add as much as an embedding. Logits of other characters than the last have variance 1,
    without a norm up to 4; a tied logit of the last character itself is larger at first, up to sqrt(width).
    """
    context = shape.image[0]
    units = units or (ffn * width,) * depth
    small, residual = _initial_scales(depth, width, norm, tie)
    parameters = {"embedding": Parameter((shape.classes, width), "embedding", width, width, scale=small)}
    if position == "learned":
        parameters["position"] = Parameter((context, width), "embedding", width, width, scale=small)
    for block, count in enumerate(units):
        parameters |= block_parameters(block, width, count, shape.pieces, bias, residual)
    norms, buffers = block_norms(depth, width, norm, bias)
    parameters |= norms
    if not tie:
        parameters |= linear_parameters(width, shape.classes, "output", bias=bias)

    def forward(p: Tensors, b: Tensors, x: Tensor, activate: Activate, training: bool) -> Tensor:
        h = embedded(p["embedding"], x)
        if position == "learned":
            h = h + p["position"][:, : x.shape[2]].unsqueeze(1)
        h = apply_blocks(p, b, h, activate, training, depth, heads, norm, True, position == "rope")
        return linear_map(p["embedding"].transpose(1, 2) if tie else p["output.weight"], p.get("output.bias"), h)

    return Architecture(parameters, buffers, units, (context,) * depth, forward)


def _initial_scales(depth: int, width: int, norm: str, tie: bool) -> tuple[float, float]:
    """Standard deviation of the embeddings, and factor of the maps that end a residual branch.

    GPT-2 has 0.02 and 0.02 / sqrt(2 depth) at any width.
    """
    branch = 1 / math.sqrt(2 * depth)
    if norm == "none":  # a branch's output is in proportion to its input
        return width**-0.25 if tie else 1.0, branch
    return width**-0.5, width**-0.5 * branch


def embedded(weight: Tensor, x: Tensor) -> Tensor:
    """Rows of weight (runs, classes, width) by x, int64 (runs, batch, context): (runs, batch, context, width)."""
    rows = [F.embedding(characters, own) for characters, own in zip(x, weight, strict=True)]
    return rows[0].unsqueeze(0) if len(rows) == 1 else torch.stack(rows)

"""MLP, CNN and Transformer over parameters with a leading run axis: one run is a stack of one.

Features stand last everywhere, (runs, batch, *positions, features), so that an activation sees one layout in all three.
An architecture is data: its parameters, its hidden layers, and a pure function from parameters and images to logits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.activations import TABLE, Activation
from actbench.simd import linear

Tensors = Mapping[str, Tensor]
Activate = Callable[[int, Tensor], Tensor]  # (hidden layer, pre-activations) -> units

NORM_EPS = 1e-5  # torch's default in BatchNorm and LayerNorm
BATCH_NORM_MOMENTUM = 0.1  # likewise
NORM_ALONE = 2**14  # values a run, from which on a CPU layer norm takes less time run by run than for all at once


@dataclass(frozen=True)
class Parameter:
    """shape: without the run axis; weights are (fan_in, fan_out), convolutions (out, in, side, side).

    activated: units of the activation whose output it multiplies, 0 where it multiplies something else.
    constant: its initial value, where that is not drawn.
    """

    shape: tuple[int, ...]
    role: Literal["weight", "bias", "embedding", "scale"]
    fan_in: int = 1
    fan_out: int = 1
    activated: int = 0
    constant: float | None = None


@dataclass(frozen=True)
class Architecture:
    """parameters and buffers by name; units of each hidden layer, and the pixels or tokens at which they stand;
    forward(parameters, buffers, x, activate, training).

    x: (runs, batch, height, width, channels), normalised. Returns logits (runs, batch, classes). In training, forward
    updates the buffers (running statistics of batch norm) in place.
    """

    parameters: Mapping[str, Parameter]
    buffers: Mapping[str, Parameter]
    units: tuple[int, ...]
    positions: tuple[int, ...]
    forward: Callable[[Tensors, Tensors, Tensor, Activate, bool], Tensor]


@dataclass(frozen=True)
class Shape:
    """What an architecture is built for. image: (height, width, channels). pieces: of the activation."""

    image: tuple[int, int, int]
    classes: int
    pieces: int = 1


def _linear(fan_in: int, fan_out: int, name: str, activated: int = 0) -> dict[str, Parameter]:
    return {
        f"{name}.weight": Parameter((fan_in, fan_out), "weight", fan_in, fan_out, activated),
        f"{name}.bias": Parameter((fan_out,), "bias", fan_in, constant=0.0),
    }


def _norm(kind: str, features: int, name: str) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
    if kind == "none":
        return {}, {}
    scale = Parameter((features,), "scale", constant=1.0)
    shift = Parameter((features,), "scale", constant=0.0)
    buffers = {f"{name}.mean": shift, f"{name}.variance": scale} if kind == "batch" else {}
    return {f"{name}.scale": scale, f"{name}.shift": shift}, buffers


def _layer_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x (runs, batch, *positions, features) normalised over features; scale and shift (runs, features)."""
    features = x.shape[-1:]
    if x.device.type == "cpu" and x[0].numel() >= NORM_ALONE:
        if len(x) == 1:
            return F.layer_norm(x, features, scale.squeeze(0), shift.squeeze(0), NORM_EPS)
        runs = zip(x.unbind(), scale.unbind(), shift.unbind(), strict=True)
        return torch.stack([F.layer_norm(run, features, own, shifted, NORM_EPS) for run, own, shifted in runs])
    shape = (x.shape[0], *[1] * (x.dim() - 2), *features)
    return F.layer_norm(x, features, eps=NORM_EPS) * scale.view(shape) + shift.view(shape)


def apply_linear(p: Tensors, name: str, x: Tensor) -> Tensor:
    """(runs, batch, *positions, fan_in) -> (runs, batch, *positions, fan_out)."""
    out = linear(p[f"{name}.bias"], x.flatten(1, -2), p[f"{name}.weight"])
    return out.view(*x.shape[:-1], out.shape[-1])


def apply_norm(kind: str, p: Tensors, buffers: Tensors, name: str, x: Tensor, training: bool) -> Tensor:
    """Layer norm over features, or batch norm over batch and positions with running statistics; each run its own."""
    if kind == "none":
        return x
    if kind == "layer":
        return _layer_norm(x, p[f"{name}.scale"], p[f"{name}.shift"])
    # One run at a time: a run's statistics must not depend on its neighbours, not even in rounding.
    return torch.stack(
        [
            F.batch_norm(
                run.flatten(0, -2), buffers[f"{name}.mean"][r], buffers[f"{name}.variance"][r],
                p[f"{name}.scale"][r], p[f"{name}.shift"][r], training, BATCH_NORM_MOMENTUM, NORM_EPS,
            ).view_as(run)
            for r, run in enumerate(x)
        ]
    )  # fmt: skip


def mlp(depth: int, width: int, norm: str, shape: Shape, units: tuple[int, ...] | None = None) -> Architecture:
    """depth hidden layers of width units, then a linear map to the classes."""
    units = units or (width,) * depth
    parameters: dict[str, Parameter] = {}
    buffers: dict[str, Parameter] = {}
    fan_in, activated = math.prod(shape.image), 0
    for layer, count in enumerate(units):
        parameters |= _linear(fan_in, count * shape.pieces, f"hidden{layer}", activated)
        more, running = _norm(norm, count * shape.pieces, f"norm{layer}")
        parameters |= more
        buffers |= running
        fan_in = activated = count
    parameters |= _linear(fan_in, shape.classes, "output", activated)

    def forward(p: Tensors, b: Tensors, x: Tensor, activate: Activate, training: bool) -> Tensor:
        h = x.flatten(2)
        for layer in range(len(units)):
            z = apply_linear(p, f"hidden{layer}", h)
            h = activate(layer, apply_norm(norm, p, b, f"norm{layer}", z, training))
        return apply_linear(p, "output", h)

    return Architecture(parameters, buffers, units, (1,) * len(units), forward)


def _cnn_stages(image: tuple[int, int, int], depth: int, stages: int) -> list[int]:
    """The stage of each convolution. A stage halves the image, and ends while its smaller side exceeds 4 pixels."""
    side, room = min(image[:2]), 0
    while side > 4:
        side, room = side // 2, room + 1
    count = max(1, min(stages, room, depth))
    return [layer * count // depth for layer in range(depth)]


def cnn(
    depth: int, width: int, kernel: int, stages: int, norm: str, shape: Shape, units: tuple[int, ...] | None = None
) -> Architecture:
    """depth convolutions; each stage doubles the channels and ends in a 2x2 max pool; then a linear map."""
    stage = _cnn_stages(shape.image, depth, stages)
    units = units or tuple(width * 2**s for s in stage)
    pooled = [layer + 1 == depth or stage[layer + 1] > stage[layer] for layer in range(depth)]
    parameters: dict[str, Parameter] = {}
    buffers: dict[str, Parameter] = {}
    height, across, channels = shape.image
    activated = 0
    positions: list[int] = []
    for layer, count in enumerate(units):
        fan_in, features = channels * kernel**2, count * shape.pieces
        weight = Parameter((features, channels, kernel, kernel), "weight", fan_in, features * kernel**2, activated)
        parameters[f"hidden{layer}.weight"] = weight
        parameters[f"hidden{layer}.bias"] = Parameter((features,), "bias", fan_in, constant=0.0)
        more, running = _norm(norm, features, f"norm{layer}")
        parameters |= more
        buffers |= running
        channels = activated = count
        positions.append(height * across)
        if pooled[layer]:
            height, across = height // 2, across // 2
    parameters |= _linear(height * across * channels, shape.classes, "output", activated)

    def convolve(p: Tensors, layer: int, x: Tensor) -> Tensor:
        # A view with channels second is torch's channels_last, 1.4 times as fast on a CPU. Run by run: a grouped
        # convolution over all runs is slower there, and rounds differently.
        weight, bias = p[f"hidden{layer}.weight"], p[f"hidden{layer}.bias"]
        z = [F.conv2d(run.permute(0, 3, 1, 2), weight[r], bias[r], padding=kernel // 2) for r, run in enumerate(x)]
        last = [run.permute(0, 2, 3, 1).contiguous() for run in z]
        return last[0].unsqueeze(0) if len(last) == 1 else torch.stack(last)

    def forward(p: Tensors, b: Tensors, x: Tensor, activate: Activate, training: bool) -> Tensor:
        for layer in range(depth):
            z = apply_norm(norm, p, b, f"norm{layer}", convolve(p, layer, x), training)
            x = activate(layer, z)
            if pooled[layer]:
                runs, batch = x.shape[:2]
                x = F.max_pool2d(x.flatten(0, 1).permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
                x = x.unflatten(0, (runs, batch))
        return apply_linear(p, "output", x.flatten(2))

    return Architecture(parameters, buffers, units, tuple(positions), forward)


def transformer(
    depth: int, width: int, heads: int, ffn: int, patch: int | None, norm: str, shape: Shape,
    units: tuple[int, ...] | None = None,
) -> Architecture:  # fmt: skip
    """Pre-norm blocks of attention and feed-forward over image patches; the activation stands in the feed-forward.

    After Dosovitskiy et al. 2021 (ViT), with mean pooling. Images are padded with zeros to whole patches.
    """
    height, across, channels = shape.image
    patch = patch or max(2, math.ceil(min(height, across) / 4))  # 49 patches: 3 x the time, 96.9 % on MNIST, not 97.8
    rows, columns = math.ceil(height / patch), math.ceil(across / patch)
    units = units or (ffn * width,) * depth
    parameters = _linear(patch * patch * channels, width, "patch")
    parameters["position"] = Parameter((rows * columns, width), "embedding", width, width)
    buffers: dict[str, Parameter] = {}
    for block, count in enumerate(units):
        parameters |= _linear(width, 3 * width, f"block{block}.qkv") | _linear(width, width, f"block{block}.attention")
        parameters |= _linear(width, count * shape.pieces, f"block{block}.up")
        parameters |= _linear(count, width, f"block{block}.down", count)
    for name in [f"block{b}.{part}" for b in range(depth) for part in ("norm1", "norm2")] + ["norm"]:
        more, running = _norm(norm, width, name)
        parameters |= more
        buffers |= running
    parameters |= _linear(width, shape.classes, "output")

    def tokens(p: Tensors, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, columns * patch - across, 0, rows * patch - height))
        x = x.unflatten(3, (columns, patch)).unflatten(
            2, (rows, patch)
        )  # (runs, batch, rows, patch, columns, patch, c)
        x = x.transpose(3, 4).flatten(4).flatten(2, 3)  # (runs, batch, tokens, patch * patch * channels)
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


BUILDERS: Mapping[str, Callable[..., Architecture]] = {"mlp": mlp, "cnn": cnn, "transformer": transformer}


def parameter_count(architecture: Architecture, activation: Activation) -> int:
    """Weights, biases and the activation's learned parameters of one run."""
    learned = [learned.shape(units) for units in architecture.units for learned in activation.learned.values()]
    return sum(math.prod(p.shape) for p in architecture.parameters.values()) + sum(math.prod(s) for s in learned)


def build(
    name: str, keys: Mapping[str, object], shape: Shape, activation: Activation, match_parameters: bool
) -> Architecture:
    """The architecture `name`; with match_parameters, its units shrunk until the parameter count is that of ReLU.

    Activations within 1 % of ReLU's count keep their units; others come as near as whole units allow.
    """
    whole = BUILDERS[name](**keys, shape=shape)
    goal = parameter_count(BUILDERS[name](**keys, shape=replace(shape, pieces=1)), TABLE["relu"])
    if not match_parameters or parameter_count(whole, activation) <= 1.01 * goal:
        return whole

    def shrunk(share: float) -> Architecture:
        units = tuple(max(1, round(share * count)) for count in whole.units)
        return BUILDERS[name](**keys, shape=shape, units=units)

    low, high = 0.0, 1.0
    for _ in range(20):  # 2^-20 of a unit
        middle = (low + high) / 2
        low, high = (middle, high) if parameter_count(shrunk(middle), activation) <= goal else (low, middle)

    def distance(architecture: Architecture) -> int:
        return abs(parameter_count(architecture, activation) - goal)

    best = min(shrunk(low), shrunk(high), key=distance)
    while distance(best) > 0.002 * goal:  # rounding moved all layers at once: a unit here or there is nearer
        tries = [_one_unit_off(best.units, layer, change) for layer in range(len(best.units)) for change in (-1, 1)]
        nearest = min((BUILDERS[name](**keys, shape=shape, units=units) for units in tries), key=distance)
        if distance(nearest) >= distance(best):
            break
        best = nearest
    return best


def _one_unit_off(units: tuple[int, ...], layer: int, change: int) -> tuple[int, ...]:
    return (*units[:layer], max(1, units[layer] + change), *units[layer + 1 :])

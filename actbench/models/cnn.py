"""The convolutional network."""

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.models import products
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


def _cnn_stages(image: tuple[int, int, int], depth: int, stages: int) -> list[int]:
    """The stage of each convolution. Each stage halves the image; there are no more once a side is 4 pixels or less."""
    side, halvings = min(image[:2]), 0
    while side > 4:
        side, halvings = side // 2, halvings + 1
    count = max(1, min(stages, halvings, depth))
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
        more, running = norm_parameters(norm, features, f"norm{layer}")
        parameters |= more
        buffers |= running
        channels = activated = count
        positions.append(height * across)
        if pooled[layer]:
            height, across = height // 2, across // 2
    parameters |= linear_parameters(height * across * channels, shape.classes, "output", activated)

    def convolve(p: Tensors, layer: int, x: Tensor) -> Tensor:
        # A view with channels second is torch's channels_last, 1.4 times as fast on a CPU. Run by run: a grouped
        # convolution over all runs is slower there, and rounds differently.
        weight, bias = p[f"hidden{layer}.weight"], p[f"hidden{layer}.bias"]
        if x.device.type != "cpu":
            return products.convolve(bias, x, weight, kernel // 2)
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

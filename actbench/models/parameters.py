"""What all architectures share: parameters with a leading run axis, linear maps and normalisation layers.

Features are the last axis everywhere, (runs, batch, *positions, features), so that activations see one layout. An
architecture is data: its parameters, its hidden layers, and a pure function from parameters and images to logits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench import determinism
from actbench.models import products

Tensors = Mapping[str, Tensor]
Activate = Callable[[int, Tensor], Tensor]  # (hidden layer, pre-activations) -> units

NORM_EPS = 1e-5  # torch's default in BatchNorm and LayerNorm
BATCH_NORM_MOMENTUM = 0.1  # torch's default in BatchNorm
NORM_ALONE = 2**14  # values of a run; from there on layer norm on a CPU is faster run by run than for all runs at once


@dataclass(frozen=True)
class Parameter:
    """One parameter of one run, before it has a value.

    shape: without the run axis; weights are (fan_in, fan_out), convolutions (out, in, side, side). activated: units
    of the activation whose output it multiplies, 0 where it multiplies something else. constant: its initial value,
    where that is not drawn.
    """

    shape: tuple[int, ...]
    role: Literal["weight", "bias", "embedding", "scale"]
    fan_in: int = 1
    fan_out: int = 1
    activated: int = 0
    constant: float | None = None


@dataclass(frozen=True)
class Architecture:
    """A network as data.

    parameters, buffers: by name, without the run axis. units: of each hidden layer. positions: pixels or tokens at
    which each hidden layer's units are computed. forward(parameters, buffers, x, activate, training): logits
    (runs, batch, classes) of normalised images x (runs, batch, height, width, channels); in training it updates the
    buffers, running statistics of batch norm, in place.
    """

    parameters: Mapping[str, Parameter]
    buffers: Mapping[str, Parameter]
    units: tuple[int, ...]
    positions: tuple[int, ...]
    forward: Callable[[Tensors, Tensors, Tensor, Activate, bool], Tensor]


@dataclass(frozen=True)
class Shape:
    """The sizes of inputs and outputs. image: (height, width, channels). pieces: of the activation."""

    image: tuple[int, int, int]
    classes: int
    pieces: int = 1


def linear_parameters(fan_in: int, fan_out: int, name: str, activated: int = 0) -> dict[str, Parameter]:
    """Weight (fan_in, fan_out) and bias (fan_out,) of a linear map."""
    return {
        f"{name}.weight": Parameter((fan_in, fan_out), "weight", fan_in, fan_out, activated),
        f"{name}.bias": Parameter((fan_out,), "bias", fan_in, constant=0.0),
    }


def norm_parameters(kind: str, features: int, name: str) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
    """Parameters and buffers of a normalisation layer, (features,) each; none for kind `none`."""
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
        return torch.stack([F.layer_norm(values, features, w, b, NORM_EPS) for values, w, b in runs])
    shape = (x.shape[0], *[1] * (x.dim() - 2), *features)
    return F.layer_norm(x, features, eps=NORM_EPS) * scale.view(shape) + shift.view(shape)


def apply_linear(p: Tensors, name: str, x: Tensor) -> Tensor:
    """(runs, batch, *positions, fan_in) -> (runs, batch, *positions, fan_out)."""
    linear = determinism.linear if x.device.type == "cpu" else products.linear
    out = linear(p[f"{name}.bias"], x.flatten(1, -2), p[f"{name}.weight"])
    return out.view(*x.shape[:-1], out.shape[-1])


def apply_norm(kind: str, p: Tensors, buffers: Tensors, name: str, x: Tensor, training: bool) -> Tensor:
    """Layer norm over features, or batch norm over batch and positions with running statistics, of each run."""
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

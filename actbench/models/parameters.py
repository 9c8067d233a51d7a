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
    where that is not drawn. scale: factor on what is drawn. blocks: matrices of equal size side by side, of which
    fan_out is one's. torch_fan_in: what torch's own module takes for fan_in, where that is another number. deviation:
    standard deviation of the draws, whatever the initialization. offset: added to the initial value.
    """

    shape: tuple[int, ...]
    role: Literal["weight", "bias", "embedding", "scale"]
    fan_in: int = 1
    fan_out: int = 1
    activated: int = 0
    constant: float | None = None
    scale: float = 1.0
    blocks: int = 1
    torch_fan_in: int | None = None
    deviation: float | None = None
    offset: Tensor | None = None


@dataclass(frozen=True)
class Architecture:
    """A network as data.

    parameters, buffers: by name, without the run axis. units: of each hidden layer. positions: pixels or tokens at
    which each hidden layer's units are computed. forward(parameters, buffers, x, activate, training): logits
    (runs, batch, classes) of normalised images x (runs, batch, height, width, channels), of text (runs, batch, context,
    classes) of characters x, int64 (runs, batch, context); in training it updates the buffers, running statistics of
    batch norm, in place. recurrent: activate is called once for each position, in the order of time, with
    pre-activations (runs, batch, units), not once for all. gates(parameters, buffers, x, activate): values of the gates
    of each recurrent layer, (runs, batch, time, gates * units); None where there are none.
    """

    parameters: Mapping[str, Parameter]
    buffers: Mapping[str, Parameter]
    units: tuple[int, ...]
    positions: tuple[int, ...]
    forward: Callable[[Tensors, Tensors, Tensor, Activate, bool], Tensor]
    recurrent: bool = False
    gates: Callable[[Tensors, Tensors, Tensor, Activate], list[Tensor]] | None = None


@dataclass(frozen=True)
class Shape:
    """The sizes of inputs and outputs. image: (height, width, channels). pieces: of the activation.

    kind: of the data, as PreparedData has it; of text the height is the context.
    """

    image: tuple[int, int, int]
    classes: int
    pieces: int = 1
    kind: str = "images"


def linear_parameters(
    fan_in: int, fan_out: int, name: str, activated: int = 0, bias: bool = True, scale: float = 1.0
) -> dict[str, Parameter]:
    """Weight (fan_in, fan_out) and bias (fan_out,), if any, of a linear map. scale: factor on the initial weight."""
    weight = {f"{name}.weight": Parameter((fan_in, fan_out), "weight", fan_in, fan_out, activated, scale=scale)}
    return weight | ({f"{name}.bias": Parameter((fan_out,), "bias", fan_in, constant=0.0)} if bias else {})


def norm_parameters(
    kind: str, features: int, name: str, bias: bool = True
) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
    """Parameters and buffers of a normalisation layer, (features,) each; none for kind `none`. bias: with a shift."""
    if kind == "none":
        return {}, {}
    scale = Parameter((features,), "scale", constant=1.0)
    if kind == "rms" or not bias:
        return {f"{name}.scale": scale}, {}
    shift = Parameter((features,), "scale", constant=0.0)
    buffers = {f"{name}.mean": shift, f"{name}.variance": scale} if kind == "batch" else {}
    return {f"{name}.scale": scale, f"{name}.shift": shift}, buffers


def _layer_norm(x: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    """x (runs, batch, *positions, features) normalised over features; scale and shift, if any, (runs, features)."""
    features = x.shape[-1:]
    if x.device.type == "cpu" and x[0].numel() >= NORM_ALONE:
        if len(x) == 1:
            return F.layer_norm(x, features, scale.squeeze(0), None if shift is None else shift.squeeze(0), NORM_EPS)
        shifts = [None] * len(x) if shift is None else shift.unbind()
        runs = zip(x.unbind(), scale.unbind(), shifts, strict=True)
        return torch.stack([F.layer_norm(values, features, w, b, NORM_EPS) for values, w, b in runs])
    shape = (x.shape[0], *[1] * (x.dim() - 2), *features)
    scaled = F.layer_norm(x, features, eps=NORM_EPS) * scale.view(shape)
    return scaled if shift is None else scaled + shift.view(shape)


def apply_linear(p: Tensors, name: str, x: Tensor) -> Tensor:
    """(runs, batch, *positions, fan_in) -> (runs, batch, *positions, fan_out), with a bias where `p` has one."""
    return linear_map(p[f"{name}.weight"], p.get(f"{name}.bias"), x)


def linear_map(weight: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
    """As `apply_linear`. weight: (runs, fan_in, fan_out); bias: (runs, fan_out)."""
    rows = x.flatten(1, -2)
    if x.device.type == "cpu":
        out = determinism.linear(bias, rows, weight)
    else:
        out = products.linear(x.new_zeros(len(x), weight.shape[-1]) if bias is None else bias, rows, weight)
    return out.view(*x.shape[:-1], out.shape[-1])


def linear(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """bias (runs, out), or (runs, batch, out), + x (runs, batch, in) @ weight (runs, in, out): (runs, batch, out)."""
    return (determinism.linear if x.device.type == "cpu" else products.linear)(bias, x, weight)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x (runs, batch, in) @ weight (runs, in, out): (runs, batch, out)."""
    if x.device.type == "cpu":
        return determinism.product(x, weight)
    return products.linear(x.new_zeros(len(x), weight.shape[-1]), x, weight)


def apply_norm(kind: str, p: Tensors, buffers: Tensors, name: str, x: Tensor, training: bool) -> Tensor:
    """Layer or RMS norm over features, or batch norm over batch and positions with running statistics, of each run.

    RMS norm: Zhang & Sennrich 2019, arXiv:1910.07467, with the epsilon of the others.
    """
    if kind == "none":
        return x
    if kind == "rms":
        scale = p[f"{name}.scale"]
        return F.rms_norm(x, x.shape[-1:], eps=NORM_EPS) * scale.view(len(scale), *[1] * (x.dim() - 2), -1)
    if kind == "layer":
        return _layer_norm(x, p[f"{name}.scale"], p.get(f"{name}.shift"))
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

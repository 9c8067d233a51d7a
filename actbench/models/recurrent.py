"""Recurrent networks: the plain one, the GRU (Cho et al. 2014) and the LSTM (Hochreiter & Schmidhuber 1997).

The equations are those of torch.nn.RNN, GRU and LSTM, with `activation` in the place of tanh and `gate` in that of the
sigmoid. Images are read row by row, sequences and text step by step, from a state of zeros; of text every step has
logits, of the others the last.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.activations.gates import load_gate
from actbench.determinism import whole_vectors
from actbench.models.decoder import embedded
from actbench.models.parameters import (
    Activate,
    Architecture,
    Parameter,
    Shape,
    Tensors,
    apply_linear,
    linear,
    linear_parameters,
)
from actbench.models.recurrence import Recurrence

IDENTITY_DEVIATION = 0.001  # of input weights beside an identity, Le et al. 2015, arXiv:1504.00941, section 4

Seen = list[Tensor] | None  # where the values of a layer's gates are appended, by time step


@dataclass(frozen=True)
class _Layer:
    """A recurrent layer in a forward pass. layer: the first of its hidden layers, as `activate` counts them."""

    p: Tensors
    layer: int
    activate: Activate
    gate: str
    seen: Seen

    def parameter(self, name: str) -> Tensor:
        return self.p[f"hidden{self.layer}.{name}"]

    def recurrence(self, x: Tensor, of_inputs: Tensor, bias: Tensor, parts: tuple[int, ...]) -> Recurrence:
        """Products of inputs x (runs, time, batch, features) and states with their weights, plus bias."""
        rows = [of_inputs, bias.unsqueeze(1), self.parameter("recurrent.weight")]
        return Recurrence(x, torch.cat(rows, 1), parts)

    def gates(self, z: Tensor) -> Tensor:
        """Values of all gates at a time step, (runs, batch, gates * units)."""
        values = load_gate(self.gate)(whole_vectors(z))
        values = values if values.shape[1] == z.shape[1] else values[:, : z.shape[1]]
        if self.seen is not None:
            self.seen.append(values)
        return values


Cell = Callable[[_Layer, Tensor], list[Tensor]]  # inputs (runs, batch, time, features) -> states by time


def _rnn(layer: _Layer, x: Tensor) -> list[Tensor]:
    """h' = f(x W + b + h U + c)."""
    bias = layer.parameter("input.bias") + layer.parameter("recurrent.bias")
    recurrence = layer.recurrence(x, layer.parameter("input.weight"), bias, (bias.shape[-1],))
    h, states = None, []
    for time in range(x.shape[1]):
        (z,) = recurrence(time, h)
        h = layer.activate(layer.layer, z)
        states.append(h)
    return states


def _gru(layer: _Layer, x: Tensor) -> list[Tensor]:
    """r, u = gate(x W + b + h U + c); n = f(x W + b + r (h U + c)); h' = (1 - u) n + u h."""
    weight, bias, offset = (layer.parameter(name) for name in ("input.weight", "input.bias", "recurrent.bias"))
    units = bias.shape[-1] // 3
    of_gates, of_candidate = weight.split([2 * units, units], -1)
    gate_bias, candidate_bias = bias.split([2 * units, units], -1)
    zeros = torch.zeros_like(of_candidate)  # the candidate's inputs are added after its states are gated
    recurrence = layer.recurrence(
        x, torch.cat([of_gates, zeros], -1), F.pad(gate_bias, (0, units)) + offset, (2 * units, units)
    )
    inputs = linear(candidate_bias, x.flatten(1, 2), of_candidate).unflatten(1, x.shape[1:3])
    h, states = None, []
    for time, own in enumerate(inputs.unbind(1)):
        z, candidate = recurrence(time, h)
        reset, update = layer.gates(z).chunk(2, -1)
        new = layer.activate(layer.layer, own + reset * candidate)
        h = new - update * new if h is None else torch.lerp(new, h, update.to(new.dtype))
        states.append(h)
    return states


def _lstm(layer: _Layer, x: Tensor) -> list[Tensor]:
    """i, k, o = gate(x W + b + h U + c); g = f(x W + b + h U + c); s' = k s + i g; h' = o f(s')."""
    bias = layer.parameter("input.bias") + layer.parameter("recurrent.bias")
    units = bias.shape[-1] // 4
    recurrence = layer.recurrence(x, layer.parameter("input.weight"), bias, (3 * units, units))
    h = cell = None
    states = []
    for time in range(x.shape[1]):
        z, candidate = recurrence(time, h)
        write, keep, read = layer.gates(z).chunk(3, -1)
        new = write * layer.activate(layer.layer, candidate)
        cell = new if cell is None else new + keep * cell
        h = read * layer.activate(layer.layer + 1, cell)
        states.append(h)
    return states


@dataclass(frozen=True)
class _Kind:
    """gates: their number. hidden: hidden layers, each with its activation, of a recurrent layer."""

    cell: Cell
    gates: int
    hidden: int = 1


def rnn(
    depth: int, width: int, norm: str, identity: bool, shape: Shape, units: tuple[int, ...] | None = None
) -> Architecture:
    """depth plain recurrent layers of width units, then a linear map.

    identity: recurrent weights start as the identity, biases as 0 and input weights as N(0, 0.001^2), as in Le, Jaitly
    & Hinton 2015, arXiv:1504.00941.
    """
    return _network(_Kind(_rnn, 0), depth, width, "", shape, units, identity=identity)


def gru(
    depth: int, width: int, norm: str, gate: str, shape: Shape, units: tuple[int, ...] | None = None
) -> Architecture:
    """depth GRU layers of width units, then a linear map. gate: of GATES, or module:function.

    The columns of weights and biases are those of reset gate, update gate and candidate, as torch has them.
    """
    return _network(_Kind(_gru, 2), depth, width, gate, shape, units)


def lstm(
    depth: int, width: int, norm: str, gate: str, forget_bias: float, shape: Shape, units: tuple[int, ...] | None = None
) -> Architecture:
    """depth LSTM layers of width units, then a linear map. gate: of GATES, or module:function.

    Candidate and output of layer l have an activation each, as hidden layers 2 l and 2 l + 1. The columns of weights
    and biases are those of input, forget and output gate and candidate (torch has the candidate third). forget_bias:
    added to the forget gate's initial bias.
    """
    return _network(_Kind(_lstm, 3, 2), depth, width, gate, shape, units, forget_bias=forget_bias)


def _network(
    kind: _Kind, depth: int, width: int, gate: str, shape: Shape, units: tuple[int, ...] | None,
    identity: bool = False, forget_bias: float = 0.0,
) -> Architecture:  # fmt: skip
    """units: of each hidden layer; those of one recurrent layer are equal."""
    widths = (width,) * depth if units is None else units[:: kind.hidden]
    text, (time, *features) = shape.kind == "text", shape.image
    parameters: dict[str, Parameter] = {}
    if text:
        parameters["embedding"] = Parameter((shape.classes, width), "embedding", width, width)
    fan_in, activated = width if text else features[0] * features[1], 0
    for layer, count in enumerate(widths):
        name = f"hidden{kind.hidden * layer}"
        parameters |= _layer_parameters(name, fan_in, count, activated, kind.gates + 1)
        if identity:
            _start_as_identity(parameters, name)
        if forget_bias:
            offset = torch.zeros(4, count).index_fill_(0, torch.tensor(1), forget_bias).flatten()
            parameters[f"{name}.input.bias"] = replace(parameters[f"{name}.input.bias"], offset=offset)
        fan_in = activated = count
    parameters |= linear_parameters(fan_in, shape.classes, "output", activated)

    def states(p: Tensors, x: Tensor, activate: Activate, values: list[Tensor] | None = None) -> list[Tensor]:
        """States of the last layer by time step. values: where those of each layer's gates are appended."""
        x = embedded(p["embedding"], x) if text else x.flatten(3)
        x = x.transpose(1, 2)
        for layer in range(depth):
            seen: Seen = None if values is None else []
            found = kind.cell(_Layer(p, kind.hidden * layer, activate, gate, seen), x)
            if values is not None and seen:
                values.append(torch.stack(seen, 2))
            if layer + 1 < depth:
                x = torch.stack(found, 1)
        return found

    def forward(p: Tensors, b: Tensors, x: Tensor, activate: Activate, training: bool) -> Tensor:
        found = states(p, x, activate)
        return apply_linear(p, "output", torch.stack(found, 2) if text else found[-1])

    def gates(p: Tensors, b: Tensors, x: Tensor, activate: Activate) -> list[Tensor]:
        values: list[Tensor] = []
        states(p, x, activate, values)
        return values

    hidden = tuple(count for count in widths for _ in range(kind.hidden))
    return Architecture(
        parameters, {}, hidden, (time,) * len(hidden), forward, recurrent=True, gates=gates if kind.gates else None
    )


def _layer_parameters(name: str, fan_in: int, units: int, activated: int, blocks: int) -> dict[str, Parameter]:
    """Weights and biases of inputs and states; blocks: of gates and candidate, of `units` columns each."""
    columns = blocks * units
    weight = partial(Parameter, role="weight", fan_out=units, blocks=blocks, torch_fan_in=units)
    bias = Parameter((columns,), "bias", units, constant=0.0)
    return {
        f"{name}.input.weight": weight((fan_in, columns), fan_in=fan_in, activated=activated),
        f"{name}.input.bias": bias,
        f"{name}.recurrent.weight": weight((units, columns), fan_in=units, activated=units),
        f"{name}.recurrent.bias": bias,
    }


def _start_as_identity(parameters: dict[str, Parameter], name: str) -> None:
    weight, recurrent = (f"{name}.{part}.weight" for part in ("input", "recurrent"))
    parameters[weight] = replace(parameters[weight], deviation=IDENTITY_DEVIATION)
    eye = torch.eye(parameters[recurrent].shape[0])
    parameters[recurrent] = replace(parameters[recurrent], constant=0.0, offset=eye)
    for part in ("input", "recurrent"):  # a scale is 0 with every initialization, torch's too
        parameters[f"{name}.{part}.bias"] = replace(parameters[f"{name}.{part}.bias"], role="scale")

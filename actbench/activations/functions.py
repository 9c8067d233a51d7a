"""The mathematics of the activation table: one function a row.

Every function takes pre-activations z (runs, batch, *positions, pieces * units) and p, its settings (numbers) and
learned parameters (runs, ...), and returns (runs, batch, *positions, units). Piece k of unit u is feature
k * units + u. Formulas and sources stand in activations.py.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.determinism import linear, whole_vectors

P = Mapping[str, Any]

RRELU_LOW, RRELU_HIGH = 1 / 8, 1 / 3  # Xu et al. 2015


def spread(parameter: Tensor, z: Tensor) -> Tensor:
    """(runs, units) -> (runs, 1, ..., 1, units), to broadcast against z."""
    return parameter.view(parameter.shape[0], *[1] * (z.dim() - 2), parameter.shape[1])


def _bent(z: Tensor, slope: Tensor) -> Tensor:
    """z where it is positive, else slope * z (to rounding): a third of the time of torch.where and its gradient."""
    positive = F.relu(z)
    return torch.addcmul(positive, slope, z - positive)


def identity(z: Tensor, p: P) -> Tensor:
    return z.clone()


def sigmoid(z: Tensor, p: P) -> Tensor:
    return torch.sigmoid(z)


def tanh(z: Tensor, p: P) -> Tensor:
    return torch.tanh(z)


def hard_tanh(z: Tensor, p: P) -> Tensor:
    return F.hardtanh(z)


def softsign(z: Tensor, p: P) -> Tensor:
    return F.softsign(z)


def softplus(z: Tensor, p: P) -> Tensor:
    return F.softplus(z)


def relu(z: Tensor, p: P) -> Tensor:
    return F.relu(z)


def relu6(z: Tensor, p: P) -> Tensor:
    return F.relu6(z)


def leaky_relu(z: Tensor, p: P) -> Tensor:
    return F.leaky_relu(z, p["slope"])


def prelu(z: Tensor, p: P) -> Tensor:
    return _bent(z, spread(p["slope"], z))


def rrelu(z: Tensor, p: P) -> Tensor:
    """p["uniform"](shape): draws from U(0, 1), one generator a run; None outside training."""
    if p["uniform"] is None:
        return F.leaky_relu(z, (RRELU_LOW + RRELU_HIGH) / 2)
    slope = RRELU_LOW + (RRELU_HIGH - RRELU_LOW) * p["uniform"](z.shape)
    return _bent(z, slope)


def elu(z: Tensor, p: P) -> Tensor:
    return F.elu(z, p["alpha"])


def elu_learned(z: Tensor, p: P) -> Tensor:
    positive = F.relu(z)
    return torch.addcmul(positive, spread(p["alpha"], z), torch.expm1(z - positive))


def celu(z: Tensor, p: P) -> Tensor:
    return F.celu(z, p["alpha"])


def selu(z: Tensor, p: P) -> Tensor:
    return F.selu(z)


def gelu(z: Tensor, p: P) -> Tensor:
    return F.gelu(z)


def gelu_tanh(z: Tensor, p: P) -> Tensor:
    return F.gelu(z, approximate="tanh")


def quick_gelu(z: Tensor, p: P) -> Tensor:
    return z * torch.sigmoid(1.702 * z)


def silu(z: Tensor, p: P) -> Tensor:
    return F.silu(z)


def swish(z: Tensor, p: P) -> Tensor:
    return z * torch.sigmoid(spread(p["beta"], z) * z)


def hard_swish(z: Tensor, p: P) -> Tensor:
    return F.hardswish(z)


def mish(z: Tensor, p: P) -> Tensor:
    return F.mish(z)


def squared_relu(z: Tensor, p: P) -> Tensor:
    return F.relu(z).square()


def softmax(z: Tensor, p: P) -> Tensor:
    return torch.softmax(z, -1)


def maxout(z: Tensor, p: P) -> Tensor:
    return z.unflatten(-1, (p["pieces"], -1)).amax(-2)


def glu(z: Tensor, p: P) -> Tensor:
    return F.glu(z)


def reglu(z: Tensor, p: P) -> Tensor:
    value, gate = z.chunk(2, -1)
    return value * F.relu(gate)


def geglu(z: Tensor, p: P) -> Tensor:
    value, gate = z.chunk(2, -1)
    return value * F.gelu(gate.contiguous())  # of strided values torch has another kernel, which rounds differently


def swiglu(z: Tensor, p: P) -> Tensor:
    value, gate = z.chunk(2, -1)
    return value * F.silu(gate)


def _dynamic_lines(z: Tensor, p: P) -> tuple[Tensor, Tensor]:
    """Slopes and intercepts, each (runs, batch, 1, ..., 2, units); Chen et al. 2020, eq. 4, lambda = (1, 0.5)."""
    context = z.flatten(2, -2).mean(2) if z.dim() > 3 else z
    hidden = F.relu(linear(p["squeeze_bias"], context, p["squeeze"]))
    theta = whole_vectors(linear(p["excite_bias"], hidden, p["excite"]))
    theta = (2 * torch.sigmoid(theta) - 1)[:, : z.shape[1]]
    theta = theta.view(*theta.shape[:2], *[1] * (z.dim() - 3), 4, z.shape[-1])
    slopes = torch.stack([1 + theta[..., 0, :], theta[..., 1, :]], -2)
    return slopes, 0.5 * theta[..., 2:, :]


def dynamic_relu(z: Tensor, p: P) -> Tensor:
    slopes, intercepts = _dynamic_lines(z, p)
    return (slopes * z.unsqueeze(-2) + intercepts).amax(-2)


def softmax_derivative(z: Tensor, p: P) -> Tensor:
    """d s_i / d z_i = s_i (1 - s_i)."""
    s = torch.softmax(z, -1)
    return s * (1 - s)


def dynamic_relu_derivative(z: Tensor, p: P) -> Tensor:
    """The slope of the line that wins, the lines held fixed."""
    slopes, intercepts = _dynamic_lines(z, p)
    winner = (slopes * z.unsqueeze(-2) + intercepts).argmax(-2, keepdim=True)
    return slopes.expand(*z.shape[:-1], 2, z.shape[-1]).gather(-2, winner).squeeze(-2)


# A unit's own derivative, for functions that couple the units of a layer (autograd of a sum would mix them).
DERIVATIVES = {"softmax": softmax_derivative, "dynamic_relu": dynamic_relu_derivative}

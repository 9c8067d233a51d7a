"""The functions of the activation table in which a unit depends on several pre-activations.

These are Maxout and the gated units, which depend on their own pieces, and functions of all units of a layer. They take
pre-activations z (runs, batch, *positions, pieces * units) and p, settings and learned parameters as in functions.py,
and return (runs, batch, *positions, units). Piece k of unit u is feature k * units + u.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.activations.functions import P
from actbench.determinism import linear, whole_vectors


def softmax(z: Tensor, p: P) -> Tensor:
    """exp(z_i) / sum_j exp(z_j), over the layer's units, in (0, 1). Bridle 1990, NATO ASI F68, 227."""
    return torch.softmax(z, -1)


def maxout(z: Tensor, p: P) -> Tensor:
    """max of k linear pieces, in (-inf, inf). Goodfellow et al. 2013, arXiv:1302.4389."""
    return z.unflatten(-1, (p["pieces"], -1)).amax(-2)


def glu(z: Tensor, p: P) -> Tensor:
    """z1 sigmoid(z2), in (-inf, inf). Dauphin et al. 2017, arXiv:1612.08083."""
    return F.glu(z)


def reglu(z: Tensor, p: P) -> Tensor:
    """z1 max(z2, 0), in (-inf, inf). Shazeer 2020, arXiv:2002.05202."""
    value, gate = z.chunk(2, -1)
    return value * F.relu(gate)


def geglu(z: Tensor, p: P) -> Tensor:
    """z1 z2 Phi(z2), in (-inf, inf). Shazeer 2020, arXiv:2002.05202."""
    value, gate = z.chunk(2, -1)
    return value * F.gelu(gate.contiguous())  # torch's kernel for strided values rounds differently


def swiglu(z: Tensor, p: P) -> Tensor:
    """z1 z2 sigmoid(z2), in (-inf, inf). Shazeer 2020, arXiv:2002.05202."""
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
    """max(a1 z + b1, a2 z + b2); a, b computed from the layer's mean over positions, in (-inf, inf).

    Chen et al. 2020, arXiv:2003.10027.
    """
    slopes, intercepts = _dynamic_lines(z, p)
    return (slopes * z.unsqueeze(-2) + intercepts).amax(-2)


def softmax_derivative(z: Tensor, p: P) -> Tensor:
    """d s_i / d z_i = s_i (1 - s_i)."""
    s = torch.softmax(z, -1)
    return s * (1 - s)


def dynamic_relu_derivative(z: Tensor, p: P) -> Tensor:
    """The slope of the larger of the two lines, with the lines held fixed."""
    slopes, intercepts = _dynamic_lines(z, p)
    winner = (slopes * z.unsqueeze(-2) + intercepts).argmax(-2, keepdim=True)
    return slopes.expand(*z.shape[:-1], 2, z.shape[-1]).gather(-2, winner).squeeze(-2)


# A unit's own derivative, for functions that couple the units of a layer (autograd of a sum would mix them).
DERIVATIVES = {"softmax": softmax_derivative, "dynamic_relu": dynamic_relu_derivative}

"""The functions of the activation table, one for each row.

Every function takes pre-activations z (runs, batch, *positions, pieces * units) and p, its settings (numbers) and
learned parameters (runs, ...), and returns (runs, batch, *positions, units). Piece k of unit u is feature
k * units + u. Each docstring gives formula, range and source of the row.
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
    """Returns z where it is positive, else slope * z, up to rounding; three times as fast as torch.where."""
    positive = F.relu(z)
    return torch.addcmul(positive, slope, z - positive)


def identity(z: Tensor, p: P) -> Tensor:
    """z, in (-inf, inf). linear baseline."""
    return z.clone()


def sigmoid(z: Tensor, p: P) -> Tensor:
    """1 / (1 + exp(-z)), in (0, 1). Rumelhart et al. 1986, Nature 323, 533."""
    return torch.sigmoid(z)


def tanh(z: Tensor, p: P) -> Tensor:
    """tanh(z), in (-1, 1). LeCun et al. 1998, Efficient BackProp."""
    return torch.tanh(z)


def hard_tanh(z: Tensor, p: P) -> Tensor:
    """min(max(z, -1), 1), in [-1, 1]. Collobert 2004, PhD thesis, Paris 6."""
    return F.hardtanh(z)


def softsign(z: Tensor, p: P) -> Tensor:
    """z / (1 + |z|), in (-1, 1). Turian et al. 2009, NAACL."""
    return F.softsign(z)


def softplus(z: Tensor, p: P) -> Tensor:
    """log(1 + exp(z)), in (0, inf). Dugas et al. 2000, NIPS."""
    return F.softplus(z)


def relu(z: Tensor, p: P) -> Tensor:
    """max(z, 0), in [0, inf). Nair & Hinton 2010, ICML."""
    return F.relu(z)


def relu6(z: Tensor, p: P) -> Tensor:
    """min(max(z, 0), 6), in [0, 6]. Krizhevsky 2010, CIFAR-10 report."""
    return F.relu6(z)


def leaky_relu(z: Tensor, p: P) -> Tensor:
    """z if z > 0 else slope z, in (-inf, inf). Maas et al. 2013, ICML WDLASL."""
    return F.leaky_relu(z, p["slope"])


def prelu(z: Tensor, p: P) -> Tensor:
    """z if z > 0 else a z; a learned per unit from 0.25, in (-inf, inf). He et al. 2015, arXiv:1502.01852."""
    return _bent(z, spread(p["slope"], z))


def rrelu(z: Tensor, p: P) -> Tensor:
    """z if z > 0 else a z; a ~ U(1/8, 1/3) in training, 11/48 after, in (-inf, inf).

    Xu et al. 2015, arXiv:1505.00853. p["uniform"](shape) draws from U(0, 1), one generator for each run; it is None
    outside training.
    """
    if p["uniform"] is None:
        return F.leaky_relu(z, (RRELU_LOW + RRELU_HIGH) / 2)
    slope = RRELU_LOW + (RRELU_HIGH - RRELU_LOW) * p["uniform"](z.shape)
    return _bent(z, slope)


def elu(z: Tensor, p: P) -> Tensor:
    """z if z > 0 else alpha (exp(z) - 1), in (-alpha, inf). Clevert et al. 2016, arXiv:1511.07289."""
    return F.elu(z, p["alpha"])


def elu_learned(z: Tensor, p: P) -> Tensor:
    """z if z > 0 else a (exp(z) - 1); a learned per unit from 1, in (-a, inf).

    Trottier et al. 2017, arXiv:1605.09332.
    """
    positive = F.relu(z)
    return torch.addcmul(positive, spread(p["alpha"], z), torch.expm1(z - positive))


def celu(z: Tensor, p: P) -> Tensor:
    """z if z > 0 else alpha (exp(z / alpha) - 1), in (-alpha, inf). Barron 2017, arXiv:1704.07483."""
    return F.celu(z, p["alpha"])


def selu(z: Tensor, p: P) -> Tensor:
    """1.0507 (z if z > 0 else 1.6733 (exp(z) - 1)), in (-1.76, inf). Klambauer et al. 2017, arXiv:1706.02515."""
    return F.selu(z)


def gelu(z: Tensor, p: P) -> Tensor:
    """z Phi(z), in [-0.17, inf). Hendrycks & Gimpel 2016, arXiv:1606.08415."""
    return F.gelu(z)


def gelu_tanh(z: Tensor, p: P) -> Tensor:
    """z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))), in [-0.17, inf). Hendrycks & Gimpel 2016, arXiv:1606.08415."""
    return F.gelu(z, approximate="tanh")


def quick_gelu(z: Tensor, p: P) -> Tensor:
    """z sigmoid(1.702 z), in [-0.16, inf). Hendrycks & Gimpel 2016, arXiv:1606.08415."""
    return z * torch.sigmoid(1.702 * z)


def silu(z: Tensor, p: P) -> Tensor:
    """z sigmoid(z), in [-0.28, inf). Elfwing et al. 2018, arXiv:1702.03118."""
    return F.silu(z)


def swish(z: Tensor, p: P) -> Tensor:
    """z sigmoid(b z); b learned per unit from 1, in [-0.28/b, inf). Ramachandran et al. 2017, arXiv:1710.05941."""
    return z * torch.sigmoid(spread(p["beta"], z) * z)


def hard_swish(z: Tensor, p: P) -> Tensor:
    """z min(max(z + 3, 0), 6) / 6, in [-0.375, inf). Howard et al. 2019, arXiv:1905.02244."""
    return F.hardswish(z)


def mish(z: Tensor, p: P) -> Tensor:
    """z tanh(log(1 + exp(z))), in [-0.31, inf). Misra 2020, arXiv:1908.08681."""
    return F.mish(z)


def squared_relu(z: Tensor, p: P) -> Tensor:
    """max(z, 0)^2, in [0, inf). So et al. 2021, arXiv:2109.08668."""
    return F.relu(z).square()


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

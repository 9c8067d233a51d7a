"""The elementwise functions of the activation table, one for each row; joint.py has the others.

Every function takes pre-activations z (runs, batch, *positions, units) and p, its settings (numbers) and learned
parameters (runs, ...), and returns units of the same shape. Each docstring gives formula, range and source of the row.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

P = Mapping[str, Any]

RRELU_LOW, RRELU_HIGH = 1 / 8, 1 / 3  # Xu et al. 2015


def spread(parameter: Tensor, z: Tensor) -> Tensor:
    """(runs, units) -> (runs, 1, ..., 1, units), or (runs, 1) -> (runs, 1, ..., 1), to broadcast against z."""
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


def hard_sigmoid(z: Tensor, p: P) -> Tensor:
    """min(max(z + 3, 0), 6) / 6, in [0, 1]. Howard et al. 2019, arXiv:1905.02244.

    As in torch; Theano and older Keras name another line of slope 0.2 so.
    """
    return F.hardsigmoid(z)


def log_sigmoid(z: Tensor, p: P) -> Tensor:
    """-log(1 + exp(-z)), in (-inf, 0). torch's LogSigmoid, without a paper."""
    return F.logsigmoid(z)


def tanh(z: Tensor, p: P) -> Tensor:
    """tanh(z), in (-1, 1). LeCun et al. 1998, Efficient BackProp."""
    return torch.tanh(z)


def penalized_tanh(z: Tensor, p: P) -> Tensor:
    """tanh(z) if z > 0 else tanh(z) / 4, in (-0.25, 1). Xu et al. 2016, arXiv:1602.05980.

    Eger et al. 2018, arXiv:1901.02671, find it the most stable of 21 functions over eight language tasks.
    """
    return F.leaky_relu(torch.tanh(z), 0.25)


def tanhshrink(z: Tensor, p: P) -> Tensor:
    """z - tanh(z), in (-inf, inf). torch's Tanhshrink, without a paper."""
    return F.tanhshrink(z)


def hard_tanh(z: Tensor, p: P) -> Tensor:
    """min(max(z, -1), 1), in [-1, 1]. Collobert 2004, PhD thesis, Paris 6."""
    return F.hardtanh(z)


def softsign(z: Tensor, p: P) -> Tensor:
    """z / (1 + |z|), in (-1, 1). Turian et al. 2009, NAACL."""
    return F.softsign(z)


def hardshrink(z: Tensor, p: P) -> Tensor:
    """z if |z| > alpha else 0, in (-inf, inf). Donoho & Johnstone 1994, Biometrika 81, 425.

    It jumps at -alpha and alpha and takes no value between 0 and these. The default of alpha, 0.5, is torch's.
    """
    return F.hardshrink(z, p["alpha"])


def softshrink(z: Tensor, p: P) -> Tensor:
    """sign(z) max(|z| - alpha, 0), in (-inf, inf). Donoho 1995, IEEE Trans. Inf. Theory 41, 613.

    The default of alpha, 0.5, is torch's.
    """
    return F.softshrink(z, p["alpha"])


def softplus(z: Tensor, p: P) -> Tensor:
    """log(1 + exp(z)), in (0, inf). Dugas et al. 2000, NIPS."""
    return F.softplus(z)


def relu(z: Tensor, p: P) -> Tensor:
    """max(z, 0), in [0, inf). Nair & Hinton 2010, ICML."""
    return F.relu(z)


def relu6(z: Tensor, p: P) -> Tensor:
    """min(max(z, 0), 6), in [0, 6]. Krizhevsky 2010, CIFAR-10 report."""
    return F.relu6(z)


def threshold(z: Tensor, p: P) -> Tensor:
    """z if z > alpha else 0, in [0, inf). Konda et al. 2014, arXiv:1402.3337.

    torch.nn.Threshold(alpha, 0). It jumps at alpha and takes no value between 0 and alpha. torch has no default; 1 is
    that of Keras' ThresholdedReLU.
    """
    return F.threshold(z, p["alpha"], 0.0)


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


def leaky_squared_relu(z: Tensor, p: P) -> Tensor:
    """z^2 if z > 0 else (slope z)^2, in [0, inf). OpenAI's parameter-golf, record of 2026-03-23, without a paper.

    The record (github.com/openai/parameter-golf) trains with slope 0.5. The log of nanochat (karpathy/nanochat, entry
    of 2026-03-24) found it slightly better than squared ReLU per step and worse per second.
    """
    return F.leaky_relu(z, p["slope"]).square()


def star_relu(z: Tensor, p: P) -> Tensor:
    """s max(z, 0)^2 + b; s, b learned per layer from 0.8944, -0.4472, in [b, inf). Yu et al. 2022, arXiv:2210.13452.

    The initial values give mean 0 and variance 1 for z from N(0, 1). All units of a layer share s and b.
    """
    return torch.addcmul(spread(p["bias"], z), spread(p["scale"], z), F.relu(z).square())


def snake(z: Tensor, p: P) -> Tensor:
    """z + sin(alpha z)^2 / alpha, in (-inf, inf). Ziyin et al. 2020, arXiv:2006.08195.

    alpha is a setting, not learned: a learned one can come to 0, where the quotient is undefined. The default, 0.5, is
    the paper's for usual tasks; for periodic ones it suggests 5 to 50.
    """
    return z + torch.sin(p["alpha"] * z).square() / p["alpha"]

"""The activation table: name -> frozen record. The functions themselves are in functions.py and joint.py.

It does not import torch, so that the command line can list, check and suggest names within milliseconds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

INF = math.inf


@dataclass(frozen=True)
class Learned:
    """One learned parameter of an activation, without the run axis.

    shape: units of the layer -> shape. initial: a constant, or None for N(0, 1 / first axis) draws.
    """

    shape: Callable[[int], tuple[int, ...]]
    initial: float | None


@dataclass(frozen=True)
class Activation:
    """A row of the table.

    range: of h, without the gaps of functions that jump; a square bracket marks an attained end. Ends are rounded, and
        may name a setting or a learned parameter.
    smooth: f' is continuous, at the default settings and for any value of the learned parameters.
    monotone: h never falls with any of its pre-activations, at the default settings and for learned slopes and scales
        above 0 (those of dynamic_relu are outputs of a network, and of either sign).
    zero_centred: E[h] = 0 where every pre-activation is drawn from N(0, 1) independently, at the initial learned
        parameters.
    max_slope: max |f'| over all inputs but jumps, at the default settings and initial learned parameters.
    function: name in functions.py or joint.py, or a user's `module:name`; empty if it is the row's name.
    kind: `elementwise` (a unit depends on its own pre-activation), `gated` and `maxout` (on its pieces),
        `layer` (on every unit of the layer).
    pieces: pre-activation features that make one unit.
    settings: keys of `activation.*` that it takes.
    learned: learned parameters by name. random: draws noise in training.
    gain: E[f(z)^2]^(-1/2) for z ~ N(0, 1); given only where quadrature cannot compute it.
    """

    name: str
    formula: str
    source: str
    range: str
    smooth: bool
    monotone: bool
    zero_centred: bool
    max_slope: float
    function: str = ""
    kind: str = "elementwise"
    pieces: int = 1
    settings: tuple[str, ...] = ()
    learned: Mapping[str, Learned] = field(default_factory=lambda: MappingProxyType({}))
    random: bool = False
    gain: float | None = None


def _per_unit(initial: float) -> Learned:
    return Learned(lambda units: (units,), initial)


def _shared(initial: float) -> Learned:
    return Learned(lambda units: (1,), initial)


def _squeezed(units: int) -> int:
    return max(1, units // 8)  # reduction 8, Chen et al. 2020, section 4


# One dynamic-ReLU unit is the larger of two lines, whose slopes and intercepts a small network computes.
_DYNAMIC_RELU = {
    "squeeze": Learned(lambda units: (units, _squeezed(units)), None),
    "squeeze_bias": Learned(lambda units: (_squeezed(units),), 0.0),
    "excite": Learned(lambda units: (_squeezed(units), 4 * units), 0.0),
    "excite_bias": Learned(lambda units: (4 * units,), 0.0),
}

_ROWS = (
    # name, formula, source, range, smooth, monotone, zero-centred, max |f'|
    Activation("identity", "z", "linear baseline", "(-inf, inf)", True, True, True, 1.0),
    Activation(
        "sigmoid", "1 / (1 + exp(-z))", "Rumelhart et al. 1986, Nature 323, 533", "(0, 1)", True, True, False,
        0.25,
    ),
    Activation(
        "hard_sigmoid", "min(max(z + 3, 0), 6) / 6", "Howard et al. 2019, arXiv:1905.02244", "[0, 1]", False, True,
        False, 1 / 6,
    ),
    Activation(
        "log_sigmoid", "-log(1 + exp(-z))", "torch's LogSigmoid, without a paper", "(-inf, 0)", True, True, False, 1.0
    ),
    Activation("tanh", "tanh(z)", "LeCun et al. 1998, Efficient BackProp", "(-1, 1)", True, True, True, 1.0),
    Activation(
        "penalized_tanh", "tanh(z) if z > 0 else tanh(z) / 4", "Xu et al. 2016, arXiv:1602.05980", "(-0.25, 1)", False,
        True, False, 1.0,
    ),
    Activation(
        "tanhshrink", "z - tanh(z)", "torch's Tanhshrink, without a paper", "(-inf, inf)", True, True, True, 1.0
    ),
    Activation(
        "hard_tanh", "min(max(z, -1), 1)", "Collobert 2004, PhD thesis, Paris 6", "[-1, 1]", False, True, True, 1.0
    ),
    Activation("softsign", "z / (1 + |z|)", "Turian et al. 2009, NAACL", "(-1, 1)", True, True, True, 1.0),
    Activation(
        "hardshrink", "z if |z| > alpha else 0", "Donoho & Johnstone 1994, Biometrika 81, 425", "(-inf, inf)", False,
        True, True, 1.0, settings=("alpha",),
    ),
    Activation(
        "softshrink", "sign(z) max(|z| - alpha, 0)", "Donoho 1995, IEEE Trans. Inf. Theory 41, 613", "(-inf, inf)",
        False, True, True, 1.0, settings=("alpha",),
    ),
    Activation("softplus", "log(1 + exp(z))", "Dugas et al. 2000, NIPS", "(0, inf)", True, True, False, 1.0),
    Activation("relu", "max(z, 0)", "Nair & Hinton 2010, ICML", "[0, inf)", False, True, False, 1.0),
    Activation("relu6", "min(max(z, 0), 6)", "Krizhevsky 2010, CIFAR-10 report", "[0, 6]", False, True, False, 1.0),
    Activation(
        "threshold", "z if z > alpha else 0", "Konda et al. 2014, arXiv:1402.3337", "[0, inf)", False, True, False, 1.0,
        settings=("alpha",),
    ),
    Activation(
        "leaky_relu", "z if z > 0 else slope z", "Maas et al. 2013, ICML WDLASL", "(-inf, inf)", False, True, False,
        1.0, settings=("slope",),
    ),
    Activation(
        "prelu", "z if z > 0 else a z; a learned per unit from 0.25", "He et al. 2015, arXiv:1502.01852",
        "(-inf, inf)", False, True, False, 1.0, learned={"slope": _per_unit(0.25)},
    ),
    Activation(
        "rrelu", "z if z > 0 else a z; a ~ U(1/8, 1/3) in training, 11/48 after", "Xu et al. 2015, arXiv:1505.00853",
        "(-inf, inf)", False, True, False, 1.0, random=True,
    ),
    Activation(
        "elu", "z if z > 0 else alpha (exp(z) - 1)", "Clevert et al. 2016, arXiv:1511.07289", "(-alpha, inf)", True,
        True, False, 1.0, settings=("alpha",),
    ),
    Activation(
        "elu_learned", "z if z > 0 else a (exp(z) - 1); a learned per unit from 1",
        "Trottier et al. 2017, arXiv:1605.09332", "(-a, inf)", False, True, False, 1.0,
        learned={"alpha": _per_unit(1.0)},
    ),
    Activation(
        "celu", "z if z > 0 else alpha (exp(z / alpha) - 1)", "Barron 2017, arXiv:1704.07483", "(-alpha, inf)", True,
        True, False, 1.0, settings=("alpha",),
    ),
    Activation(
        "selu", "1.0507 (z if z > 0 else 1.6733 (exp(z) - 1))", "Klambauer et al. 2017, arXiv:1706.02515",
        "(-1.76, inf)", False, True, True, 1.7580993,
    ),
    Activation(
        "gelu", "z Phi(z)", "Hendrycks & Gimpel 2016, arXiv:1606.08415", "[-0.17, inf)", True, False, False, 1.128904
    ),
    Activation(
        "gelu_tanh", "z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3)))", "Hendrycks & Gimpel 2016, arXiv:1606.08415",
        "[-0.17, inf)", True, False, False, 1.128993,
    ),
    Activation(
        "quick_gelu", "z sigmoid(1.702 z)", "Hendrycks & Gimpel 2016, arXiv:1606.08415", "[-0.16, inf)", True, False,
        False, 1.099839,
    ),
    Activation(
        "silu", "z sigmoid(z)", "Elfwing et al. 2018, arXiv:1702.03118", "[-0.28, inf)", True, False, False,
        1.099839,
    ),
    Activation(
        "swish", "z sigmoid(b z); b learned per unit from 1", "Ramachandran et al. 2017, arXiv:1710.05941",
        "[-0.28/b, inf)", True, False, False, 1.099839, learned={"beta": _per_unit(1.0)},
    ),
    Activation(
        "hard_swish", "z min(max(z + 3, 0), 6) / 6", "Howard et al. 2019, arXiv:1905.02244", "[-0.375, inf)", False,
        False, False, 1.5,
    ),
    Activation(
        "mish", "z tanh(log(1 + exp(z)))", "Misra 2020, arXiv:1908.08681", "[-0.31, inf)", True, False, False,
        1.088498,
    ),
    Activation("squared_relu", "max(z, 0)^2", "So et al. 2021, arXiv:2109.08668", "[0, inf)", True, True, False, INF),
    Activation(
        "leaky_squared_relu", "z^2 if z > 0 else (slope z)^2",
        "OpenAI's parameter-golf, record of 2026-03-23, without a paper", "[0, inf)", True, False, False, INF,
        settings=("slope",),
    ),
    Activation(
        "star_relu", "s max(z, 0)^2 + b; s, b learned per layer from 0.8944, -0.4472",
        "Yu et al. 2022, arXiv:2210.13452", "[b, inf)", True, True, True, INF,
        learned={"scale": _shared(0.8944), "bias": _shared(-0.4472)},
    ),
    Activation(
        "snake", "z + sin(alpha z)^2 / alpha", "Ziyin et al. 2020, arXiv:2006.08195", "(-inf, inf)", True, True, False,
        2.0, settings=("alpha",),
    ),
    Activation(
        "softmax", "exp(z_i) / sum_j exp(z_j), over the layer's units",
        "Bridle 1990, NATO ASI F68, 227", "(0, 1)", True, True, False, 0.25, kind="layer",
    ),
    Activation(
        "maxout", "max of k linear pieces", "Goodfellow et al. 2013, arXiv:1302.4389", "(-inf, inf)", False, True,
        False, 1.0, kind="maxout", pieces=2, settings=("pieces",),
    ),
    Activation(
        "glu", "z1 sigmoid(z2)", "Dauphin et al. 2017, arXiv:1612.08083", "(-inf, inf)", True, False, True, INF,
        kind="gated", pieces=2,
    ),
    Activation(
        "reglu", "z1 max(z2, 0)", "Shazeer 2020, arXiv:2002.05202", "(-inf, inf)", False, False, True, INF,
        kind="gated", pieces=2,
    ),
    Activation(
        "geglu", "z1 z2 Phi(z2)", "Shazeer 2020, arXiv:2002.05202", "(-inf, inf)", True, False, True, INF,
        kind="gated", pieces=2,
    ),
    Activation(
        "swiglu", "z1 z2 sigmoid(z2)", "Shazeer 2020, arXiv:2002.05202", "(-inf, inf)", True, False, True, INF,
        kind="gated", pieces=2,
    ),
    Activation(
        "dynamic_relu", "max(a1 z + b1, a2 z + b2); a, b computed from the layer's mean over positions",
        "Chen et al. 2020, arXiv:2003.10027", "(-inf, inf)", False, False, False, 1.0, kind="layer",
        learned=_DYNAMIC_RELU, gain=math.sqrt(2),  # starts as ReLU
    ),
)  # fmt: skip

TABLE: Mapping[str, Activation] = MappingProxyType({row.name: row for row in _ROWS})
assert len(TABLE) == len(_ROWS), "two rows of the activation table share a name"

# Functions of the gates of recurrent layers, in gates.py.
GATES = ("sigmoid", "hard_sigmoid", "softsign")

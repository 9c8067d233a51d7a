"""Functions of the gates of recurrent layers: those of GATES, and a user's own."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from actbench.activations.custom import load_custom
from actbench.activations.table import GATES

Gate = Callable[[Tensor], Tensor]


def softsign(z: Tensor) -> Tensor:
    """(z / (1 + |z|) + 1) / 2, in (0, 1): softsign, scaled to the range of a gate."""
    return 0.5 * F.softsign(z) + 0.5


# hard_sigmoid is torch's, min(max(z + 3, 0), 6) / 6.
_FUNCTIONS: Mapping[str, Gate] = {"sigmoid": torch.sigmoid, "hard_sigmoid": F.hardsigmoid, "softsign": softsign}
assert tuple(_FUNCTIONS) == GATES


@cache
def load_gate(name: str) -> Gate:
    """The function of a gate, of GATES or a user's `module:function`, which is imported into this process.

    Raises UsageError for a function that cannot be imported or is no elementwise function.
    """
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    with warnings.catch_warnings(action="ignore"):  # of the user's code, on the inputs that it is checked with
        own = load_custom(name, "architecture.gate")
    return lambda z: own.forward(z, {})

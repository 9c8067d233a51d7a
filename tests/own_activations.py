"""Functions and modules as a user would write them, good ones and bad ones."""

import os
import resource
import signal
import time

import torch
from torch import Tensor, nn


def squareplus(z: Tensor) -> Tensor:
    return (z + torch.sqrt(z * z + 4)) / 2


def centred_relu(z: Tensor) -> Tensor:
    """Couples the units of a layer."""
    h = torch.relu(z)
    return h - h.mean(-1, keepdim=True)


class ScaledTanh(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.5]))

    def forward(self, z: Tensor) -> Tensor:
        return self.scale * torch.tanh(z)


class Nested(nn.Module):
    """Parameters of modules within, two of one name."""

    def __init__(self) -> None:
        super().__init__()
        self.lower, self.upper = nn.PReLU(), ScaledTanh()
        self.inner = nn.ModuleDict({"first": ScaledTanh(), "second": ScaledTanh()})

    def forward(self, z: Tensor) -> Tensor:
        return self.lower(z) + self.upper(z) + self.inner["first"](z) - 0.5 * self.inner["second"](z)


class ZeroPReLU(nn.PReLU):
    """Frozen, so that it is ReLU."""

    def __init__(self) -> None:
        super().__init__(init=0.0)
        self.weight.requires_grad_(False)


def other_shape(z: Tensor) -> Tensor:
    return z[..., :1]


def nan_at_zero(z: Tensor) -> Tensor:
    return z / z


def noise(z: Tensor) -> Tensor:
    return z + torch.rand_like(z)


def numpy_inside(z: Tensor) -> Tensor:
    return torch.as_tensor(z.detach().numpy())


def no_tensor(z: Tensor) -> float:
    return 0.0


def fails(z: Tensor) -> Tensor:
    raise RuntimeError("as it must")


def fails_while_training(z: Tensor) -> Tensor:
    """Passes every check before training, and raises in it."""
    if z.shape[-1] > 7:
        raise RuntimeError("too wide")
    return torch.relu(z)


NOT_CALLABLE = 3


def _is_training(z: Tensor) -> bool:
    """Whether this is more than the checks before training, whose tensors are small."""
    return z.shape[-1] > 7


def hangs_while_training(z: Tensor) -> Tensor:
    if _is_training(z):
        time.sleep(1000)
    return torch.relu(z)


def exits_while_training(z: Tensor) -> Tensor:
    if _is_training(z):
        os._exit(3)
    return torch.relu(z)


def crashes_while_training(z: Tensor) -> Tensor:
    if _is_training(z):
        os.kill(os.getpid(), signal.SIGSEGV)
    return torch.relu(z)


def interrupts_while_training(z: Tensor) -> Tensor:
    if _is_training(z):
        raise KeyboardInterrupt
    return torch.relu(z)


def fills_the_memory_while_training(z: Tensor) -> Tensor:
    """Within a limit of 8 GB on the addresses of its process."""
    if _is_training(z):
        resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, 8 * 2**30))
        return torch.relu(z) + torch.ones(2**33).sum()
    return torch.relu(z)


def lacks_a_file_while_training(z: Tensor) -> Tensor:
    if _is_training(z):
        raise FileNotFoundError("no table of values")
    return torch.relu(z)

"""torch's optimizers over a stack, each run at its own learning rate, and rounding as if it were alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from actbench.determinism import VECTOR

# (gradients, learning rate): updates the parameters of one group in place.
Update = Callable[[list[Tensor], float], None]


@dataclass
class _Group:
    """Parts of stacked parameters with one learning rate and decay. members: (parameter, part) of each tensor."""

    rate: float
    members: list[tuple[int, int]]
    update: Update


class StackOptimizer:
    """Updates stacked parameters in place, each run by its own learning rate, as if it were alone.

    parameters: name -> (runs, ...). owners: name -> index of the run behind each entry of the leading axis (learned
    activation parameters exist for some runs only). decays: names that weight decay applies to. rates: of each run.
    Neighbouring runs of one rate are updated as one tensor where each fills whole SIMD vectors: a kernel rounds the
    values left over at a tensor's end differently.
    """

    def __init__(
        self, config: Any, parameters: Mapping[str, Tensor], owners: Mapping[str, Sequence[int]],
        decays: frozenset[str], rates: Sequence[float],
    ) -> None:  # fmt: skip
        self._sizes: list[list[int]] = []
        groups: dict[tuple[float, bool], tuple[list[tuple[int, int]], list[Tensor]]] = {}
        for index, (name, tensor) in enumerate(parameters.items()):
            own = [rates[run] for run in owners[name]]
            sizes = _spans(own, tensor.device.type != "cpu" or tensor[0].numel() % VECTOR == 0)
            self._sizes.append(sizes)
            start = 0
            for part, (size, values) in enumerate(zip(sizes, tensor.detach().split(sizes), strict=True)):
                members, tensors = groups.setdefault((own[start], name in decays), ([], []))
                members.append((index, part))
                tensors.append(values)
                start += size
        self._groups = [
            _Group(rate, members, _update(config, tensors, config.weight_decay if decay else 0.0))
            for (rate, decay), (members, tensors) in groups.items()
        ]

    def step(self, gradients: Sequence[Tensor], multiplier: float) -> None:
        """gradients: in the order of the parameters, (runs, ...). multiplier: of the learning rate, by schedule."""
        parts = [gradient.split(sizes) for gradient, sizes in zip(gradients, self._sizes, strict=True)]
        for group in self._groups:
            group.update([parts[index][part] for index, part in group.members], group.rate * multiplier)


def _spans(rates: Sequence[float], merge: bool) -> list[int]:
    """Lengths of the runs' spans that are updated as one."""
    sizes: list[int] = []
    for index, rate in enumerate(rates):
        if merge and index and rate == rates[index - 1]:
            sizes[-1] += 1
        else:
            sizes.append(1)
    return sizes


def _update(config: Any, tensors: list[Tensor], decay: float) -> Update:
    """torch's fused kernels, called without torch.optim: its bookkeeping took a tenth of a step of a small network."""
    device = tensors[0].device
    match config.name:
        case "adam" | "adamw":
            return _adam(config, tensors, decay)
        case "sgd":
            return _sgd(config, tensors, decay)
        case "adagrad" if device.type == "cpu":  # elsewhere its kernel is newer than torch 2.10
            return _adagrad(config, tensors, decay)
        case "adagrad":
            return _by_torch(
                torch.optim.Adagrad(tensors, lr_decay=config.lr_decay, eps=config.eps, weight_decay=decay), tensors
            )
        case "rmsprop":  # has no fused kernel
            optimizer = torch.optim.RMSprop(
                tensors, alpha=config.alpha, eps=config.eps, momentum=config.momentum, weight_decay=decay
            )
            return _by_torch(optimizer, tensors)
    raise ValueError(config.name)


def _zeros(tensors: list[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(tensor) for tensor in tensors]


def _steps(tensors: list[Tensor]) -> Tensor:
    """Steps taken, which the kernels want as a tensor; one for all."""
    return torch.zeros((), device=tensors[0].device)


def _adam(config: Any, tensors: list[Tensor], decay: float) -> Update:
    kernel = torch._fused_adam_ if config.name == "adam" else torch._fused_adamw_
    means, squares, steps = _zeros(tensors), _zeros(tensors), _steps(tensors)
    each = [steps] * len(tensors)

    def update(gradients: list[Tensor], rate: float) -> None:
        steps.add_(1)
        kernel(
            tensors, gradients, means, squares, [], each, lr=rate, beta1=config.beta1, beta2=config.beta2,
            weight_decay=decay, eps=config.eps, amsgrad=False, maximize=False,
        )  # fmt: skip

    return update


def _sgd(config: Any, tensors: list[Tensor], decay: float) -> Update:
    momenta, first = _zeros(tensors) if config.momentum else [], True

    def update(gradients: list[Tensor], rate: float) -> None:
        nonlocal first
        torch._fused_sgd_(
            tensors, gradients, momenta, weight_decay=decay, momentum=config.momentum, lr=rate, dampening=0.0,
            nesterov=config.nesterov, maximize=False, is_first_step=first,
        )  # fmt: skip
        first = False

    return update


def _adagrad(config: Any, tensors: list[Tensor], decay: float) -> Update:
    sums, steps = _zeros(tensors), _steps(tensors)
    each = [steps] * len(tensors)

    def update(gradients: list[Tensor], rate: float) -> None:
        steps.add_(1)
        torch._fused_adagrad_(
            tensors, gradients, sums, each, lr=rate, lr_decay=config.lr_decay, weight_decay=decay, eps=config.eps,
            maximize=False,
        )  # fmt: skip

    return update


def _by_torch(optimizer: torch.optim.Optimizer, tensors: list[Tensor]) -> Update:
    def update(gradients: list[Tensor], rate: float) -> None:
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = gradient
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()

    return update

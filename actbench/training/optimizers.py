"""torch's optimizers over a stack: each run has its own learning rate, and its bits are those of a run alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from actbench.determinism import VECTOR

# (gradients, multiplier of the learning rate): updates some parameters in place.
Update = Callable[[list[Tensor], float], None]


class StackOptimizer:
    """Updates stacked parameters in place, each run at its own learning rate, with the bits of a run alone.

    parameters: name -> (runs, ...). owners: name -> index of the run behind each entry of the leading axis (learned
    activation parameters exist for some runs only). decays: names that weight decay applies to. rates: of each run.
    Neighbouring runs of one rate are updated as one tensor where each fills whole SIMD vectors: a kernel rounds the
    values left over at a tensor's end differently.
    """

    def __init__(
        self, settings: Any, parameters: Mapping[str, Tensor], owners: Mapping[str, Sequence[int]],
        decays: frozenset[str], rates: Sequence[float],
    ) -> None:  # fmt: skip
        self._sizes: list[list[int]] = []
        # Slices of parameters with one learning rate and decay: (parameter, part) of each, and its values.
        groups: dict[tuple[float, bool], tuple[list[tuple[int, int]], list[Tensor]]] = {}
        for index, (name, tensor) in enumerate(parameters.items()):
            rates_here = [rates[run] for run in owners[name]]
            sizes = _spans(rates_here, tensor.device.type != "cpu" or tensor[0].numel() % VECTOR == 0)
            self._sizes.append(sizes)
            start = 0
            for part, (size, values) in enumerate(zip(sizes, tensor.detach().split(sizes), strict=True)):
                members, tensors = groups.setdefault((rates_here[start], name in decays), ([], []))
                members.append((index, part))
                tensors.append(values)
                start += size
        make = UPDATES[settings.name]
        self._groups = [
            (members, make(settings, tensors, rate, settings.weight_decay if decay else 0.0))
            for (rate, decay), (members, tensors) in groups.items()
        ]

    def step(self, gradients: Sequence[Tensor], multiplier: float) -> None:
        """gradients: in the order of the parameters, (runs, ...). multiplier: of the learning rate, by schedule."""
        parts = [gradient.split(sizes) for gradient, sizes in zip(gradients, self._sizes, strict=True)]
        for members, update in self._groups:
            update([parts[index][part] for index, part in members], multiplier)


def _spans(rates: Sequence[float], merge: bool) -> list[int]:
    """Lengths of the spans of runs that are updated as one: neighbours of one rate, or single runs."""
    sizes: list[int] = []
    for index, rate in enumerate(rates):
        if merge and index and rate == rates[index - 1]:
            sizes[-1] += 1
        else:
            sizes.append(1)
    return sizes


def _zeros(tensors: list[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(tensor) for tensor in tensors]


def _steps(tensors: list[Tensor]) -> list[Tensor]:
    """Steps taken, which the kernels take as one tensor for each parameter: here the same one."""
    return [torch.zeros((), device=tensors[0].device)] * len(tensors)


def _adam(settings: Any, tensors: list[Tensor], lr: float, decay: float) -> Update:
    kernel = torch._fused_adam_ if settings.name == "adam" else torch._fused_adamw_
    means, squares, steps = _zeros(tensors), _zeros(tensors), _steps(tensors)

    def update(gradients: list[Tensor], multiplier: float) -> None:
        steps[0].add_(1)
        kernel(
            tensors, gradients, means, squares, [], steps, lr=lr * multiplier, beta1=settings.beta1,
            beta2=settings.beta2, weight_decay=decay, eps=settings.eps, amsgrad=False, maximize=False,
        )  # fmt: skip

    return update


def _sgd(settings: Any, tensors: list[Tensor], lr: float, decay: float) -> Update:
    momenta, first = _zeros(tensors) if settings.momentum else [], True

    def update(gradients: list[Tensor], multiplier: float) -> None:
        nonlocal first
        torch._fused_sgd_(
            tensors, gradients, momenta, weight_decay=decay, momentum=settings.momentum, lr=lr * multiplier,
            dampening=0.0, nesterov=settings.nesterov, maximize=False, is_first_step=first,
        )  # fmt: skip
        first = False

    return update


def _adagrad(settings: Any, tensors: list[Tensor], lr: float, decay: float) -> Update:
    if tensors[0].device.type != "cpu":  # where its kernel is newer than torch 2.10
        optimizer = torch.optim.Adagrad(tensors, lr_decay=settings.lr_decay, eps=settings.eps, weight_decay=decay)
        return _by_torch(optimizer, tensors, lr)
    sums, steps = _zeros(tensors), _steps(tensors)

    def update(gradients: list[Tensor], multiplier: float) -> None:
        steps[0].add_(1)
        torch._fused_adagrad_(
            tensors, gradients, sums, steps, lr=lr * multiplier, lr_decay=settings.lr_decay, weight_decay=decay,
            eps=settings.eps, maximize=False,
        )  # fmt: skip

    return update


def _rmsprop(settings: Any, tensors: list[Tensor], lr: float, decay: float) -> Update:
    """RMSprop has no fused kernel."""
    optimizer = torch.optim.RMSprop(
        tensors, alpha=settings.alpha, eps=settings.eps, momentum=settings.momentum, weight_decay=decay
    )
    return _by_torch(optimizer, tensors, lr)


def _by_torch(optimizer: torch.optim.Optimizer, tensors: list[Tensor], lr: float) -> Update:
    def update(gradients: list[Tensor], multiplier: float) -> None:
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = gradient
        optimizer.param_groups[0]["lr"] = lr * multiplier
        optimizer.step()

    return update


# torch's fused kernels are called without torch.optim, whose bookkeeping took a tenth of a step of a small network.
UPDATES: Mapping[str, Callable[[Any, list[Tensor], float, float], Update]] = {
    "sgd": _sgd, "adam": _adam, "adamw": _adam, "rmsprop": _rmsprop, "adagrad": _adagrad,
}  # fmt: skip

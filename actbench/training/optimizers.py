"""torch's optimizers over a stack: each run has its own learning rate, and its bits are those of a run alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from actbench.determinism import VECTOR

# (gradients, multiplier of the learning rate): updates some parameters in place.
Update = Callable[[list[Tensor], float], None]


class Updater(NamedTuple):
    """An optimizer of some parameters. read: its state by name. write: sets the state to what `read` returned."""

    update: Update
    read: Callable[[], dict[str, Tensor]]
    write: Callable[[Mapping[str, Tensor]], None]


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
        for members, updater in self._groups:
            updater.update([parts[index][part] for index, part in members], multiplier)

    def state(self) -> dict[str, Tensor]:
        """What later steps depend on beside the parameters, by name."""
        return {
            f"{group}.{name}": tensor
            for group, (_, updater) in enumerate(self._groups)
            for name, tensor in updater.read().items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Sets the state to one that an equal stack's optimizer returned."""
        for group, (_, updater) in enumerate(self._groups):
            prefix = f"{group}."
            updater.write({name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)})


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


def _updater(update: Update, **state: Sequence[Tensor]) -> Updater:
    """An optimizer whose state is tensors that it changes in place."""
    named = {f"{name}.{index}": tensor for name, tensors in state.items() for index, tensor in enumerate(tensors)}

    def write(saved: Mapping[str, Tensor]) -> None:
        for name, tensor in named.items():
            tensor.copy_(saved[name])

    return Updater(update, lambda: named, write)


def _adam(settings: Any, tensors: list[Tensor], lr: float, decay: float) -> Updater:
    kernel = torch._fused_adam_ if settings.name == "adam" else torch._fused_adamw_
    means, squares, steps = _zeros(tensors), _zeros(tensors), _steps(tensors)

    def update(gradients: list[Tensor], multiplier: float) -> None:
        steps[0].add_(1)
        kernel(
            tensors, gradients, means, squares, [], steps, lr=lr * multiplier, beta1=settings.beta1,
            beta2=settings.beta2, weight_decay=decay, eps=settings.eps, amsgrad=False, maximize=False,
        )  # fmt: skip

    return _updater(update, mean=means, square=squares, steps=steps[:1])


def _sgd(settings: Any, tensors: list[Tensor], lr: float, decay: float) -> Updater:
    momenta, first = _zeros(tensors) if settings.momentum else [], torch.ones((), dtype=torch.bool)  # on the CPU

    def update(gradients: list[Tensor], multiplier: float) -> None:
        torch._fused_sgd_(
            tensors, gradients, momenta, weight_decay=decay, momentum=settings.momentum, lr=lr * multiplier,
            dampening=0.0, nesterov=settings.nesterov, maximize=False, is_first_step=bool(first),
        )  # fmt: skip
        first.fill_(False)

    return _updater(update, momentum=momenta, first=[first])


def _adagrad(settings: Any, tensors: list[Tensor], lr: float, decay: float) -> Updater:
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

    return _updater(update, sum=sums, steps=steps[:1])


def _rmsprop(settings: Any, tensors: list[Tensor], lr: float, decay: float) -> Updater:
    """RMSprop has no fused kernel."""
    optimizer = torch.optim.RMSprop(
        tensors, alpha=settings.alpha, eps=settings.eps, momentum=settings.momentum, weight_decay=decay
    )
    return _by_torch(optimizer, tensors, lr)


def _by_torch(optimizer: torch.optim.Optimizer, tensors: list[Tensor], lr: float) -> Updater:
    """An optimizer of torch.optim, which makes its state at its first step."""

    def update(gradients: list[Tensor], multiplier: float) -> None:
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = gradient
        optimizer.param_groups[0]["lr"] = lr * multiplier
        optimizer.step()

    def read() -> dict[str, Tensor]:
        return {
            f"{index}.{name}": value
            for index, tensor in enumerate(tensors)
            for name, value in optimizer.state[tensor].items()
            if isinstance(value, Tensor)
        }

    def write(saved: Mapping[str, Tensor]) -> None:
        for name, value in saved.items():
            index, key = name.split(".", 1)
            optimizer.state[tensors[int(index)]][key] = value

    return Updater(update, read, write)


# torch's fused kernels are called without torch.optim, whose bookkeeping took a tenth of a step of a small network.
UPDATES: Mapping[str, Callable[[Any, list[Tensor], float, float], Updater]] = {
    "sgd": _sgd, "adam": _adam, "adamw": _adam, "rmsprop": _rmsprop, "adagrad": _adagrad,
}  # fmt: skip

"""torch's optimizers over a stack: each run has its own learning rate, and its bits are those of a run alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from actbench.determinism import VECTOR

# (gradients, learning rate): updates some parameters in place. The rate is a number or a tensor on the device.
Update = Callable[[list[Tensor], float | Tensor], None]


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
    values left over at a tensor's end differently. capturable: whether learning rates are tensors on the device, as a
    CUDA graph needs; by default on every device but the CPU.
    """

    def __init__(
        self, settings: Any, parameters: Mapping[str, Tensor], owners: Mapping[str, Sequence[int]],
        decays: frozenset[str], rates: Sequence[float], capturable: bool | None = None,
    ) -> None:  # fmt: skip
        device = next(iter(parameters.values())).device
        self._capturable = device.type != "cpu" if capturable is None else capturable
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
        make = (CAPTURABLE if self._capturable else UPDATES)[settings.name]
        self._groups = [
            (members, make(settings, tensors, settings.weight_decay if decay else 0.0))
            for (_, decay), (members, tensors) in groups.items()
        ]
        self._rates = [rate for rate, _ in groups]
        self._rates_there = torch.tensor(self._rates, dtype=torch.float64, device=device)
        self._multiplier = 1.0
        self._multiplier_there = torch.ones((), dtype=torch.float64, device=device)

    def prepare(self, multiplier: float) -> None:
        """Sets the multiplier of all learning rates, by schedule."""
        if self._capturable and multiplier != self._multiplier:
            self._multiplier_there.fill_(multiplier)
        self._multiplier = multiplier

    def update(self, gradients: Sequence[Tensor]) -> None:
        """Updates the parameters. gradients: in their order, (runs, ...)."""
        # Kernels go by memory: a convolution's may have its channels last, a recurrent layer's are parts of one tensor.
        gradients = [gradient.contiguous() for gradient in gradients]
        parts = [gradient.split(sizes) for gradient, sizes in zip(gradients, self._sizes, strict=True)]
        for (members, updater), rate in zip(self._groups, self._learning_rates(), strict=True):
            updater.update([parts[index][part] for index, part in members], rate)

    def step(self, gradients: Sequence[Tensor], multiplier: float) -> None:
        """`prepare` and `update` in one call."""
        self.prepare(multiplier)
        self.update(gradients)

    def _learning_rates(self) -> Sequence[float | Tensor]:
        """Of each group."""
        if not self._capturable:
            return [rate * self._multiplier for rate in self._rates]
        rates = self._rates_there * self._multiplier_there
        # torch's CUDA kernels read a learning rate in float32, those of the CPU in float64.
        return (rates if rates.device.type == "cpu" else rates.float()).unbind()

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


def _adam(settings: Any, tensors: list[Tensor], decay: float) -> Updater:
    kernel = torch._fused_adam_ if settings.name == "adam" else torch._fused_adamw_
    means, squares, steps = _zeros(tensors), _zeros(tensors), _steps(tensors)

    def update(gradients: list[Tensor], lr: float | Tensor) -> None:
        steps[0].add_(1)
        kernel(
            tensors, gradients, means, squares, [], steps, lr=lr, beta1=settings.beta1, beta2=settings.beta2,
            weight_decay=decay, eps=settings.eps, amsgrad=False, maximize=False,
        )  # fmt: skip

    return _updater(update, mean=means, square=squares, steps=steps[:1])


def _sgd(settings: Any, tensors: list[Tensor], decay: float) -> Updater:
    momenta, first = _zeros(tensors) if settings.momentum else [], True

    def update(gradients: list[Tensor], lr: float | Tensor) -> None:
        nonlocal first
        torch._fused_sgd_(
            tensors, gradients, momenta, weight_decay=decay, momentum=settings.momentum, lr=lr, dampening=0.0,
            nesterov=settings.nesterov, maximize=False, is_first_step=first,
        )  # fmt: skip
        first = False

    def read() -> dict[str, Tensor]:
        return momentum.read() | {"first.0": torch.tensor(first)}

    def write(saved: Mapping[str, Tensor]) -> None:
        nonlocal first
        momentum.write(saved)
        first = bool(saved["first.0"])

    momentum = _updater(update, momentum=momenta)
    return Updater(update, read, write)


def _adagrad(settings: Any, tensors: list[Tensor], decay: float) -> Updater:
    sums, steps = _zeros(tensors), _steps(tensors)

    def update(gradients: list[Tensor], lr: float | Tensor) -> None:
        steps[0].add_(1)
        torch._fused_adagrad_(
            tensors, gradients, sums, steps, lr=lr, lr_decay=settings.lr_decay, weight_decay=decay, eps=settings.eps,
            maximize=False,
        )  # fmt: skip

    return _updater(update, sum=sums, steps=steps[:1])


def _capturable_adagrad(settings: Any, tensors: list[Tensor], decay: float) -> Updater:
    """Adagrad as torch.optim.Adagrad, whose kernel for CUDA is newer than torch 2.10, and which cannot be captured."""
    sums, steps = _zeros(tensors), _steps(tensors)

    def update(gradients: list[Tensor], lr: float | Tensor) -> None:
        decayed = list(torch._foreach_add(gradients, tensors, alpha=decay)) if decay else gradients
        torch._foreach_addcmul_(sums, decayed, decayed)
        changes = _quotients(decayed, sums, settings.eps)
        _subtract(tensors, changes, lr / (1 + steps[0] * settings.lr_decay))
        steps[0].add_(1)

    return _updater(update, sum=sums, steps=steps[:1])


def _rmsprop(settings: Any, tensors: list[Tensor], decay: float) -> Updater:
    """RMSprop has no fused kernel."""
    optimizer = torch.optim.RMSprop(
        tensors, alpha=settings.alpha, eps=settings.eps, momentum=settings.momentum, weight_decay=decay
    )
    return _by_torch(optimizer, tensors)


def _capturable_rmsprop(settings: Any, tensors: list[Tensor], decay: float) -> Updater:
    """RMSprop as torch.optim.RMSprop, with the learning rate on the device."""
    squares, momenta = _zeros(tensors), _zeros(tensors) if settings.momentum else []

    def update(gradients: list[Tensor], lr: float | Tensor) -> None:
        decayed = list(torch._foreach_add(gradients, tensors, alpha=decay)) if decay else gradients
        torch._foreach_mul_(squares, settings.alpha)
        torch._foreach_addcmul_(squares, decayed, decayed, value=1 - settings.alpha)
        changes = _quotients(decayed, squares, settings.eps)
        if momenta:
            torch._foreach_mul_(momenta, settings.momentum)
            torch._foreach_add_(momenta, changes)
            changes = [momentum.clone() for momentum in momenta]
        _subtract(tensors, changes, lr)

    return _updater(update, square=squares, momentum=momenta)


def _quotients(gradients: Sequence[Tensor], squares: Sequence[Tensor], eps: float) -> list[Tensor]:
    """gradients / (sqrt(squares) + eps)."""
    roots = list(torch._foreach_sqrt(list(squares)))
    torch._foreach_add_(roots, eps)
    return list(torch._foreach_div(list(gradients), roots))


def _subtract(tensors: list[Tensor], changes: list[Tensor], lr: float | Tensor) -> None:
    """Subtracts lr * changes from the parameters; `changes` is overwritten."""
    torch._foreach_mul_(changes, lr if isinstance(lr, float) else lr.to(tensors[0].dtype))
    torch._foreach_sub_(tensors, changes)


def _by_torch(optimizer: torch.optim.Optimizer, tensors: list[Tensor]) -> Updater:
    """An optimizer of torch.optim, which makes its state at its first step."""

    def update(gradients: list[Tensor], lr: float | Tensor) -> None:
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = gradient
        optimizer.param_groups[0]["lr"] = lr
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
UPDATES: Mapping[str, Callable[[Any, list[Tensor], float], Updater]] = {
    "sgd": _sgd, "adam": _adam, "adamw": _adam, "rmsprop": _rmsprop, "adagrad": _adagrad,
}  # fmt: skip
CAPTURABLE = {**UPDATES, "rmsprop": _capturable_rmsprop, "adagrad": _capturable_adagrad}

"""torch's optimizers over a stack: one parameter group a learning rate and decay, one tensor a run and parameter."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class StackOptimizer:
    """Updates stacked parameters in place, each run by its own learning rate, as if it were alone.

    parameters: name -> (runs, ...). owners: name -> index of the run behind each entry of the leading axis (learned
    activation parameters exist for some runs only). decays: names that weight decay applies to. rates: of each run.
    The optimizer's tensors are one view a run: the fused kernels then round each run's update the same in any stack.
    """

    def __init__(
        self, config: Any, parameters: Mapping[str, Tensor], owners: Mapping[str, Sequence[int]],
        decays: frozenset[str], rates: Sequence[float],
    ) -> None:  # fmt: skip
        self._stacked = list(parameters.values())
        self._views = [list(tensor.detach().unbind(0)) for tensor in self._stacked]
        groups: dict[tuple[float, bool], list[Tensor]] = {}
        for name, views in zip(parameters, self._views, strict=True):
            for run, view in zip(owners[name], views, strict=True):
                groups.setdefault((rates[run], name in decays), []).append(view)
        self._rates = [rate for rate, _ in groups]
        self._optimizer = _build(config, [
            {"params": views, "lr": rate, "weight_decay": config.weight_decay if decay else 0.0}
            for (rate, decay), views in groups.items()
        ])  # fmt: skip

    def step(self, gradients: Sequence[Tensor], multiplier: float) -> None:
        """gradients: in the order of the parameters, (runs, ...). multiplier: of the learning rate, by schedule."""
        for views, gradient in zip(self._views, gradients, strict=True):
            for view, grad in zip(views, gradient.unbind(0), strict=True):
                view.grad = grad
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * multiplier
        self._optimizer.step()


def _build(config: Any, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    match config.name:
        case "sgd":
            return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov, fused=True)
        case "adam" | "adamw":
            cls = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
            return cls(groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(
                groups, lr=config.lr, alpha=config.alpha, eps=config.eps, momentum=config.momentum
            )
        case "adagrad":  # its fused kernel exists on the CPU only
            return torch.optim.Adagrad(groups, lr=config.lr, lr_decay=config.lr_decay, eps=config.eps)
    raise ValueError(config.name)

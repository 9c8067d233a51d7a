"""The stacked optimizers against torch's own on one run at a time; schedules against torch's."""

import inspect
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from actbench.experiment.schema import RunSettings
from actbench.training import optimizers
from actbench.training.optimizers import StackOptimizer
from actbench.training.schedules import multiplier

RATES = (0.1, 0.01, 0.1)


def gradients(step: int) -> Tensor:
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(step))


def reference(config: object, parameter: Tensor, rate: float) -> torch.optim.Optimizer:
    keys = {k: v for k, v in vars(config).items() if k not in ("name", "lr", "beta1", "beta2")}
    if hasattr(config, "beta1"):
        keys["betas"] = (config.beta1, config.beta2)  # type: ignore[attr-defined]
    names = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad"}
    cls = getattr(torch.optim, names[config.name])  # type: ignore[attr-defined]
    optimizer: torch.optim.Optimizer = cls([parameter], lr=rate, **keys, foreach=False)
    return optimizer


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "adamw", "rmsprop", "adagrad"])
def test_stack_equals_torch_one_run_at_a_time(
    name: str, capturable: bool, configs: Callable[..., list[RunSettings]]
) -> None:
    more = {"rmsprop": ["optimizer.momentum=0.9"], "adagrad": ["optimizer.lr_decay=0.1"]}.get(name, [])
    config = configs(f"optimizer={name}", "optimizer.weight_decay=0.1", *more)[0].optimizer
    stacked = torch.ones(3, 5, requires_grad=True)
    ours = StackOptimizer(config, {"w": stacked}, {"w": [0, 1, 2]}, frozenset({"w"}), RATES, capturable)
    singles = [torch.ones(5, requires_grad=True) for _ in RATES]
    theirs = [reference(config, single, rate) for single, rate in zip(singles, RATES, strict=True)]
    for step in range(5):
        ours.step([gradients(step)], 1.0)
        for run, (single, optimizer) in enumerate(zip(singles, theirs, strict=True)):
            single.grad = gradients(step)[run]
            optimizer.step()
    assert torch.allclose(stacked, torch.stack(singles), atol=1e-6)


def test_torch_has_the_private_kernels_that_are_called() -> None:
    kernels = set(re.findall(r"torch\.(_fused_\w+)", inspect.getsource(optimizers)))
    assert kernels == {"_fused_sgd_", "_fused_adam_", "_fused_adamw_", "_fused_adagrad_"}
    for kernel in kernels:
        assert hasattr(torch, kernel), (
            f"torch {torch.__version__} has no torch.{kernel}, which actbench/training/optimizers.py calls; call its "
            "replacement there, or lower the upper bound of torch in pyproject.toml"
        )


def test_learned_activation_parameters_do_not_decay(configs: Callable[..., list[RunSettings]]) -> None:
    config = configs("optimizer=adamw", "optimizer.weight_decay=0.5")[0].optimizer
    weight, slope = torch.ones(2, 3, requires_grad=True), torch.ones(1, 3, requires_grad=True)
    optimizer = StackOptimizer(config, {"w": weight, "a": slope}, {"w": [0, 1], "a": [1]}, frozenset({"w"}), (0.1, 0.2))
    optimizer.step([torch.zeros(2, 3), torch.zeros(1, 3)], 1.0)
    assert torch.allclose(weight, torch.tensor([[0.95], [0.9]]).expand(2, 3))
    assert torch.equal(slope, torch.ones(1, 3))


def test_schedules_equal_torchs() -> None:
    assert [multiplier("constant", step, 10, 0.0) for step in (0, 9)] == [1, 1]
    assert [multiplier("linear", step, 4, 0.0) for step in range(4)] == [1, 0.75, 0.5, 0.25]
    assert [multiplier("constant", step, 10, 0.3) for step in range(4)] == [0.25, 0.5, 0.75, 1]
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    for step in range(20):
        assert multiplier("cosine", step, 20, 0.0) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()
    assert multiplier("cosine", 0, 0, 0.05) == 1  # a run of no steps

"""A step's device part neither waits for the device nor mixes devices: run on torch's meta device, without values.

torch's fake CUDA tensors would be nearer, but their backward pass asks for a driver.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from actbench.activations.table import TABLE
from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import make_run
from actbench.training.evaluator import Evaluator, evaluate
from actbench.training.loop import set_up
from actbench.training.progress import Progress
from actbench.training.stacks import Stack
from actbench.training.step import TrainingStep
from tests.support import Configs

META = torch.device("meta")
# Operations whose result has a size that the host must learn, or that copy to the host.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "repeat_interleave", "equal")


class _OnDevice(TorchDispatchMode):
    """Raises AssertionError for an operation with a tensor on another device, or one that waits for the device."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        name = function._schema.name.removeprefix("aten::")
        assert not name.startswith(WAITING), f"{name} waits for the device"
        for tensor in tree_leaves((args, kwargs, output)):
            assert not isinstance(tensor, Tensor) or tensor.device == META, f"{name} on {tensor.device}"
        is_index = name.startswith(("index.", "index_put"))
        assert not (is_index and any(t.dtype == torch.bool for t in tree_leaves(args[1]))), "indexing by booleans waits"
        return output


class _NoKernels(TorchDispatchMode):
    """The fused optimizers have no kernel on the meta device; they return nothing."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return None if "_fused_" in function._schema.name else function(*args, **(kwargs or {}))


def step_on_meta(configs: Configs, data: PreparedData, images: ImageData, *overrides: str) -> TrainingStep:
    points = configs("seed=0,1", "architecture.match_parameters=false", "training.batch_size=64", *overrides)
    runs = tuple(make_run(point, data, "sweep") for point in points)
    network, batches, optimizer = set_up(Stack(runs), images, META)
    progress = Progress(len(runs), META, lambda step: None)
    return TrainingStep(network, batches, optimizer, progress, runs[0].settings.training, 100)


def check(step: TrainingStep, number: int) -> None:
    with _NoKernels():
        step(number)  # the first step of a batch size makes the buffers of random numbers
        step.prepare(number + 18)
        with _OnDevice():
            step.compute()


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw", "rmsprop", "adagrad"])
@pytest.mark.parametrize("architecture", ["mlp_small", "cnn_small", "transformer_small"])
def test_the_device_part_of_a_step_stays_on_the_device(
    architecture: str, optimizer: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    more = ("training.augment=true", "training.dropout=0.1", "training.clip_norm=1.0", "training.schedule=cosine")
    step = step_on_meta(
        configs, digits, digits_data, f"architecture={architecture}", f"optimizer={optimizer}",
        "activation=prelu,rrelu", "architecture.norm=layer", *more,
    )  # fmt: skip
    for number in (0, 17):  # of both batch sizes
        check(step, number)


@pytest.mark.parametrize("activation", sorted(TABLE))
def test_every_activation_stays_on_the_device(
    activation: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    step = step_on_meta(configs, digits, digits_data, "architecture=mlp_small", f"activation={activation}",
        "architecture.norm=batch")  # fmt: skip
    check(step, 0)


def test_an_evaluation_stays_on_the_device(configs: Configs, digits: PreparedData, digits_data: ImageData) -> None:
    runs = tuple(make_run(point, digits, "sweep") for point in configs("architecture=mlp_small", "seed=0,1"))
    network, batches, _ = set_up(Stack(runs), digits_data, META)
    with _OnDevice():
        loss, losses, hits = evaluate(Evaluator(network), batches.validation, 288)
    assert (loss.shape, losses.shape, hits.shape) == ((2,), (2, 288), (2, 288))


@pytest.mark.parametrize("call", [lambda t: t.sum().item(), lambda t: t[t > 0], lambda t: t + torch.ones(3)])
def test_a_wait_or_another_device_is_noticed(call: Any) -> None:
    values = torch.ones(3, device=META)
    with pytest.raises((AssertionError, RuntimeError)), _OnDevice():
        call(values)

"""The core of training on any device, with few packages: scripts/gpu.sh runs these tests on CUDA.

A GPU's bits differ from a CPU's, and may differ with the size of a stack, so numbers are compared within tolerances.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from actbench.activations.bound import constant_parameters
from actbench.activations.load import load_activation
from actbench.activations.table import TABLE
from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.compose import activation_defaults, compose_grid
from actbench.experiment.runs import Run, make_run
from actbench.metrics.gradients import squares_at_once, sum_of_squares
from actbench.metrics.histograms import counts
from actbench.training import loop
from actbench.training.loop import train
from actbench.training.optimizers import StackOptimizer
from actbench.training.results import Record
from actbench.training.resume import StackCheckpoint
from actbench.training.stacks import Stack

pytestmark = pytest.mark.device
CPU = torch.device("cpu")
PREPARED = PreparedData("random", "", "random", 8, 8, 1, 10, 1000, 200)
STEPS = ("training.batch_size=64", "training.steps=70", "training.evaluate_every=35", "training.measure_every=35")


def images() -> ImageData:
    """Images of ten classes, each a pattern in noise."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randint(0, 200, (10, 8, 8, 1), generator=generator)
    labels = torch.arange(1200) % 10
    pixels = patterns[labels] + torch.randint(0, 56, (1200, 8, 8, 1), generator=generator)
    pixels = pixels.to(torch.uint8)
    return ImageData(pixels[:1000], labels[:1000], pixels[1000:], labels[1000:])


def runs_of(*overrides: str) -> list[Run]:
    return [make_run(point, PREPARED, "sweep") for point in compose_grid([*STEPS, *overrides]).runs]


def curve(records: Sequence[Record], metric: str) -> Tensor:
    """(steps, runs)."""
    return torch.stack([torch.from_numpy(r.values) for r in records if r.metric == metric and r.layer is None])


@pytest.mark.parametrize("name", list(TABLE))
def test_an_activation_and_its_gradient_are_those_of_the_cpu(name: str, device: torch.device) -> None:
    settings = {key: value for key, value in activation_defaults(name).items() if key in TABLE[name].settings}
    row = load_activation(name, None, **settings)
    z = torch.randn(3, 20, 6 * row.pieces, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    learned = constant_parameters(row, 6, torch.float64)
    values = []
    for place in (CPU, device):
        leaf = z.to(place).requires_grad_()
        p = {key: value.to(place).expand(3, *value.shape[1:]) for key, value in learned.items()}
        h = row.forward(leaf, p)
        (gradient,) = torch.autograd.grad(h.square().sum(), leaf)
        values.append((h.detach().cpu(), gradient.cpu(), row.derivative(z.to(place), p).cpu()))
    for ours, theirs in zip(*values, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam", "adamw", "rmsprop", "adagrad"])
def test_an_optimizer_takes_the_steps_that_it_takes_on_the_cpu(name: str, device: torch.device) -> None:
    config = compose_grid([f"optimizer={name}", "optimizer.weight_decay=0.1"]).runs[0].optimizer
    ends = []
    for place in (CPU, device):
        weights = torch.ones(3, 5, device=place)
        ours = StackOptimizer(config, {"w": weights}, {"w": [0, 1, 2]}, frozenset({"w"}), (0.1, 0.01, 0.1))
        for step in range(5):
            ours.step([torch.randn(3, 5, generator=torch.Generator().manual_seed(step)).to(place)], 0.9**step)
        ends.append(weights.cpu())
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "overrides",
    [
        ("architecture=mlp_small", "activation=relu,prelu,rrelu", "seed=0,1", "training.dropout=0.1"),
        ("architecture=mlp_small", "architecture.norm=batch", "training.clip_norm=1.0", "optimizer=nesterov"),
        ("architecture=cnn_small", "activation=gelu", "seed=0,1", "training.augment=true"),
        ("architecture=transformer_small", "activation=swiglu", "seed=0,1"),
    ],
)
def test_a_training_is_that_of_the_cpu_alone_and_stacked_with_and_without_graphs(
    overrides: tuple[str, ...], device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, data = runs_of(*overrides), images()
    reference = list(train(Stack(tuple(runs)), data, CPU))
    stacked = list(train(Stack(tuple(runs)), data, device))
    alone = list(train(Stack((runs[-1],)), data, device))
    monkeypatch.setattr(loop, "capture_on", lambda device: None)
    eager = list(train(Stack(tuple(runs)), data, device))
    assert [(r.step, r.metric, r.layer) for r in stacked] == [(r.step, r.metric, r.layer) for r in reference]
    for metric in ("train_loss", "val_loss", "val_accuracy", "gradient_norm", "dead_fraction"):
        for other in (stacked, eager):
            torch.testing.assert_close(curve(other, metric), curve(reference, metric), rtol=0.05, atol=0.05)
        torch.testing.assert_close(curve(alone, metric)[:, 0], curve(stacked, metric)[:, -1], rtol=0.05, atol=0.05)
    assert (curve(stacked, "val_loss")[-1] < curve(stacked, "val_loss")[0]).all()


def test_a_resumed_training_is_that_of_one_that_was_not_interrupted(device: torch.device, tmp_path: Path) -> None:
    runs, data = runs_of("architecture=mlp_small", "activation=relu,prelu", "training.dropout=0.1"), images()
    whole = list(train(Stack(tuple(runs)), data, device))
    checkpoint = StackCheckpoint(runs, tmp_path, stop=threading.Event())

    def interrupted() -> None:
        for record in train(Stack(tuple(runs)), data, device, checkpoint=checkpoint):
            checkpoint.records.append(record)
            if record.metric == "val_accuracy" and record.step == 35:
                checkpoint.stop.set()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    again = StackCheckpoint(runs, tmp_path)
    again.load()
    assert again.state is not None
    again.records += train(Stack(tuple(runs)), data, device, checkpoint=again)
    torch.testing.assert_close(curve(again.records, "val_loss"), curve(whole, "val_loss"), rtol=0.01, atol=0.01)


def test_sums_and_histograms_of_a_measurement_are_those_of_the_cpu(device: torch.device) -> None:
    values = torch.randn(3, 40, 500, generator=torch.Generator().manual_seed(0)) * 3
    torch.testing.assert_close(sum_of_squares(values.to(device)).cpu(), squares_at_once(values))
    assert torch.equal(counts(values.to(device)).cpu(), counts(values))

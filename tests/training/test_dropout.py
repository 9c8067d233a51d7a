"""Dropout against torch's, against its expectation, and paired over activations."""

import pytest
import torch

from actbench.data.batches import Batches
from actbench.data.datasets import ImageData, PreparedData
from actbench.determinism import stream
from actbench.experiment.runs import make_run
from actbench.training.evaluator import Evaluator, evaluate
from actbench.training.network import Network
from actbench.training.stacks import Stack
from tests.support import RAGGED, Configs, numbers, results

CPU = torch.device("cpu")
WIDE = ("architecture=mlp", "architecture.width=40", "architecture.match_parameters=false")


def network(configs: Configs, data: PreparedData, *lines: str) -> Network:
    return Network(Stack(tuple(make_run(point, data, "sweep") for point in configs(*WIDE, *lines))), CPU)


def test_outputs_are_dropped_as_by_torch(
    configs: Configs, digits: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.nn.functional.dropout sets a value to 0 with probability p and divides the others by 1 - p."""
    net = network(configs, digits, "activation=softplus", "training.dropout=0.3", "seed=5")
    z = torch.randn(1, 500, 40, generator=stream(0, "z"))
    full, dropped = net.activate(0, z).detach(), net.activate(0, z, step=7).detach()
    draw = torch.rand(500, 40, generator=stream(5, "dropout", 0, 7))
    torch.testing.assert_close(dropped[0], full[0] * (draw >= 0.3) / 0.7)
    theirs = torch.nn.functional.dropout(full, 0.3, True)
    kept = (dropped != 0) & (theirs != 0)
    assert kept.any()
    assert torch.equal(dropped[kept], theirs[kept])  # the same factor, to the bit
    assert (dropped == 0).double().mean() == pytest.approx((theirs == 0).double().mean().item(), abs=0.015)  # 3 SE


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_expectation_is_kept(dropout: float, configs: Configs, digits: PreparedData) -> None:
    net = network(configs, digits, "activation=identity", f"training.dropout={dropout}")
    mean = torch.stack([net.activate(1, torch.ones(1, 200, 40), step).detach() for step in range(20)]).double().mean()
    error = (dropout / (1 - dropout) / (20 * 200 * 40)) ** 0.5  # of the mean of as many factors
    assert mean.item() == pytest.approx(1, abs=4 * error)


def test_evaluation_and_measurement_have_no_dropout(
    configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    plain, dropped = (network(configs, digits, f"training.dropout={p}") for p in (0.0, 0.5))
    batches = Batches(digits_data, [0], 288, 64, "channel", False, CPU)
    for ours, theirs in zip(
        *(evaluate(Evaluator(net), batches.validation, 288) for net in (plain, dropped)), strict=True
    ):
        assert torch.equal(ours, theirs)
    images, _ = batches.training(0)
    assert not torch.equal(plain.forward(images, 0), dropped.forward(images, 0))
    assert torch.equal(plain.forward(images), dropped.forward(images))


def test_runs_of_equal_seed_and_width_lose_the_same_units(configs: Configs, digits: PreparedData) -> None:
    net = network(configs, digits, "activation=identity,softplus", "training.dropout=0.5", "seed=0,1")
    seeds = [run.settings.seed for run in net.runs]
    lost = net.activate(0, torch.ones(4, 30, 40), step=3) == 0
    assert seeds == [0, 1, 0, 1]
    assert torch.equal(lost[0], lost[2])
    assert torch.equal(lost[1], lost[3])
    assert not torch.equal(lost[0], lost[1])
    again = [net.activate(layer, torch.ones(4, 30, 40), step) == 0 for layer, step in ((1, 3), (0, 4))]
    assert not any(torch.equal(lost, other) for other in again)


@pytest.mark.parametrize("architecture", ["mlp_small", "cnn_small", "transformer_small"])
def test_run_with_dropout_is_bit_identical_in_any_stack_and_differs_from_one_without(
    architecture: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    same_width = "architecture.match_parameters=false"
    keys = (f"architecture={architecture}", same_width, "activation=tanh,prelu", "seed=0,1", *RAGGED)
    runs = [make_run(point, digits, "sweep") for point in configs("training.dropout=0.25", *keys)]
    together = results(runs, digits_data)
    assert numbers(results([runs[2]], digits_data)[runs[2].id]) == numbers(together[runs[2].id])
    (without,) = results([make_run(configs(*keys)[2], digits, "sweep")], digits_data).values()
    assert without.row["train_loss"] != together[runs[2].id].row["train_loss"]

"""Gradients by time step and saturated gates, by hand and against a second implementation."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from actbench.activations.gates import load_gate
from actbench.data.batches import Batches
from actbench.data.datasets import ImageData, PreparedData
from actbench.experiment.runs import make_run
from actbench.metrics.through_time import ThroughTime, recorded_steps
from actbench.training.network import Network
from actbench.training.probe import observe
from actbench.training.stacks import Stack
from tests.support import Configs

CPU = torch.device("cpu")
EXAMPLES = 5


def test_recorded_time_steps_are_evenly_spaced_from_the_first_to_the_last() -> None:
    assert recorded_steps(1) == [0]
    assert recorded_steps(28) == list(range(28))
    assert recorded_steps(33) == list(range(33))
    steps = recorded_steps(100)
    assert len(steps) == len(set(steps)) == 33
    assert (steps[0], steps[-1]) == (0, 99)
    assert {b - a for a, b in itertools.pairwise(steps)} <= {3, 4}


def test_shares_and_gradients_by_hand() -> None:
    """One run, two examples, two time steps; a layer with one unit and two gates."""
    found = ThroughTime([2])
    gradients = torch.tensor([[3.0, 1.0], [4.0, 1.0]]).view(1, 2, 2, 1)
    gates = torch.tensor([[[0.01, 0.5], [0.04, 0.96]], [[0.05, 0.95], [0.0, 1.0]]]).view(1, 2, 2, 2)
    found.add([gradients], [gates])
    layer, network = found.layer(0), found.network()
    assert layer["gradient_rms_t000"].item() == pytest.approx(math.sqrt((9 + 16) / 2))
    assert layer["gradient_rms_t001"].item() == pytest.approx(1)
    assert network["time_gradient_ratio"].item() == pytest.approx(math.log10(12.5))
    assert layer["saturated_low"].item() == pytest.approx(3 / 8)  # a value at a limit is not saturated
    assert layer["saturated_high"].item() == pytest.approx(2 / 8)
    assert network["saturated_gates"].item() == pytest.approx(5 / 8)
    found.add([gradients], [torch.full((1, 2, 2, 2), 0.5)])
    assert found.layer(0)["saturated_low"].item() == pytest.approx(3 / 16)
    assert found.layer(0)["gradient_rms_t000"].item() == pytest.approx(math.sqrt((9 + 16) / 2))
    found.add([gradients], [torch.full((1, 2, 2, 2), torch.nan)])
    assert found.network()["saturated_gates"].isnan().all()


def test_layers_without_gates_have_no_shares() -> None:
    found = ThroughTime([1, 1])
    found.add([torch.ones(2, 3, 1, 4), torch.ones(2, 3, 1, 4)], [])
    assert set(found.layer(1)) == {"gradient_rms_t000"}
    assert set(found.network()) == {"time_gradient_ratio"}


def network_of(configs: Configs, digits: PreparedData, *keys: str) -> Network:
    (point,) = configs(*keys)
    network = Network(Stack((make_run(point, digits, "sweep"),)), CPU)
    with torch.no_grad():
        for seed, (name, values) in enumerate(network.parameters.items()):
            if name.endswith("bias"):  # far apart, so that units die and gates saturate
                values += 4 * torch.randn(values.shape, generator=torch.Generator().manual_seed(seed))
    return network


@pytest.mark.parametrize("activation", ["relu", "tanh", "prelu"])
@pytest.mark.parametrize("architecture", ["rnn_small", "gru_small", "lstm_small"])
def test_a_recurrent_network_is_measured_as_a_second_implementation_has_it(
    architecture: str, activation: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    keys = (f"architecture={architecture}", f"activation={activation}", "architecture.depth=2")
    network = network_of(configs, digits, *keys)
    batches = Batches(digits_data, [0], 288, 64, "channel", False, CPU)
    measured = {(r.layer, r.metric): r.values.item() for r in observe(network, batches, EXAMPLES)}
    images, labels = batches.validation(0, EXAMPLES)
    zeros: list[list[Tensor]] = [[] for _ in network.architecture.units]  # added to every pre-activation
    slopes: list[list[Tensor]] = [[] for _ in zeros]
    units: list[list[Tensor]] = [[] for _ in zeros]

    def tapped(layer: int, z: Tensor) -> Tensor:
        if architecture == "lstm_small" and layer % 2:  # a cell state, which later steps depend on too
            z.retain_grad()
            zeros[layer].append(z)
        else:
            zeros[layer].append(torch.zeros_like(z).requires_grad_())
            z = z + zeros[layer][-1]
        leaf = z.detach().requires_grad_()
        slopes[layer].append(torch.autograd.grad(network.activate(layer, leaf).sum(), leaf)[0].abs())
        units[layer].append(network.activate(layer, z))
        return units[layer][-1]

    logits = network.forward(images, activate=tapped)
    torch.nn.functional.cross_entropy(logits[0], labels[0], reduction="sum").backward()
    means = []
    for layer, own in enumerate(zeros):
        gradients = torch.stack([zero.grad for zero in own if zero.grad is not None], 2)[0]  # (examples, time, units)
        assert gradients.shape[1] == 8
        for time in range(8):
            rms = gradients[:, time].square().mean().sqrt().item()
            assert measured[layer, f"gradient_rms_t{time:03d}"] == pytest.approx(rms, rel=1e-4)
        means.append(gradients.double().square().mean().item())
        assert measured[layer, "gradient_rms"] == pytest.approx(means[-1] ** 0.5, rel=1e-4)
        dead = torch.stack(slopes[layer])[:, 0].amax((0, 1)) < 1e-3  # over time and examples
        h = torch.stack(units[layer])[:, 0]
        assert measured[layer, "dead_fraction"] == pytest.approx(dead.double().mean().item())
        assert measured[layer, "zero_share"] == pytest.approx((h == 0).double().mean().item())
        assert measured[layer, "unit_mean"] == pytest.approx(h.mean().item(), rel=1e-4, abs=1e-6)
    assert measured[None, "gradient_ratio"] == pytest.approx(math.log10(means[0] / means[-1]), abs=1e-4)
    first, last = (measured[len(zeros) - 1, f"gradient_rms_t{time:03d}"] for time in (0, 7))
    assert measured[None, "time_gradient_ratio"] == pytest.approx(2 * math.log10(first / last))


@pytest.mark.parametrize("architecture", ["gru_small", "lstm_small"])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid", "softsign"])
def test_saturated_gates_of_a_network_are_counted_over_all_time_steps(
    architecture: str, gate: str, configs: Configs, digits: PreparedData, digits_data: ImageData
) -> None:
    network = network_of(configs, digits, f"architecture={architecture}", f"architecture.gate={gate}")
    batches = Batches(digits_data, [0], 288, 64, "channel", False, CPU)
    measured = {(r.layer, r.metric): r.values.item() for r in observe(network, batches, EXAMPLES)}
    images, _ = batches.validation(0, EXAMPLES)
    (values,) = network.gates(images)
    assert values.shape == (1, EXAMPLES, 8, (2 if architecture == "gru_small" else 3) * 32)
    p = {name: tensor[0] for name, tensor in network.parameters.items()}
    z = images[0, :, 0].flatten(1) @ p["hidden0.input.weight"] + p["hidden0.input.bias"] + p["hidden0.recurrent.bias"]
    assert torch.allclose(values[0, :, 0], load_gate(gate)(z)[:, :-32], atol=1e-5)
    low, high = ((values < 0.05).double().mean().item(), (values > 0.95).double().mean().item())
    assert measured[0, "saturated_low"] == pytest.approx(low)
    assert measured[0, "saturated_high"] == pytest.approx(high)
    assert measured[None, "saturated_gates"] == pytest.approx(low + high)
    assert low > 0 or gate == "softsign"  # whose ends are far
    assert (1, "saturated_low") not in measured


def test_other_networks_have_no_metrics_of_time(configs: Configs, digits: PreparedData, digits_data: ImageData) -> None:
    network = network_of(configs, digits, "architecture=mlp_small")
    batches = Batches(digits_data, [0], 288, 64, "channel", False, CPU)
    names = {record.metric for record in observe(network, batches, EXAMPLES)}
    assert not {name for name in names if name.startswith(("gradient_rms_t", "saturated", "time_"))}
